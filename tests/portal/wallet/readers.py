"""Readers of a `.pkpass` that know nothing of ours: openssl for the signature and the chain, KDE's library for the card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("kde_reader.cpp")


def _need(missing: str) -> None:
    """What is missing is a failure where nothing may be skipped."""
    if missing and os.environ.get("PORTAL_TESTS_REQUIRE_ALL") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def verify(folder: Path, root_pem: bytes, signature: bytes, manifest: bytes) -> subprocess.CompletedProcess[str]:
    """As a phone: only the root is trusted; the chain to it must be in the signature."""
    _need("" if shutil.which("openssl") else "openssl is not installed")
    for name, content in {"s": signature, "m": manifest, "root.pem": root_pem}.items():
        (folder / name).write_bytes(content)
    words = [
        "openssl", "cms", "-verify", "-inform", "DER", "-in", "s", "-content", "m", "-CAfile", "root.pem",
        "-purpose", "any", "-binary", "-out", "signed",
    ]  # fmt: skip
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def compile_reader(folder: Path) -> Path:
    """A program around Debian's libkpimpkpass."""
    needed = [shutil.which("g++"), shutil.which("pkg-config"), Path("/usr/include/KPim/KPkPass").is_dir()]
    _need("" if all(needed) else "g++, pkg-config and libkpimpkpass-dev are not all installed")
    program = folder / "read"
    qt = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "Qt5Gui"], capture_output=True, text=True, check=True
    ).stdout
    words = ["g++", "-fPIC", "-I/usr/include/KPim", str(SOURCE), "-o", str(program), *qt.split(), "-lKPimPkPass"]
    subprocess.run(words, check=True, timeout=120)
    return program


def read_card(reader: Path, package: Path) -> dict[str, Any]:
    """What the program understood."""
    told = subprocess.run([reader, package], capture_output=True, check=True, timeout=60).stdout
    read: dict[str, Any] = json.loads(told)
    return read
