"""Starts the portal's processes quickly: each is forked from a server that has imported the libraries already.

What runs is the same command in a real process of its own, with its own environment, group and log.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path

from launch.processes import Child, dies_with_us

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.nursery", "worker"])


class Forked:
    """As much of `subprocess.Popen` as `Child` needs."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path, cwd: Path) -> None:
        self._process = _context.Process(target=_become, args=(command, env, str(log), str(cwd)))
        self._process.start()
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)


class QuickChild(Child):
    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = Forked(self._command, dict(self._env), self.log, self._cwd)  # type: ignore[assignment]


def _become(command: list[str], env: dict[str, str], log: str, cwd: str) -> None:
    """Turn this fresh process into `python ...` as the command line says."""
    os.setsid()
    # Among others the pipe by which the server that forked us sees that the tests are over.
    os.closerange(3, 4096)
    if promise := dies_with_us(parent=os.getppid()):
        promise()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    if command[1] == "-m":
        sys.argv = command[2:]
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command[1:]
        runpy.run_path(command[1], run_name="__main__")
