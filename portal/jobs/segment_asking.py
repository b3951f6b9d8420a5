"""Questions to Klaviyo about one segment, for several threads at once: under its limits, with one refresh of a token that is not taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from portal import config
from portal.db import db
from portal.jobs import turns
from portal.klaviyo import Client, UnauthorizedError, segments
from portal.klaviyo.limits import SEGMENT, SEGMENT_COUNT
from portal.klaviyo.segments import Overview, Page
from portal.services.segment_schedule import Claim

R = TypeVar("R")

# For leave to let Klaviyo count; without its count the import goes on all the same.
WAIT_FOR_COUNT_SECONDS = 20.0


class TurnOverError(Exception):
    """There was no leave for a call before the end of the turn."""


class Asker:
    """`until` is the end of the turn on the monotonic clock. Raises a `KlaviyoError`, `turns.HaltError` or `TurnOverError`."""

    def __init__(self, claim: Claim, until: float) -> None:
        self._claim, self._until = claim, until
        self._lock = threading.Lock()
        self._token: str | None = None
        self.requests = 0

    def overview(self, *, counted: bool) -> Overview:
        if counted and not turns.has_leave(
            self._claim.merchant_id, SEGMENT_COUNT, time.monotonic() + WAIT_FOR_COUNT_SECONDS
        ):
            counted = False
        segment_id = self._claim.klaviyo_segment_id
        return self._ask(lambda client: segments.read_overview(client, segment_id, counted=counted))

    def members(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        size: int = segments.PAGE_SIZE,
        latest_first: bool = False,
    ) -> Page:
        segment_id = self._claim.klaviyo_segment_id
        return self._ask(
            lambda client: segments.read_members(
                client, segment_id, since=since, until=until, cursor=cursor, size=size, latest_first=latest_first
            )
        )

    def _ask(self, question: Callable[[Client], R]) -> R:
        if not turns.has_leave(self._claim.merchant_id, SEGMENT, self._until):
            raise TurnOverError
        token = self._usable_token(None)
        try:
            return self._put(question, token)
        except UnauthorizedError:
            return self._put(question, self._usable_token(token))

    def _put(self, question: Callable[[Client], R], token: str) -> R:
        with self._lock:
            self.requests += 1
        return question(Client(config.current().klaviyo_api_url, token))

    def _usable_token(self, rejected: str | None) -> str:
        with self._lock:
            if self._token is None or self._token == rejected:
                self._token = turns.token_for(self._claim.merchant_id, rejected)
                db.session.remove()
            return self._token
