"""Scripts, styles and icons: ours and those of pinned packages, each at an address that changes with its content.

So a browser keeps them for a year, and never an old one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, request, send_file, session
from markupsafe import Markup
from werkzeug.wrappers import Response

from portal.web.guards import public

YEAR_SECONDS = 31_536_000
ENDPOINTS = ("assets.htmx", "static", "bootstrap.static")
HTMX_VERSION = ".".join(importlib.metadata.version("django-js-lib-htmx").split(".")[:3])


def init_app(app: Flask) -> None:
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR_SECONDS
    app.add_url_rule(f"/assets/htmx-{HTMX_VERSION}.js", "assets.htmx", public(_htmx))
    for endpoint in ENDPOINTS[1:]:
        app.view_functions[endpoint] = _open(app.view_functions[endpoint])
    folders = {"static": Path(app.static_folder or ""), "bootstrap.static": _bootstrap_folder()}

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in folders and "filename" in values:
            values["v"] = _version(folders[endpoint] / values["filename"])

    # Registered before Flask-Login's own, which looks into the session of every request, and so runs after it.
    app.after_request(_forget_session)
    app.jinja_env.globals["icon"] = icon


def _forget_session(answer: Response) -> Response:
    """An asset is the same for everybody; `Vary: Cookie` would make browsers fetch it anew with every new cookie."""
    if request.endpoint in ENDPOINTS:
        session.accessed = False
    return answer


def _open(view: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method takes no guard mark, so it gets a function around it."""
    return public(lambda **arguments: view(**arguments))


def _package_folder(name: str) -> Path:
    """Where a package lies, without importing it: the one that carries htmx would ask for Django."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"package {name} is not installed")
    return Path(found.submodule_search_locations[0])


def _bootstrap_folder() -> Path:
    return _package_folder("flask_bootstrap") / "static" / "bootstrap5"


def _htmx() -> Response:
    path = _package_folder("js_lib_htmx") / "static" / "htmx" / "htmx.min.js"
    answer = send_file(path, mimetype="text/javascript", max_age=YEAR_SECONDS)
    answer.cache_control.immutable = True
    return answer


@cache
def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10] if path.is_file() else "0"


@cache
def icon(name: str) -> Markup:
    """An icon of Bootstrap's, drawn into the page: it neither flickers when htmx swaps it nor costs a request."""
    sprite = (_bootstrap_folder() / "icons" / "bootstrap-icons.svg").read_text()
    found = re.search(rf'<symbol[^>]*viewBox="([^"]+)"[^>]*id="{re.escape(name)}"[^>]*>(.*?)</symbol>', sprite, re.S)
    if found is None:
        raise LookupError(f"no icon is called {name}")
    # The package's own drawing and a name from our templates: nothing of a user's is in it.
    return Markup(  # noqa: S704
        f'<svg class="icon" viewBox="{found[1]}" width="16" height="16" fill="currentColor" aria-hidden="true" '
        f'focusable="false">{found[2].strip()}</svg>'
    )
