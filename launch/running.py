"""`make run` from start to end: prepare, start everything, say where to go, watch, stop everything.

Whatever way it ends, no process of ours is left behind.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import FrameType

from launch import commands, embedded_redis, kept, plan, reaching, waiting, words
from launch.commands import ROOT
from launch.ending import Ending
from launch.kept import Kept
from launch.plan import Plan
from launch.problems import StartError
from launch.processes import Child, stop
from launch.watching import Watch

WORK_ENDS_SECONDS = 20.0
REST_ENDS_SECONDS = 10.0
LOOK_SECONDS = 0.25


def main(env: Mapping[str, str]) -> int:
    """The exit code."""
    stopping = Ending()
    _end_on_signals(stopping)
    try:
        wanted = plan.read(env)
        folder_lock = _own_data_dir(wanted)
        plan.check_ports(wanted)
        if wanted.redis_url:
            reaching.check_redis(wanted.redis_url)
        run = Run(wanted, kept.load(wanted.data_dir), env, stopping)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        return run.until_stopped()
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        run.stop()
        os.close(folder_lock)


class Run:
    """The processes of one start. Those in `_work` end before those in `_ground`, on which they stand."""

    def __init__(self, wanted: Plan, secrets: Kept, env: Mapping[str, str], stopping: Ending) -> None:
        self._plan, self._kept, self._stopping = wanted, secrets, stopping
        self._ground: list[Child] = []
        self._work: list[Child] = []
        redis_url = wanted.redis_url or self._embed_redis()
        self._env = commands.environment(env, wanted, secrets, redis_url)

    def _embed_redis(self) -> str:
        folder = self._plan.data_dir / "redis"
        port = embedded_redis.configure(folder, self._kept.redis_password)
        self._ground.append(self._child("redis", embedded_redis.command(folder), {}))
        return embedded_redis.url(port, self._kept.redis_password)

    def _child(self, name: str, command: list[str], env: Mapping[str, str]) -> Child:
        return Child(name, command, env, self._plan.logs, ROOT)

    def until_stopped(self) -> int:
        """Start, then watch until a signal, or until a process cannot be kept alive."""
        words.write_settings(self._plan, self._env)
        if not self._plan.real_klaviyo:
            self._run(commands.sandbox_keys(), self._env, "The sandbox's certificates and keys could not be made")
        self._add_processes()
        for child in self._ground:
            child.start()  # they need no database, and come up while it is prepared
        self._prepare()
        for child in self._work:
            child.start()
        self._wait_until_ready()
        if self._stopping.asked:
            return 0
        words.write_demo(self._plan, self._kept)
        words.say(words.welcome(self._plan, self._kept))
        return self._watch()

    def _prepare(self) -> None:
        """Migrate and seed while nothing else is running."""
        words.say("Preparing the database ...")
        key_file = self._plan.data_dir / words.API_KEY_FILE
        self._flask("db", "upgrade", doing="The database could not be migrated")
        self._flask(
            *("demo", "--email", self._kept.email, "--api-key-out", str(key_file)), doing="The demo could not be set up"
        )

    def _flask(self, *arguments: str, doing: str) -> None:
        env = {**self._env, "PORTAL_DEMO_PASSWORD": self._kept.password, "PORTAL_LOG_LEVEL": "WARNING"}
        self._run(commands.flask(*arguments), env, doing)

    def _run(self, command: list[str], env: Mapping[str, str], doing: str) -> None:
        """Let one command end before the next. Raises `StartError`."""
        done = subprocess.run(
            command, env=dict(env), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if self._stopping.asked:
            raise StartError("Stopped.")
        if done.returncode:
            self._plan.logs.mkdir(parents=True, exist_ok=True)
            log = self._plan.logs / "prepare.log"
            log.write_text(done.stdout + done.stderr)
            raise StartError(words.last_words(done.stdout + done.stderr) or f"{doing}; see {log}.")

    def _add_processes(self) -> None:
        if not self._plan.real_klaviyo:
            self._ground.append(self._child("sandbox", commands.sandbox(self._plan.sandbox_port), self._env))
        self._work.append(self._child("web", commands.web(self._plan.portal_port), self._env))
        for number in range(1, self._plan.workers + 1):
            self._work.append(self._child(f"worker-{number}", commands.worker(), self._env))
        self._work.append(self._child("ticker", commands.ticker(), self._env))
        self._work.append(self._child("importer", commands.importer(), self._env))

    def _wait_until_ready(self) -> None:
        words.say("Starting ...")
        addresses = {"web": f"{self._plan.portal_url}/healthz"}
        if not self._plan.real_klaviyo:
            addresses["sandbox"] = f"http://{plan.HOST}:{self._plan.sandbox_port}/_sandbox/health"
        waiting.until_they_answer(addresses, [*self._ground, *self._work], self._stopping)

    def _watch(self) -> int:
        watch, parent = Watch([*self._ground, *self._work]), os.getppid()
        while not self._stopping.asked_within(LOOK_SECONDS):
            watch.look()
            if "MAKELEVEL" in self._env and os.getppid() != parent:
                break  # `make` was killed and could not tell us
        return 0

    def stop(self) -> None:
        """End everything: first those who work, then what they work with."""
        if any(child.process for child in (*self._ground, *self._work)):
            words.say("Stopping ...")
        stop(self._work, WORK_ENDS_SECONDS)
        stop(self._ground, REST_ENDS_SECONDS)


def _end_on_signals(stopping: Ending) -> None:
    """Ctrl-C, `kill` and a closed terminal end us in good order; a second Ctrl-C need not wait."""

    def end(_signum: int, _frame: FrameType | None) -> None:
        if stopping.asked:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        stopping.ask()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup make run` means it
        signal.signal(signal.SIGHUP, end)


def _own_data_dir(wanted: Plan) -> int:
    """Create the data folder and lock it against a second start; the lock's file descriptor. Raises `StartError`."""
    try:
        wanted.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(wanted.data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(f"PORTAL_DATA_DIR ({wanted.data_dir}) cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 500, 0).decode("utf-8", "replace").strip()
        raise StartError(
            f"Another portal is running from this folder ({owner or wanted.data_dir}). "
            "For a second one beside it, set PORTAL_DATA_DIR, PORTAL_PORT and SANDBOX_PORT."
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"pid {os.getpid()}, {wanted.public_url}\n".encode(), 0)
    return lock
