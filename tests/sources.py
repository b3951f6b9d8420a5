"""The repository's own source, parsed once, for tests of the house rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("portal", "sandbox", "launch", "bench", "tests")
SCRIPTS = ("run.py", "worker.py", "wsgi.py")
TEMPLATES = ROOT / "portal" / "templates"


@dataclass(frozen=True)
class Module:
    """One Python file. `name` is dotted, a package's without `__init__`."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def imports(self) -> set[str]:
        """Everything it imports, dotted; `from a import b` counts as both `a` and `a.b`."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return found

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find() -> list[Module]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    paths += [ROOT / script for script in SCRIPTS]
    return [Module(path, _name(path)) for path in paths]


MODULES = _find()
PORTAL = [module for module in MODULES if module.top == "portal"]
PAGES = sorted(TEMPLATES.rglob("*.html"))
PARTIALS = [page for page in PAGES if page.name.startswith("_")]
