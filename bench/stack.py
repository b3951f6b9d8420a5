"""The whole product for one benchmark, in a folder and on ports of its own: the same processes that `make run` starts.

Workers and ticker are started apart, so that a backlog can be laid up before anybody delivers it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import psutil
import requests
from sqlalchemy import create_engine, text

from launch import commands, embedded_redis, kept, plan, ports, waiting
from launch.ending import Ending
from launch.processes import Child, stop
from tests.servers import Postgres

ACCOUNT = "K9x2Lm"
DATABASES = ("sqlite", "postgresql")


class Stack:
    """Running processes, a merchant who is connected with Events switched on, and an API key."""

    def __init__(self, folder: Path, database_url: str, *, limits: bool, **variables: str) -> None:
        wanted = {
            "PORTAL_PORT": str(ports.find_free()),
            "SANDBOX_PORT": str(ports.find_free()),
            "SANDBOX_APNS_PORT": str(ports.find_free()),
            "PORTAL_DATA_DIR": str(folder),
        }
        self.plan = plan.read(wanted)
        self.secrets = kept.load(folder)
        port = embedded_redis.configure(folder / "redis", self.secrets.redis_password)
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PORTAL_", "KLAVIYO_", "SANDBOX_"))
        }
        env |= {**wanted, "PORTAL_LOG_LEVEL": "WARNING", "SANDBOX_VISIBILITY_SECONDS": "0", **variables}
        env["PORTAL_DATABASE_URL"] = database_url
        env |= (
            {"PORTAL_KLAVIYO_PACING": "on", "SANDBOX_LIMITS": "on"}
            if limits
            else {
                "PORTAL_KLAVIYO_PACING": "off",
                "SANDBOX_LIMITS": "off",
            }
        )
        self.env = commands.environment(
            env, self.plan, self.secrets, embedded_redis.url(port, self.secrets.redis_password)
        )
        self.database_url = self.env["PORTAL_DATABASE_URL"]
        self._folder = folder
        self.ground = [
            self._child("redis", embedded_redis.command(folder / "redis")),
            self._child("sandbox", commands.sandbox(self.plan.sandbox_port)),
        ]
        self.web = self._child("web", commands.web(self.plan.portal_port))
        self.delivering = [self._child(f"worker-{number}", commands.worker()) for number in (1, 2)]
        self.delivering.append(self._child("ticker", commands.ticker()))
        self.importing = self._child("importer", commands.importer())

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(name, command, self.env, self.plan.logs, commands.ROOT)

    @property
    def children(self) -> list[Child]:
        return [self.web, *self.delivering, self.importing, *self.ground]

    def start(self) -> None:
        self._run(commands.sandbox_keys())
        self._flask("db", "upgrade")
        key_file = self._folder / "api-key.txt"
        self._flask("demo", "--email", self.secrets.email, "--api-key-out", str(key_file))
        self.api_key = key_file.read_text().strip()
        for child in (*self.ground, self.web):
            child.start()
        addresses = {"web": f"{self.plan.portal_url}/healthz", "sandbox": f"{self.plan.sandbox_url}/_sandbox/health"}
        waiting.until_they_answer(addresses, [*self.ground, self.web], Ending())
        self._connect()

    def start_delivering(self) -> None:
        for child in self.delivering:
            child.start()

    def _flask(self, *words: str) -> None:
        self._run(commands.flask(*words))

    def _run(self, command: list[str]) -> None:
        env = {**self.env, "PORTAL_DEMO_PASSWORD": self.secrets.password}
        child = Child("prepare", command, env, self.plan.logs, commands.ROOT)
        child.start()
        assert child.process is not None
        if child.process.wait():
            raise RuntimeError(child.last_lines())

    def _connect(self) -> None:
        """Walk the wizard as a browser without JavaScript would."""
        portal, klaviyo = self.plan.portal_url, "/settings/integrations/klaviyo"
        with self.browser() as (browser, token):
            consent = browser.post(f"{portal}{klaviyo}/connect", data={"csrf_token": token})
            answer = {**_hidden(consent.text), "decision": "allow", "account": ACCOUNT}
            back = browser.post(f"{self.plan.sandbox_url}/oauth/authorize", data=answer)
            token = _hidden(back.text)["csrf_token"]
            switched = browser.post(
                f"{portal}/modules/switches", data={"csrf_token": token, "module": "events", "on": "yes"}
            )
            switched.raise_for_status()

    @contextmanager
    def browser(self) -> Iterator[tuple[requests.Session, str]]:
        """A session of the owner's, and the token for its forms."""
        portal = self.plan.portal_url
        with requests.Session() as browser:
            login = browser.get(f"{portal}/login").text
            who = {"email": self.secrets.email, "password": self.secrets.password}
            browser.post(f"{portal}/login", data={**_hidden(login), **who}).raise_for_status()
            yield browser, _hidden(browser.get(f"{portal}/settings/integrations/klaviyo").text)["csrf_token"]

    def order(self, method: str, path: str, **wanted: Any) -> dict[str, Any]:
        """An order to the sandbox, below its API."""
        answer = requests.request(method, f"{self.plan.sandbox_url}/_sandbox/{path}", json=wanted, timeout=600)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def ledger(self) -> dict[str, Any]:
        """What the sandbox's Klaviyo has, by its own count."""
        ledger: dict[str, Any] = requests.get(
            f"{self.plan.sandbox_url}/_sandbox/ledger", params={"account": ACCOUNT}, timeout=60
        ).json()
        return ledger

    def rows(self, statement: str) -> list[Any]:
        """From the portal's database; for figures afterwards, never while a benchmark runs."""
        engine = create_engine(self.database_url)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)))
        finally:
            engine.dispose()

    def memory(self) -> dict[str, float]:
        """Resident MB of each process; a server with children names each of them."""
        found = {}
        for child in self.children:
            if child.process is None or child.exit_code is not None:
                continue
            process = psutil.Process(child.process.pid)
            for number, each in enumerate((process, *process.children())):
                found[f"{child.name}{f' {number}' if number else ''}"] = each.memory_info().rss / 1e6
        return found

    def stop(self) -> None:
        stop([self.web, *self.delivering, self.importing], 10)
        stop(self.ground, 5)


def ended_at(call: Any) -> float:
    """When Klaviyo's answer to a row of `calls` was there, in seconds since 1970."""
    started = call.started_at
    moment = datetime.fromisoformat(started).replace(tzinfo=UTC) if isinstance(started, str) else started
    return float(moment.timestamp()) + call.duration_ms / 1000


def _hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    fields = {}
    for tag in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            fields[unescape(name[1])] = unescape(value[1])
    return fields


@contextmanager
def running(database: str, *, limits: bool, **variables: str) -> Iterator[Stack]:
    """`variables` are for the environment of all its processes."""
    with ground(database) as (folder, url):
        stack = Stack(folder, url, limits=limits, **variables)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@contextmanager
def ground(database: str) -> Iterator[tuple[Path, str]]:
    """A folder, and an empty `sqlite` or `postgresql`; the latter is a cluster of its own, with its settings as they come."""
    folder = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    cluster = Postgres(careless=False).start() if database == "postgresql" else None
    try:
        yield folder, cluster.create("bench") if cluster else f"sqlite:///{folder / 'portal.sqlite3'}"
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
