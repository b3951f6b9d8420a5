"""Runs `python run.py` with an environment that knows nothing of this machine's portal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from launch import commands, ports

ROOT = commands.ROOT


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "KLAVIYO_", "SANDBOX_"))
    }
    # A port that was found free may be found free again.
    found: dict[int, None] = {}
    while len(found) < 3:
        found[ports.find_free()] = None
    portal, sandbox, apns = map(str, found)
    chosen = {
        "PORTAL_PORT": portal,
        "SANDBOX_PORT": sandbox,
        "SANDBOX_APNS_PORT": apns,
        "PORTAL_DATA_DIR": str(data_dir),
    }
    return {**plain, **chosen, **more}


def run(env: dict[str, str], command: tuple[str, ...] = (sys.executable, "run.py")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)
