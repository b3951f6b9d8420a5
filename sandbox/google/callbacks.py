"""Save and delete callbacks: written down as rows, then posted by a thread of their own, tried again, and given up.

No request waits for them. Best effort, as Google's are: the receiver may get one twice, late or never.
"""

import logging
import threading
import time

import requests

from sandbox.store import Row, Store

# How long after a failed try the next one follows. Google tells nobody its own schedule.
WAITS = (1.0, 5.0, 30.0)
DEADLINE_SECONDS = 10.0
_LONGEST_SLEEP = 60.0
_log = logging.getLogger(__name__)


class Poster:
    """Posts what is due. Its rows survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = threading.Condition()
        self._ending = False
        self._session = requests.Session()
        self._session.trust_env = False
        self._thread = threading.Thread(target=self._run, name="google-callbacks", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Something is due."""
        with self._news:
            self._news.notify()

    def stop(self) -> None:
        with self._news:
            self._ending = True
            self._news.notify()
        self._thread.join(DEADLINE_SECONDS + 1)
        self._session.close()

    def _run(self) -> None:
        while not self._ending:
            row = self._store.row("SELECT * FROM callback WHERE due <= ? ORDER BY due, pk LIMIT 1", (time.time(),))
            if row is None:
                self._sleep()
            else:
                self._post(row)

    def _sleep(self) -> None:
        with self._news:
            next_due = self._store.row("SELECT MIN(due) AS due FROM callback WHERE due IS NOT NULL")
            wait = _LONGEST_SLEEP if next_due is None or next_due["due"] is None else next_due["due"] - time.time()
            if wait > 0 and not self._ending:
                self._news.wait(min(wait, _LONGEST_SLEEP))

    def _post(self, row: Row) -> None:
        status = self._try(row["url"], row["body"])
        tries = row["tries"] + 1
        done = (status is not None and status < 300) or tries > len(WAITS)
        due = None if done else time.time() + WAITS[tries - 1]
        with self._store.writing() as connection:
            # A reset in the meantime may have given the number to another.
            connection.execute(
                "UPDATE callback SET status = ?, tries = ?, due = ? WHERE pk = ? AND nonce = ?",
                (status, tries, due, row["pk"], row["nonce"]),
            )

    def _try(self, url: str, body: str) -> int | None:
        """The status that was answered; None where nothing came. The answer's body is not read."""
        headers = {"Content-Type": "application/json", "User-Agent": "Googlebot"}
        try:
            with self._session.post(
                url, data=body.encode(), headers=headers, timeout=DEADLINE_SECONDS, allow_redirects=False, stream=True
            ) as answer:
                return answer.status_code
        except requests.RequestException as error:
            _log.info("a callback found nobody: %s", type(error).__name__)
            return None
