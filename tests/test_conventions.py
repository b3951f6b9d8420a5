"""The house rules of the code: who may import whom, where transactions begin, how long things may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from portal import queue
from tests.sources import MODULES, PORTAL, ROOT, Module

GROUND = {"bulk", "config", "db", "crypto", "errors", "lists", "queue", "logs"}
MODELS, EXCHANGE, KLAVIYO, WALLET, SERVICES, WEB = "models", "exchange", "klaviyo", "wallet", "services", "web"
# What each part of the portal may import of the portal; a part may always import itself.
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    MODELS: GROUND,
    # The libraries know nothing of ours but how to hold an exchange in bounds, which itself knows nothing.
    EXCHANGE: set(),
    KLAVIYO: {EXCHANGE},
    WALLET: {EXCHANGE},
    SERVICES: GROUND | {MODELS, KLAVIYO, WALLET},
    "beats": GROUND | {MODELS, EXCHANGE, KLAVIYO, SERVICES},
    "wallet_beats": GROUND | {MODELS, SERVICES},
    "uploads": GROUND | {MODELS, SERVICES},
    WEB: GROUND | {MODELS, SERVICES},
    "blueprints": GROUND | {MODELS, SERVICES, WEB, "beats", "uploads", "wallet_beats"},
    "jobs": GROUND | {MODELS, KLAVIYO, WALLET, SERVICES, "beats", "wallet_beats"},
    "demo": GROUND | {MODELS, SERVICES},
    "doctor": GROUND | {MODELS, EXCHANGE, SERVICES},
    "cli": GROUND | {MODELS, SERVICES, "beats", "demo", "doctor"},
    "site": GROUND | {WEB, "blueprints"},
}
# Where a library may be imported; everywhere else is forbidden.
AT_HOME = {
    "flask": {"", "db", "web", "cli", "doctor", "blueprints", "site"},
    "flask_sqlalchemy": {"db"},
    "rq": {"queue"},
    "requests": {EXCHANGE},
    "authlib": {"klaviyo"},
    "cryptography": {"crypto", "wallet"},
    "httpx2": {"wallet"},
    "google": {"wallet"},
    "PIL": {"wallet"},
}
MAY_OPEN_TRANSACTIONS = {"blueprints", "jobs", "cli", "beats", "uploads", "wallet_beats"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "service", "misc"}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_DOCSTRING = 350, 45, 5


def _part(name: str) -> str:
    """`portal.services.events` -> `services`; the package itself is an empty text."""
    return [*name.split("."), ""][1]


def _parts_imported(module: Module) -> set[str]:
    names = {name for name in module.imports if name.split(".")[0] == "portal"}
    known = {_part(other.name) for other in PORTAL}
    return {_part(name) for name in names if _part(name) in known and _part(name)}


def test_a_part_of_the_portal_imports_only_what_is_below_it() -> None:
    # The package itself is left out: the application is composed there.
    parts = {module.name: _part(module.name) for module in PORTAL if _part(module.name)}
    above = {
        module.name: _parts_imported(module) - {parts[module.name]} - MAY_IMPORT[parts[module.name]]
        for module in PORTAL
        if module.name in parts
    }
    assert not {name: wrong for name, wrong in above.items() if wrong}


def test_a_library_is_imported_only_where_it_is_at_home() -> None:
    strangers = {
        module.name: library
        for module in PORTAL
        for library, homes in AT_HOME.items()
        if _part(module.name) not in homes and library in {name.partition(".")[0] for name in module.imports}
    }
    assert not strangers


def loaded_by(modules: str, data: Path) -> set[str]:
    """Everything that a process has loaded which imports these, on SQLite."""
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PORTAL_DATA_DIR": str(data), "PORTAL_DATABASE_URL": f"sqlite:///{data}/portal.sqlite3"},
    )
    return set(told.stdout.split())


def test_a_worker_loads_nothing_that_answers_requests(tmp_path: Path) -> None:
    loaded = loaded_by("worker", tmp_path)
    assert "portal.jobs.deliveries" in loaded
    assert not {"portal.site", "portal.blueprints", "portal.web", "flask_wtf"} & loaded


def test_a_process_loads_neither_the_driver_of_another_database_nor_what_only_connecting_needs(tmp_path: Path) -> None:
    loaded = loaded_by("worker, wsgi", tmp_path)
    assert {"sqlalchemy", "portal.bulk", "portal.klaviyo.oauth"} <= loaded
    assert not {"psycopg", "authlib"} & loaded


def test_only_the_settings_read_the_environment() -> None:
    reading = re.compile(r"\bos\.(environ|getenv|putenv)\b|from os import .*environ")
    assert [module.name for module in PORTAL if reading.search(module.text)] == ["portal.config"]


def test_services_import_each_other_downwards_only() -> None:
    services = {module.name: module for module in PORTAL if _part(module.name) == SERVICES}
    below = {
        name: {other for other in services if other in module.imports} - {name} for name, module in services.items()
    }
    while leaves := {name for name, others in below.items() if not others}:
        below = {name: others - leaves for name, others in below.items() if name not in leaves}
    assert not below, f"a circle of imports: {below}"


def test_portal_sandbox_and_launcher_do_not_know_each_other() -> None:
    apart = {"portal", "sandbox", "launch"}
    imported = {
        (module.top, name.partition(".")[0]) for module in MODULES if module.top in apart for name in module.imports
    }
    assert not {(one, other) for one, other in imported if other in apart - {one}}


def test_the_portal_never_asks_whether_it_talks_to_a_sandbox() -> None:
    names = {
        (module.name, str(getattr(node, "id", getattr(node, "attr", getattr(node, "arg", "")))))
        for module in PORTAL
        for node in ast.walk(module.tree)
    }
    assert not {(module, name) for module, name in names if "sandbox" in name.lower()}


def test_transactions_are_opened_at_edges_only() -> None:
    opening = {module.name for module in PORTAL if "transaction()" in _code(module)}
    assert not {name for name in opening if _part(name) not in MAY_OPEN_TRANSACTIONS | {"db"}}
    assert [module.name for module in PORTAL if ".commit()" in _code(module)] == ["portal.db"]


def _code(module: Module) -> str:
    """Its code without comments and docstrings."""
    tree = ast.parse(module.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value = ast.Constant(value="")
    return ast.unparse(tree)


# --- the queue -----------------------------------------------------------------------------------


def test_every_job_that_is_named_can_be_imported() -> None:
    names = [value for value in vars(queue).values() if isinstance(value, str) and value.startswith("portal.jobs.")]
    assert names
    for name in names:
        module, _, function = name.rpartition(".")
        assert callable(getattr(import_module(module), function))


def test_every_queue_that_is_filled_is_drained() -> None:
    filling = re.compile(r"queue\.enqueue[(,]\s*(?:queue\.)?([A-Z]+)")
    filled = {name for module in PORTAL for name in filling.findall(module.text)}
    assert filled
    assert {getattr(queue, name) for name in filled} <= set(queue.QUEUES)
    assert "queue.QUEUES" in next(module.text for module in MODULES if module.name == "worker")


# --- size and shape ------------------------------------------------------------------------------


def test_files_are_short() -> None:
    lengths = {module.name: len(module.text.splitlines()) for module in MODULES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_functions_are_short() -> None:
    lengths = {
        f"{module.name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in MODULES
        for node in module.functions()
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_modules_say_what_they_are_for() -> None:
    said = {module.name: ast.get_docstring(module.tree) or "" for module in MODULES}
    assert not [name for name, words in said.items() if not words]
    lines = {name: len([line for line in words.splitlines() if line.strip()]) for name, words in said.items()}
    # A tree of errors may be drawn.
    assert not {name for name, count in lines.items() if count > LONGEST_DOCSTRING and "──" not in said[name]}


def test_modules_have_names_that_say_something() -> None:
    assert not [module.name for module in MODULES if module.path.stem in FORBIDDEN_NAMES]


def test_nothing_is_left_to_do_later() -> None:
    marks = re.compile(r"\b(TO" + "DO|FIX" + r"ME)\b")
    assert not [module.name for module in MODULES if marks.search(module.text)]


def test_an_exception_of_any_kind_is_not_swallowed() -> None:
    handlers = [
        (module.name, node)
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
    ]
    assert not [f"{name}:{node.lineno}" for name, node in handlers if _takes_anything(node) and not _hands_on(node)]


def _takes_anything(node: ast.ExceptHandler) -> bool:
    return node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")


def _hands_on(node: ast.ExceptHandler) -> bool:
    """Raises it again, uses it, or has it logged with its traceback."""
    inside = list(ast.walk(node))
    return (
        any(isinstance(each, ast.Raise) for each in inside)
        or any(isinstance(each, ast.Name) and each.id == node.name for each in inside)
        or any(isinstance(each, ast.Attribute) and each.attr == "exception" for each in inside)
    )


def test_tests_are_named_as_sentences() -> None:
    names = [
        f"{module.name}.{node.name}"
        for module in MODULES
        for node in module.functions()
        if module.top == "tests" and node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not names
