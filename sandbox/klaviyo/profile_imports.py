"""Bulk profile import: the jobs, and the thread that carries them out.

A malformed row refuses the whole request; what only shows while importing becomes an import error of that row.
"""

import base64
import json
import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.klaviyo import persons
from sandbox.klaviyo.errors import invalid
from sandbox.klaviyo.people import People
from sandbox.klaviyo.persons import Person, Problems
from sandbox.klaviyo.switches import Switches
from sandbox.store import Row, Store

log = logging.getLogger(__name__)

MOST_PROFILES = 10_000
POINTER = "/data/attributes/profiles/data"
_FIELDS = frozenset(("_kx",))
_UNFINISHED = "SELECT * FROM import_job WHERE status IN ('queued', 'processing') ORDER BY pk"


def read(parsed: Any, problems: Problems) -> tuple[list[Person], list[str]]:
    """The profiles and the list ids of a job's request."""
    data = parsed.get("data") if isinstance(parsed, dict) else None
    if not isinstance(data, dict) or data.get("type") != "profile-bulk-import-job":
        problems.append(invalid("The resource type must be 'profile-bulk-import-job'.", "/data/type"))
        return [], []
    attributes = data.get("attributes")
    holder = attributes.get("profiles") if isinstance(attributes, dict) else None
    rows = holder.get("data") if isinstance(holder, dict) else None
    if not isinstance(rows, list) or not rows:
        problems.append(invalid("This field is required and must be a non-empty array.", POINTER))
        return [], []
    if len(rows) > MOST_PROFILES:
        problems.append(invalid(f"A maximum of {MOST_PROFILES} profiles can be imported in one request.", POINTER))
    people = [persons.read(row, f"{POINTER}/{place}", problems, _FIELDS) for place, row in enumerate(rows)]
    return people, _lists(data, problems)


def _lists(data: dict[str, Any], problems: Problems) -> list[str]:
    """The lists to add the profiles to; each level may be absent, and none may be anything else."""
    found: Any = data
    for name in ("relationships", "lists", "data"):
        if name not in found:
            return []
        found = found[name]
        if not isinstance(found, list if name == "data" else dict):
            problems.append(invalid("Lists must be given as type 'list' and id.", "/data/relationships/lists/data"))
            return []
    good = all(
        isinstance(row, dict) and row.get("type") == "list" and isinstance(row.get("id"), str) for row in found
    )  # fmt: skip
    if not good:
        problems.append(invalid("Lists must be given as type 'list' and id.", "/data/relationships/lists/data"))
        return []
    return [row["id"] for row in found]


class Importer:
    def __init__(self, store: Store, switches: Switches) -> None:
        self._store = store
        self._switches = switches
        self._working = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="klaviyo-importer", daemon=True)
        self._thread.start()

    def accept(self, account: int, now: float, body: bytes, total: int, lists: list[str]) -> int:
        """Put a job in line; its body is on disk when this returns."""
        text = f"{secrets.token_hex(8)}:maintenance:{secrets.token_urlsafe(12)}"
        with self._store.writing() as connection:
            pk = self._store.take_keys("import_job", 1)
            connection.execute(
                "INSERT INTO import_job VALUES (?, ?, ?, 'queued', ?, NULL, NULL, ?, 0, 0, ?, ?)",
                (pk, account, base64.urlsafe_b64encode(text.encode()).decode(), now, total, json.dumps(lists), body),
            )
        if self._switches.import_step_seconds <= 0:
            self.advance()
        else:
            self._wake.set()
        return pk

    def advance(self) -> bool:
        """Take every job on that is due for its next state; True when some are still unfinished."""
        with self._working:
            for job in self._store.rows(_UNFINISHED):
                self._step(job)
        return self._store.count("SELECT COUNT(*) FROM import_job WHERE status IN ('queued', 'processing')") > 0

    def _step(self, job: Row) -> None:
        step, now = self._switches.import_step_seconds, self._switches.now()
        if job["status"] == "queued" and job["created"] + step <= now:
            with self._store.writing() as connection:
                connection.execute(
                    "UPDATE import_job SET status = 'processing', started = ? WHERE pk = ?", (now, job["pk"])
                )
            if step > 0:
                return
        if job["created"] + 2 * step <= now:
            self._import(job, now)

    def _import(self, job: Row, now: float) -> None:
        parsed = json.loads(job["body"])
        rows = parsed["data"]["attributes"]["profiles"]["data"]
        problems: Problems = []
        people, lists = read(parsed, problems)
        with self._store.writing() as connection:
            book = People(
                connection, self._store, job["account"], now, self._switches.merged_ids_resolve_seconds
            )  # fmt: skip
            book.load(people)
            done: list[int] = []
            failed = 0
            for place, person in enumerate(people):
                complaint = _complaint(book, person, rows[place])
                if complaint:
                    failed += 1
                    _note(connection, job["pk"], place, complaint, rows[place])
                    continue
                pk = book.resolve(person)
                if pk is not None:
                    book.clear(pk, person.cleared)
                    done.append(pk)
            book.settle()
            self._finish(connection, job, done, failed, lists, now)

    def _finish(
        self, connection: sqlite3.Connection, job: Row, done: list[int], failed: int, lists: list[str], now: float
    ) -> None:
        connection.executemany("INSERT OR IGNORE INTO import_profile VALUES (?, ?)", [(job["pk"], pk) for pk in done])
        for row in connection.execute(
            "SELECT pk FROM list WHERE account = ? AND id IN (SELECT value FROM json_each(?))",
            (job["account"], json.dumps(lists)),
        ).fetchall():
            connection.executemany(
                "INSERT OR IGNORE INTO list_member VALUES (?, ?, ?)", [(row["pk"], pk, now) for pk in done]
            )
        connection.execute(
            "UPDATE import_job SET status = 'complete', started = COALESCE(started, ?), completed = ?, done = ?,"
            " failed = ?, body = NULL WHERE pk = ?",
            (now, now, len(done), failed, job["pk"]),
        )

    def _run(self) -> None:
        unfinished = True
        while not self._stopped:
            self._wake.wait(timeout=0.05 if unfinished else 5.0)
            self._wake.clear()
            if self._stopped:
                return
            try:
                unfinished = self.advance()
            except Exception:  # settled here: the job keeps its state and is tried again; who runs the sandbox sees why
                log.exception("a profile import failed")
                self._wake.wait(timeout=1.0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        with self._working:
            yield

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=10)


def _complaint(book: People, person: Person, row: Any) -> tuple[str, str, str] | None:
    """(code, title, detail) of what keeps one well-formed row from being imported."""
    if len(json.dumps(row)) > persons.LARGEST_PROFILE:
        return "payload_too_large", "Payload too large.", "A profile must not exceed 100 KB."
    owners = book.owners(person)
    if person.identifiers[0][0] == "id" and not owners:
        return "not_found", "Not found.", f"A profile with id {person.identifiers[0][1]} does not exist."
    if len(owners) > 1:
        return "duplicate_profile", "Conflict.", "The identifiers belong to more than one profile."
    return None


def _note(connection: sqlite3.Connection, job: int, place: int, found: tuple[str, str, str], row: Any) -> None:
    code, title, detail = found
    connection.execute(
        "INSERT INTO import_error (job, id, code, title, detail, pointer, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (job, secrets.token_hex(12), code, title, detail, f"{POINTER}/{place}", json.dumps(row)),
    )
