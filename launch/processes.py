"""A child process with a log file of its own: started in its own group, stopped as a group, and gone when we are gone.

Start children from the main thread only: the kernel's promise to end them is tied to the thread that started them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

LOG_BYTES = 5 << 20
PR_SET_PDEATHSIG = 1


class Child:
    """A command that can be started again; `name` is what its log file and messages call it."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], logs: Path, cwd: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._command, self._env, self._cwd = command, env, cwd

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=dict(self._env),
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_us(),
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll() if self.process else None

    def send(self, signum: int) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signum)

    def sweep(self) -> None:
        """Kill whatever is left of its group, its own children included."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nobody left; PermissionError is how macOS says it
        finally:
            self.process.wait()

    def last_lines(self, count: int = 15) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 16_384))
            return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-count:])


def stop(children: Iterable[Child], seconds: float) -> None:
    """Ask all of them to end, wait for that long, then end them."""
    children = list(children)
    for child in children:
        child.send(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(child.process and child.exit_code is None for child in children):
        time.sleep(0.05)
    for child in children:
        child.sweep()


def dies_with_us(parent: int | None = None) -> Callable[[], None] | None:
    """On Linux: for a new process to call, so that the kernel ends it when its parent is killed and cannot do it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, parent or os.getpid()

    def promise() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it was gone before the promise was made

    return promise
