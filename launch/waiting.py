"""Waiting for servers that have just been started, and telling at once when one of them does not come up."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from launch.ending import Ending
from launch.problems import StartError
from launch.processes import Child
from launch.words import obituary

START_SECONDS = 60.0


def until_they_answer(addresses: Mapping[str, str], children: Iterable[Child], stopping: Ending) -> None:
    """Return when every address answers 200, or when told to stop. Raises `StartError` when a child has ended or time is up."""
    silent, children = dict(addresses), list(children)
    deadline = time.monotonic() + START_SECONDS
    while silent and not stopping.asked_within(0.1):
        for child in children:
            if child.exit_code is not None:
                raise StartError(obituary(child))
        silent = {name: address for name, address in silent.items() if not answers(address)}
        if silent and time.monotonic() > deadline:
            name, address = next(iter(silent.items()))
            raise StartError(f"{name} did not answer at {address} within {START_SECONDS:.0f} s; see its log.")


def answers(address: str) -> bool:
    """Whether a GET is answered 200. Goes straight there: a proxy has no place between us and this machine."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
