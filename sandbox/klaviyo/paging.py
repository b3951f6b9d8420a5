"""Cursor pages as Klaviyo gives them: opaque cursors, absolute links, a cap on the size that is an error when passed.

Pages go by (sort value, key), so they stay stable while rows are added.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Response, request

from sandbox.klaviyo.errors import bad_request
from sandbox.store import Row, Store

HOST = "https://a.klaviyo.com"


@dataclass(frozen=True)
class Page:
    size: int
    after: list[Any] | None = None
    backwards: bool = False


@dataclass(frozen=True)
class Found:
    rows: list[Row]
    next: str | None
    prev: str | None


def requested(default: int, largest: int, fixed: bool = False) -> Page:
    """The page a request asks for. With `fixed`, the endpoint has no page[size]."""
    size = default
    given = request.args.get("page[size]")
    if given is not None:
        if fixed:
            raise bad_request("'page[size]' is not an allowed parameter for this endpoint.", parameter="page[size]")
        if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= largest:
            raise bad_request(f"Page size must be an integer between 1 and {largest}.", parameter="page[size]")
        size = int(given)
    cursor = request.args.get("page[cursor]")
    if not cursor:
        return Page(size)
    # Klaviyo's own SDK sends a leading '=' when it was given a whole `next` link.
    after, backwards = _decoded(cursor.removeprefix("="))
    return Page(size, after, backwards)


def _decoded(cursor: str) -> tuple[list[Any], bool]:
    wrong = bad_request("Invalid cursor provided.", parameter="page[cursor]")
    try:
        direction, *after = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise wrong from error
    scalar = all(isinstance(each, (str, int, float, type(None))) for each in after)
    if direction not in ("next", "prev") or len(after) != 2 or not scalar:
        raise wrong
    return after, direction == "prev"


def _encoded(direction: str, row: Row) -> str:
    text = json.dumps([direction, row["sort"], row["pk"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def find(
    store: Store, select: str, where: list[str], args: list[Any], *, sort: str, key: str, descending: bool, page: Page
) -> Found:
    """One page of `select`. `sort` and `key` are the columns that order it, the key being unique."""
    downwards = descending != page.backwards
    where, args = list(where), list(args)
    if page.after is not None:
        side = "<" if downwards else ">"
        # Where the range of a filter began, the cursor is further on: the unary plus has the search begin at the cursor.
        where = [f"+{each}" if each.startswith(f"{sort} {side}") else each for each in where]
        where.append(f"({sort}, {key}) {side} (?, ?)")
        args += page.after
    way = "DESC" if downwards else "ASC"
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    sql = f"SELECT {sort} AS sort, {key} AS pk, {select}{condition} ORDER BY {sort} {way}, {key} {way} LIMIT ?"
    rows = store.rows(sql, [*args, page.size + 1])
    more = len(rows) > page.size
    rows = rows[: page.size]
    if page.backwards:
        rows.reverse()
        return Found(rows, _encoded("next", rows[-1]) if rows else None, _encoded("prev", rows[0]) if more else None)
    prev = _encoded("prev", rows[0]) if rows and page.after is not None else None
    return Found(rows, _encoded("next", rows[-1]) if more else None, prev)


def requested_sort(allowed: dict[str, str], default: str) -> tuple[str, bool]:
    """(column, descending) of the request's `sort`."""
    given = request.args.get("sort") or default
    name = given.removeprefix("-")
    if name not in allowed:
        raise bad_request(f"'{given}' is not an allowed sort for this endpoint.", parameter="sort")
    return allowed[name], given.startswith("-")


def links(found: Found) -> dict[str, str | None]:
    return {"self": _link(None), "next": found.next and _link(found.next), "prev": found.prev and _link(found.prev)}


def leading_back_here(response: Response) -> Response:
    """A page whose `next` is itself: who follows it gets the page a second time."""
    body = json.loads(response.get_data())
    if isinstance(body.get("links"), dict) and "next" in body["links"]:
        body["links"]["next"] = _link(None)
        response.set_data(json.dumps(body))
    return response


def _link(cursor: str | None) -> str:
    given = request.args.items(multi=True)
    pairs = [(name, value) for name, value in given if cursor is None or name != "page[cursor]"]
    if cursor is not None:
        pairs.append(("page[cursor]", cursor))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return HOST + request.path.rstrip("/") + ("?" + query if query else "")
