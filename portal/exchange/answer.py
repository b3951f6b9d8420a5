"""What came back, bounded in size and time, not yet judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One exchange. `status` is None where no whole answer arrived, and then `failure` says why."""

    method: str
    path: str
    started_at: datetime
    duration_ms: int
    status: int | None = None
    content_type: str = ""
    retry_after: int | None = None  # seconds, as the other side asked
    body: bytes = b""
    failure: str | None = None

    @property
    def is_json(self) -> bool:
        return "json" in self.content_type

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def whole_seconds(text: str | None) -> int | None:
    """`Retry-After` as seconds: a number, or an HTTP date (RFC 9110, 10.2.3). None where it is neither."""
    if not text:
        return None
    try:
        return max(0, round(float(text)))
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0, round((at - datetime.now(UTC)).total_seconds()))
