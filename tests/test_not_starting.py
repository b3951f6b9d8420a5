"""What keeps `make run` from starting is one clear line that names the setting and the remedy, never a trace."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launch import ports
from tests.launching import ROOT, environment, run


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "var")


@pytest.mark.parametrize("name", ["PORTAL_PORT", "SANDBOX_PORT", "SANDBOX_APNS_PORT"])
def test_a_taken_port_is_one_line_that_names_the_variable(name: str, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(env[name]))):
        done = run(env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert env[name] in done.stderr


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PORTAL_PORT": "eighty"}, "PORTAL_PORT"),
        ({"PORTAL_PORT": "70000"}, "PORTAL_PORT"),
        ({"SANDBOX_PORT": "0"}, "SANDBOX_PORT"),
        ({"PORTAL_WORKERS": "none"}, "PORTAL_WORKERS"),
        ({"PORTAL_DATA_DIR": "/dev/null/var"}, "PORTAL_DATA_DIR"),
        ({"PORTAL_DATABASE_URL": "mysql://here"}, "PORTAL_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_said_by_its_name(variables: dict[str, str], named: str, tmp_path: Path) -> None:
    done = run(environment(tmp_path / "var", **variables))
    assert done.returncode == 1
    assert named in done.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:secret@127.0.0.1:{port}/0", "No Redis answers at 127.0.0.1:{port}."),
        ("here", "PORTAL_REDIS_URL must look like redis://127.0.0.1:6379/0."),
    ],
)
def test_a_redis_that_does_not_answer_is_one_line(url: str, told: str, tmp_path: Path) -> None:
    port = ports.find_free()
    done = run(environment(tmp_path / "var", PORTAL_REDIS_URL=url.format(port=port)))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(told.format(port=port))
    assert "PORTAL_REDIS_URL" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://shop:secret@127.0.0.1:{port}/portal", "connection failed"),
        ("postgresql://shop:secret@127.0.0.1:one/portal", "must have a number for its port"),
        ("sqlite:////nowhere/at/all.sqlite3", "unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url: str, told: str, tmp_path: Path) -> None:
    done = run(environment(tmp_path / "var", PORTAL_DATABASE_URL=url.format(port=ports.find_free())))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PORTAL_DATABASE_URL" in done.stderr
    assert told in done.stderr
    assert "secret" not in done.stderr


def test_an_old_python_is_told_in_one_line(tmp_path: Path) -> None:
    code = "import sys; sys.version_info = (3, 9, 2); sys.argv = ['run.py']; exec(compile(open('run.py').read(), 'run.py', 'exec'))"
    done = run(environment(tmp_path), (sys.executable, "-c", code))
    assert done.returncode == 1
    assert done.stderr == "The portal needs Python 3.11 or newer; this is 3.9.\n"


def test_make_says_in_one_line_that_python_is_missing(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["make", "run", "PYTHON=/nowhere/python"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("make")] == [
        "Python 3.11 or newer is needed and was not found. Install it, or name it: make PYTHON=/path/to/python run"
    ]


def test_make_names_the_version_of_a_python_that_is_too_old(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\ncase "$2" in *sys.exit*) exit 1 ;; *) echo 3.9 ;; esac\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "run", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("make")] == [
        f"Python 3.11 or newer is needed; {old} is 3.9. Install a newer one, or name it: make PYTHON=/path/to/python run"
    ]


@pytest.mark.parametrize("command", [("worker.py",), ("-m", "flask", "--app", "wsgi", "doctor")])
def test_in_production_a_process_without_secrets_refuses_to_start_in_one_line(
    env: dict[str, str], command: tuple[str, ...]
) -> None:
    done = run({**env, "PORTAL_ENV": "production"}, (sys.executable, *command))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PORTAL_SECRET_KEY" in done.stderr
