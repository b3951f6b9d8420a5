"""The house rules of pages and of what is written down: guards, htmx addresses, partials, documented settings and routes."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from portal import create_app
from portal.blueprints.api.openapi import document
from portal.config import Settings
from portal.db import Model, db
from portal.web.guards import API_KEY, LOGIN, OWNER, PUBLIC
from tests.sources import PAGES, PARTIALS, ROOT

OF_LIBRARIES = ("static", "bootstrap.static")
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
HX = re.compile(r'hx-(get|post|put|patch|delete)="([^"]*)"')
URL_FOR = re.compile(r"url_for\(\s*['\"]([^'\"]+)['\"]")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
INLINE = (
    r"<script(?![^>]*\bsrc=)",
    r"<style\b|\sstyle=",
    r"<[^>]*\s(on[a-z]+|hx-on[:\w-]*)=",
    r"javascript:|hx-vals=.js:",
)
ENV_NAME = re.compile(r"(?:PORTAL|KLAVIYO|SANDBOX)_[A-Z_]*[A-Z]")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application to look at, without a database behind it."""
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("routes"), database_url="sqlite:///:memory:"))


def test_every_route_says_who_may_use_it(routes: Flask) -> None:
    guards = {
        rule.endpoint: getattr(routes.view_functions[rule.endpoint], "guard", None)
        for rule in routes.url_map.iter_rules()
        if rule.endpoint not in OF_LIBRARIES
    }
    assert guards
    assert not {endpoint for endpoint, guard in guards.items() if guard not in (PUBLIC, LOGIN, OWNER, API_KEY)}


def test_every_route_of_the_api_wants_a_key_and_is_described(routes: Flask) -> None:
    paths = document("http://127.0.0.1")["paths"]
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    served = set()
    for rule in routes.url_map.iter_rules():
        if not rule.rule.startswith("/v1/") or rule.rule == "/v1/openapi.json":
            continue
        assert routes.view_functions[rule.endpoint].guard == API_KEY  # type: ignore[attr-defined]
        path = re.sub(r"<(?:\w+:)?\w+>", "{}", rule.rule)
        served |= {(path, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert served == {(re.sub(r"\{\w+\}", "{}", path), method) for path, method in described}


# --- templates -----------------------------------------------------------------------------------


def test_every_address_in_a_template_exists(routes: Flask) -> None:
    endpoints = {rule.endpoint for rule in routes.url_map.iter_rules()}
    named = {(str(page), endpoint) for page in PAGES for endpoint in URL_FOR.findall(page.read_text())}
    assert named
    assert not {(page, endpoint) for page, endpoint in named if endpoint not in endpoints}


def test_every_htmx_address_is_a_route_that_takes_its_method(routes: Flask) -> None:
    found = [(page, verb, value) for page in PAGES for verb, value in HX.findall(page.read_text())]
    assert found
    for page, verb, value in found:
        if value == "{{ action }}":
            continue  # a macro's argument; its caller's url_for is checked above
        assert URL_FOR.search(value), f"{page}: hx-{verb} has an address that is not made by url_for: {value}"
        for endpoint in URL_FOR.findall(value):
            methods = {method for rule in routes.url_map.iter_rules(endpoint) for method in rule.methods or ()}
            assert verb.upper() in methods, f"{page}: {endpoint}"


class _Roots(HTMLParser):
    """Keeps the attributes of the elements that have no parent."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[dict[str, str | None]] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._depth:
            self.roots.append(dict(attrs))
        self._depth += tag not in VOID

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag not in VOID


def _ids_of_roots(page: Path) -> list[str | None]:
    parser = _Roots()
    text = re.sub(r"\{%-?\s*macro\b.*?endmacro\s*-?%\}", "", page.read_text(), flags=re.DOTALL)
    # A tag whose name is chosen while rendering is an element like any other.
    parser.feed(JINJA.sub("", re.sub(r"(</?)\{\{.*?\}\}", r"\1div", text)))
    return [root.get("id") for root in parser.roots]


def test_a_partial_has_one_root_that_bears_its_name() -> None:
    assert PARTIALS
    expected = {page: [f"{page.parent.name}-{page.stem.removeprefix('_')}"] for page in PARTIALS}
    assert {page: _ids_of_roots(page) for page in PARTIALS} == expected


@pytest.mark.parametrize("pattern", INLINE)
def test_pages_have_no_inline_script_or_style(pattern: str) -> None:
    pages = [*PAGES, *(ROOT / "sandbox" / "templates").rglob("*.html")]
    assert not [str(page) for page in pages if re.search(pattern, page.read_text())]


def test_a_form_that_changes_something_carries_a_csrf_token() -> None:
    form = re.compile(r"<form\b[^>]*method=\"post\".*?</form>", re.DOTALL)
    forms = [(str(page), found) for page in PAGES for found in form.findall(page.read_text())]
    assert forms
    assert not [(page, found[:120]) for page, found in forms if "csrf" not in found and "hidden_tag" not in found]


# --- the database --------------------------------------------------------------------------------


def test_migrations_end_in_one_head() -> None:
    assert len(ScriptDirectory(str(ROOT / "migrations")).get_heads()) == 1


def test_migrations_make_the_tables_that_the_models_describe(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, Model.metadata) == []


# --- what is written down ------------------------------------------------------------------------


def _variables(*paths: str) -> set[str]:
    """Environment variables that appear as texts in these files."""
    texts = (
        node.value
        for path in paths
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in texts if ENV_NAME.fullmatch(text)}


def test_every_setting_is_documented_and_nothing_else() -> None:
    read = _variables("portal/config.py", "sandbox/config.py", "launch/plan.py")
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    assert documented == read


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_and_name_no_machine(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert pins
    assert not [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)]
