"""Real servers for tests: Redis, PostgreSQL, the sandbox, and the portal's own processes.

Each has a port and a folder of its own, and ends with the test run even if that is killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from glob import glob
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from launch import commands, embedded_redis, ports
from launch.processes import Child, dies_with_us, stop
from launch.waiting import answers
from portal.config import Settings
from tests.nursery import QuickChild
from tests.waiting import eventually

HOST = "127.0.0.1"


class RedisServer:
    """A Redis without memory of its own: what is in it is gone when it is killed."""

    def __init__(self, folder: Path, program: str | None = None) -> None:
        self.port = ports.find_free()
        self.url = f"redis://{HOST}:{self.port}/0"
        program = program or str(embedded_redis.binary())
        command = [program, "--port", str(self.port), "--bind", HOST, "--save", "", "--dir", str(folder)]
        self.child = Child(f"redis-{self.port}", command, os.environ, folder, folder)

    def start(self) -> RedisServer:
        self.child.start()
        eventually(self.answers)
        return self

    def answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def empty(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushall()

    def send(self, signum: int) -> None:
        self.child.send(signum)
        if signum == signal.SIGKILL:
            self.child.sweep()

    def stop(self) -> None:
        self.child.send(signal.SIGCONT)
        self.child.sweep()


def find_pg_ctl() -> Path | None:
    """PostgreSQL's programs, newest first where several are installed."""
    installed = sorted(glob("/usr/lib/postgresql/*/bin/pg_ctl"), reverse=True)
    found = next(iter(installed), None) or shutil.which("pg_ctl")
    return Path(found).resolve() if found else None


class Postgres:
    """A cluster of its own in a temporary folder; as careless about its disk as a test may be, unless told otherwise."""

    def __init__(self, *, careless: bool = True) -> None:
        self._careless = careless
        pg_ctl = find_pg_ctl()
        assert pg_ctl is not None, "PostgreSQL is not installed"
        self._programs = pg_ctl.parent
        self.port = ports.find_free()
        self._folder = Path(tempfile.mkdtemp(prefix="portal-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Postgres:
        data = self._folder / "data"
        initdb = ["initdb", "-D", str(data), "-U", "portal", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run(initdb).wait()
        careless = (
            ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off") if self._careless else ()
        )
        own = (f"port={self.port}", f"listen_addresses={HOST}", f"unix_socket_directories={self._folder}")
        options = [word for option in (*careless, *own, "max_connections=200") for word in ("-c", option)]
        self._process = self._run(["postgres", "-D", str(data), *options])
        eventually(self._answers, 120)
        return self

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{command[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / command[0]), *command[1:]],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                preexec_fn=dies_with_us(),
            )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "postgres.log").read_text()
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://portal@{HOST}:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        address = f"postgresql://portal@{HOST}:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def create(self, database: str, template: str | None = None) -> str:
        """A database, as a copy of another one where named; its URL."""
        self.execute(f"CREATE DATABASE {database}" + (f" TEMPLATE {template}" if template else ""))
        return self.url(database)

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # fast: does not wait for clients
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process read these settings."""
    path = {
        name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "KLAVIYO_", "SANDBOX_"))
    }
    return {
        **path,
        "PORTAL_PUBLIC_URL": settings.public_url,
        "PORTAL_DATA_DIR": str(settings.data_dir),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_REDIS_URL": settings.redis_url,
        "PORTAL_KLAVIYO_API_URL": settings.klaviyo_api_url,
        "PORTAL_KLAVIYO_WEB_URL": settings.klaviyo_web_url,
        "KLAVIYO_CLIENT_ID": settings.klaviyo_client_id,
        "KLAVIYO_CLIENT_SECRET": settings.klaviyo_client_secret,
        "PORTAL_APPLE_PASS_CERTIFICATE": settings.apple_pass_certificate,
        "PORTAL_APPLE_INTERMEDIATE": settings.apple_intermediate,
        "PORTAL_APPLE_PUSH_URL": settings.apple_push_url,
        "PORTAL_APPLE_PUSH_CA": settings.apple_push_ca,
        "PORTAL_GOOGLE_SERVICE_ACCOUNT": settings.google_service_account,
        "PORTAL_GOOGLE_ISSUER_ID": settings.google_issuer_id,
        "PORTAL_GOOGLE_TOKEN_URL": settings.google_token_url,
        "PORTAL_GOOGLE_API_URL": settings.google_api_url,
        "PORTAL_GOOGLE_SAVE_URL": settings.google_save_url,
        "PORTAL_GOOGLE_KEYS_URL": settings.google_keys_url,
        "PORTAL_KLAVIYO_PACING": "on" if settings.klaviyo_pacing else "off",
        "PORTAL_LEASE_SECONDS": str(settings.lease_seconds),
        "PORTAL_LANES": str(settings.lanes),
        "PORTAL_WORKERS": str(settings.workers),
        "PYTHONUNBUFFERED": "1",
    }


class SandboxServer:
    """The stand-ins for Klaviyo and Apple, as `make run` starts them."""

    def __init__(self, folder: Path, port: int, variables: Mapping[str, str]) -> None:
        self.url = f"http://{HOST}:{port}"
        own = {
            "SANDBOX_DATA_DIR": str(folder / "sandbox"),
            "SANDBOX_PORT": str(port),
            "SANDBOX_APNS_PORT": str(ports.find_free()),
            "SANDBOX_VISIBILITY_SECONDS": "0",
        }
        self.child = Child("sandbox", commands.sandbox(port), {**os.environ, **own, **variables}, folder, commands.ROOT)

    def start(self) -> SandboxServer:
        self.child.start()
        eventually(lambda: answers(f"{self.url}/_sandbox/health") or self._must_run(), 120)
        return self

    def _must_run(self) -> bool:
        assert self.child.exit_code is None, self.child.last_lines(50)
        return False

    def stop(self) -> None:
        stop([self.child], 5)


class Processes:
    """The portal's own processes against the settings of one test; all end with it."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self.settings, self._logs = settings, logs
        self.children: list[Child] = []

    def worker(self, **variables: str) -> Child:
        return self._start("worker", commands.worker(), variables)

    def ticker(self, **variables: str) -> Child:
        return self._start("ticker", commands.ticker(), variables)

    def importer(self, **variables: str) -> Child:
        return self._start("importer", commands.importer(), variables)

    def web(self, port: int, *, workers: int = 1, **variables: str) -> str:
        """Its address, once it answers."""
        # It starts processes itself, which one that was forked from a nursery cannot.
        child = self._start("web", commands.web(port, workers=workers), variables, kind_of_child=Child)
        url = f"http://{HOST}:{port}"
        eventually(lambda: answers(f"{url}/healthz") or child.exit_code is not None, 120)
        assert child.exit_code is None, child.last_lines(50)
        return url

    def _start(
        self, kind: str, command: list[str], variables: Mapping[str, str], kind_of_child: type[Child] = QuickChild
    ) -> Child:
        env = {**environment(self.settings), **variables}
        child = kind_of_child(f"{kind}-{len(self.children) + 1}", command, env, self._logs, commands.ROOT)
        child.start()
        self.children.append(child)
        return child

    def kill(self, child: Child) -> None:
        """As a crash would: at once, with everything it had under way."""
        child.sweep()

    def stop(self) -> None:
        for child in self.children:
            child.send(signal.SIGCONT)
        stop(self.children, 10)

    def crashes(self) -> str:
        """What their logs say that should never be there."""
        logs = {child.name: child.log.read_text() for child in self.children if child.log.exists()}
        found = {name: _without_lost_redis(text) for name, text in logs.items()}
        return "\n".join(f"--- {name}\n{text[-6000:]}" for name, text in found.items() if "Traceback" in text)


def _without_lost_redis(log: str) -> str:
    """RQ logs an exception when it loses Redis; that is its way of saying so."""
    lines = log.splitlines()
    return "\n".join(
        line
        for line in lines
        if not ('"rq.worker"' in line and ("redis.exceptions" in line or "rq.exceptions" in line))
    )
