"""JSON:API documents: resources, sparse fieldsets, included resources, links.

`fields[type]` drops attributes and relationships alike, as real answers do.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flask import Response, request

from sandbox.klaviyo.errors import MIMETYPE, bad_request
from sandbox.klaviyo.paging import HOST, Found, links

Resource = dict[str, Any]


def resource(kind: str, path: str, id: str, attributes: dict[str, Any], **relationships: Any) -> Resource:  # noqa: A002
    """One resource. Its own link ends in a slash, other than those of collections."""
    found: Resource = {"type": kind, "id": id, "attributes": attributes}
    if relationships:
        found["relationships"] = relationships
    found["links"] = {"self": f"{HOST}/api/{path}/{id}/"}
    return found


def relation(path: str, id: str, name: str, data: Any = None) -> dict[str, Any]:  # noqa: A002
    here = f"{HOST}/api/{path}/{id}"
    found: dict[str, Any] = {"links": {"self": f"{here}/relationships/{name}/", "related": f"{here}/{name}/"}}
    if data is not None:
        found["data"] = data
    return found


def sparse(found: Resource, allowed: Collection[str]) -> Resource:
    """The resource with only the fields the request asked for."""
    given = request.args.get(f"fields[{found['type']}]")
    if given is None:
        return found
    wanted = [name for name in given.split(",") if name]
    roots = {name.split(".", 1)[0] for name in wanted}
    foreign = roots - set(allowed) - {"id"}
    if foreign:
        kind = found["type"]
        raise bad_request(f"'{sorted(foreign)[0]}' is not an allowed field for '{kind}'.", parameter=f"fields[{kind}]")
    attributes = {
        name: _part(value, [each for each in wanted if each.startswith(name + ".")] if name not in wanted else [])
        for name, value in found["attributes"].items()
        if name in roots
    }
    return {name: value for name, value in found.items() if name != "relationships"} | {"attributes": attributes}


def _part(value: Any, paths: list[str]) -> Any:
    if not paths or not isinstance(value, Mapping):
        return value
    names = {path.split(".", 1)[1].split(".", 1)[0] for path in paths}
    return {name: inner for name, inner in value.items() if name in names}


def included(allowed: Collection[str]) -> set[str]:
    """The relationships the request wants included."""
    wanted = {each for each in request.args.get("include", "").split(",") if each}
    foreign = wanted - set(allowed)
    if foreign:
        raise bad_request(
            f"'{sorted(foreign)[0]}' is not an allowed include parameter for this endpoint.", parameter="include"
        )
    return wanted


def extra_fields(kind: str, allowed: Collection[str]) -> set[str]:
    """What `additional-fields[kind]` asks for."""
    name = f"additional-fields[{kind}]"
    wanted = {each for each in request.args.get(name, "").split(",") if each}
    foreign = wanted - set(allowed)
    if foreign:
        raise bad_request(f"'{sorted(foreign)[0]}' is not an allowed additional field.", parameter=name)
    return wanted


def one(found: Resource, status: int = 200, extra: Iterable[Resource] | None = None) -> Response:
    body: dict[str, Any] = {"data": found, "links": {"self": found["links"]["self"]}}
    if extra is not None:
        body["included"] = list(extra)
    return _response(body, status)


def many(data: list[Any], page: Found | None = None, extra: Iterable[Resource] | None = None) -> Response:
    body: dict[str, Any] = {"data": data, "links": links(page or Found([], None, None))}
    if extra is not None:
        body["included"] = list(extra)
    return _response(body, 200)


def accepted() -> Response:
    """202 with nothing in it: validated and put in line, no more than that."""
    return Response(b"", 202, mimetype=MIMETYPE)


def _response(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, mimetype=MIMETYPE)
