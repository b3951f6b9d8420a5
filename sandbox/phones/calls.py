"""One HTTP exchange of a phone: a deadline for the whole of it, a bounded answer, and no redirect followed by itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

_CONNECT_SECONDS, _DEADLINE_SECONDS = 5.0, 15.0
_LARGEST_BYTES = 8_000_000

SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.6 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/142.0.0.0 Mobile Safari/537.36"
)
WALLET = "passd/1.0 CFNetwork/1568.300.101 Darwin/24.6.0"


class UnreachableError(Exception):
    """There was no answer, or none that could be read."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def exchange(method: str, url: str, headers: Mapping[str, str], json: Any = None) -> Reply:
    """Raises `UnreachableError`."""
    ends = time.monotonic() + _DEADLINE_SECONDS
    try:
        with requests.request(
            method, url, headers=dict(headers), json=json, allow_redirects=False, stream=True,
            timeout=(_CONNECT_SECONDS, _DEADLINE_SECONDS),
        ) as response:  # fmt: skip
            body = b""
            for piece in response.iter_content(65_536):
                body += piece
                if len(body) > _LARGEST_BYTES or time.monotonic() > ends:
                    raise UnreachableError("the answer was too long")
            return Reply(response.status_code, response.headers, body)
    except (requests.RequestException, ValueError) as error:
        # Not its text: that may hold the address with a card's token.
        raise UnreachableError(f"no answer ({type(error).__name__})") from error
