"""Statements over many rows at once, past the ORM, in the words of the database in use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Dialect,
    Executable,
    Table,
    bindparam,
    func,
    insert,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError

from portal.db import Model, db, run
from portal.lists import one_of_given

# COPY takes three exchanges with the server, however few the rows are.
WORTH_A_COPY = 3


def insert_rows(model: type[Model], rows: Sequence[dict[str, Any]]) -> None:
    """Many rows at once, past the ORM. Every row names the same columns in the same order, with plain values.

    Raises `sqlalchemy.exc.IntegrityError`, or `OperationalError` as any statement does.
    """
    table = cast("Table", model.__table__)
    if db.engine.dialect.name == "sqlite":
        _insert_plain_rows(table, rows)
    elif len(rows) >= WORTH_A_COPY:
        _copy_rows(table, rows)
    else:
        run(_insert(table), list(rows))


@cache
def _insert(table: Table) -> Executable:
    return insert(table)


def _insert_plain_rows(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """By the driver: SQLAlchemy takes longer to prepare a row than SQLite to insert it."""
    statement, converters = _plain_insert(table, tuple(rows[0]), db.engine.dialect)
    plain = []
    for row in rows:
        values = list(row.values())
        for place, convert in converters:
            values[place] = convert(values[place])
        plain.append(tuple(values))
    db.session.connection().exec_driver_sql(statement, plain)


@cache
def _plain_insert(
    table: Table, columns: tuple[str, ...], dialect: Dialect
) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
    """The statement, and by the place of a column what makes its values such as SQLite keeps them."""
    types = [table.c[name].type.dialect_impl(dialect) for name in columns]
    converters = [(place, each.bind_processor(dialect)) for place, each in enumerate(types)]
    marks = ", ".join("?" * len(columns))
    quote = dialect.identifier_preparer.quote
    statement = f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, columns))}) VALUES ({marks})"  # noqa: S608
    return statement, [(place, convert) for place, convert in converters if convert is not None]


def _copy_rows(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """COPY takes rows several times as fast as INSERT, which psycopg sends one by one.

    psycopg comes from SQLAlchemy, which loads it where PostgreSQL is the database: it takes 9 MB of a process.
    """
    connection = db.session.connection()
    quote, psycopg = connection.dialect.identifier_preparer.quote, cast("Any", connection.dialect.loaded_dbapi)
    cursor = cast("Any", connection.connection.driver_connection).cursor()
    try:
        with cursor.copy(f"COPY {quote(table.name)} ({', '.join(map(quote, rows[0]))}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(list(row.values()))
    except psycopg.IntegrityError as error:
        raise IntegrityError("COPY", None, error) from error
    except psycopg.OperationalError as error:  # a deadlock, a database that goes away
        raise OperationalError("COPY", None, error) from error


def update_rows(model: type[Model], rows: Sequence[dict[str, Any]]) -> None:
    """Set columns of many rows at once. Every row names its primary key first, and then the same columns, with plain values."""
    table = cast("Table", model.__table__)
    if db.engine.dialect.name == "postgresql":
        columns = tuple(rows[0])
        run(_update_from_arrays(table, columns), {f"new_{name}": [row[name] for row in rows] for name in columns})
    else:
        run(_update(table, tuple(rows[0])), [{f"new_{name}": value for name, value in row.items()} for row in rows])


@cache
def _update(table: Table, columns: tuple[str, ...]) -> Executable:
    key, *others = columns
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in others}
    return update(table).where(table.c[key] == bindparam(f"new_{key}")).values(values)


@cache
def _update_from_arrays(table: Table, columns: tuple[str, ...]) -> Executable:
    """One statement for all rows: psycopg sends many of them one by one."""
    key, *others = columns
    arrays = [bindparam(f"new_{name}", type_=ARRAY(table.c[name].type)) for name in columns]
    new = func.unnest(*arrays).table_valued(*columns, name="new").render_derived()
    return update(table).where(table.c[key] == new.c[key]).values({name: new.c[name] for name in others})


def find_unique(
    columns: tuple[Any, ...], owner: Any, owner_id: int, wanted: Mapping[Any, Iterable[Any]]
) -> Sequence[Any]:
    """Rows of one owner in which a unique column has one of many values, for each column of `wanted`."""
    values = {column.name: list(those) for column, those in wanted.items()}
    one_each = all(len(those) == 1 for those in values.values())
    statement = _unique_search(db.engine.dialect.name, columns, owner, tuple(wanted), one_each)
    parameters = {name: those[0] if one_each else those for name, those in values.items()}
    rows: Sequence[Any] = run(statement, {"owner": owner_id, **parameters}).all()
    return rows


@cache
def _unique_search(
    dialect: str, columns: tuple[Any, ...], owner: Any, wanted: tuple[Any, ...], one_each: bool
) -> Executable:
    owned = owner == bindparam("owner")
    if one_each:
        searches = [select(*columns).where(owned, column == bindparam(column.name)) for column in wanted]
    else:
        searches = [_search(dialect, columns, owned, column) for column in wanted]
    return searches[0] if len(searches) == 1 else union_all(*searches)


def _search(dialect: str, columns: tuple[Any, ...], owned: ColumnElement[bool], column: Any) -> Any:
    """PostgreSQL is made to look up each value by itself: given the list as a whole it may read every row of the owner instead,
    and does so while it has no statistics of a young table."""
    if dialect != "postgresql":
        return select(*columns).where(owned, one_of_given(dialect, column, column.name))
    values = bindparam(column.name, type_=ARRAY(column.type))
    each = func.unnest(values).table_valued("value", name=f"wanted_{column.name}").render_derived()
    found = select(*columns).where(owned, column == each.c.value).correlate(each).limit(1).lateral("found")
    return select(found).select_from(each).join(found, true())
