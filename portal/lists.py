"""A list of any length as one parameter of a statement.

PostgreSQL reads it far sooner than a thousand parameters. A connection to SQLite keeps each statement that it has prepared, with 200
bytes for each parameter, and would keep another one for each length of the list.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Dialect,
    LargeBinary,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.types import TypeEngine


def one_of(dialect: str, column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """`column IN (values)`."""
    return _among(dialect, column, literal(list(values), _many(dialect, column)))


def one_of_given(dialect: str, column: Any, name: str) -> ColumnElement[bool]:
    """The same for a statement that is built once: a list comes as its parameter `name`."""
    return _among(dialect, column, bindparam(name, type_=_many(dialect, column)))


def prepare(connection: sqlite3.Connection) -> None:
    """JSON has no bytes, and SQLite reads hexadecimal from its version 3.41 on only."""
    connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)


def _among(dialect: str, column: Any, values: ColumnElement[Any]) -> ColumnElement[bool]:
    if dialect == "postgresql":
        matches: ColumnElement[bool] = column == any_(values)
        return matches
    value = func.json_each(values).table_valued("value").c.value
    found: ColumnElement[bool] = column.in_(select(func.from_hex(value) if _is_binary(column) else value))
    return found


def _is_binary(column: Any) -> bool:
    return isinstance(column.type, LargeBinary)


def _many(dialect: str, column: Any) -> TypeEngine[Any]:
    return ARRAY(column.type) if dialect == "postgresql" else _JsonList()


class _JsonList(TypeDecorator[Any]):
    """Numbers, texts, or bytes in hexadecimal."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return _json([each.hex() if isinstance(each, bytes) else each for each in value])


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
