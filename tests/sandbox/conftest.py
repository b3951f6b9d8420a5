"""A sandbox on a real socket for each test, and a small client that talks to it as Klaviyo's clients do.

Nothing is patched: whatever a test needs to happen is ordered over HTTP.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.serving import BaseWSGIServer, make_server

from launch import ports
from sandbox import create_app
from sandbox.apple.authority import Authority
from sandbox.config import Config
from sandbox.google import identity
from tests.sandbox.endpoint import Endpoint, listening
from tests.sandbox.google_phone import Portal, Receiver
from tests.sandbox.shop import Shop

KEY = "pk_test_key_of_nordic_coffee"
NORDIC, HARBOR = "K9x2Lm", "H4rB0r"
REDIRECT = "http://127.0.0.1:9/callback"


class Running:
    """A sandbox that listens, with shorthands for its two sides: the API and the control address."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.session = requests.Session()
        self.start()

    def start(self) -> None:
        self.app = create_app(self.config)
        self.server: BaseWSGIServer = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        self.app.extensions["klaviyo_stand_in"].close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.session.close()
        self.stop()

    def api(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any
    ) -> requests.Response:
        """One API call with the private key, or with an access token."""
        authorization = f"Bearer {token}" if token else f"Klaviyo-API-Key {KEY}"
        headers = {"Authorization": authorization, "revision": "2026-07-15", **more.pop("headers", {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/vnd.api+json")
        more.setdefault("timeout", 20)
        return self.session.request(
            method, self.url + path, json=body, headers=headers, allow_redirects=False, **more
        )  # fmt: skip

    def control(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        answer = self.session.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=20)
        assert answer.status_code == expect if expect else answer.ok, answer.text
        return answer.json()

    def events(self, account: str = NORDIC) -> list[dict[str, Any]]:
        """What was sent and recorded, without what the sandbox was seeded with and what its flows sent."""
        found = self.control("GET", f"/events?account={account}&limit=10000")["events"]
        return [each for each in found if each["metric"] not in ("Placed Order", "Received Email")]

    def profile(self, email: str) -> dict[str, Any]:
        found = self.api("GET", "/api/profiles", params={"filter": f'equals(email,"{email}")'}).json()["data"]
        assert len(found) == 1, found
        only: dict[str, Any] = found[0]
        return only


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts sandboxes with settings of one's own."""
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        chosen = {"limits": False, "visibility_seconds": 0, **settings}
        config = Config(
            data_dir=tmp_path / f"sandbox{len(running)}", private_key=KEY, redirect_uri=REDIRECT,
            client_id="portal", client_secret="secret-of-the-portal", install_url="http://127.0.0.1:9/install", **chosen,
        )  # fmt: skip
        running.append(Running(config))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def klaviyo(start_sandbox: Callable[..., Running]) -> Running:
    """A sandbox without limits in which everything is visible at once."""
    return start_sandbox()


@pytest.fixture(scope="session")
def google_account() -> dict[str, Any]:
    """One for all sandboxes: making its key takes a while."""
    return identity.make_account("http://127.0.0.1:8100", "portal")


@pytest.fixture
def google(klaviyo: Running, google_account: dict[str, Any]) -> Portal:
    """A portal that speaks to the stand-in for Google Wallet."""
    return Portal.invited(klaviyo, google_account)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes callbacks."""
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Takes webhooks."""
    with listening() as found:
        yield found


@pytest.fixture
def running(start_sandbox: Callable[..., Running]) -> Running:
    """One with Apple's push service."""
    return start_sandbox(apns_port=ports.find_free())


@pytest.fixture
def shop(running: Running) -> Iterator[Shop]:
    found = Shop(Authority(running.config.apple_dir), f"https://127.0.0.1:{running.config.apns_port}")
    yield found
    found.close()


def event(
    unique_id: str | None = None, metric: str = "Balance changed", profile: Any = None, **more: Any
) -> dict[str, Any]:
    """The body of `POST /api/events`."""
    attributes = {
        "properties": {"balance": 10},
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
        "profile": {"data": person(profile)},
        **more,
    }
    if unique_id is not None:
        attributes["unique_id"] = unique_id
    return {"data": {"type": "event", "attributes": attributes}}


def person(given: Any = None) -> dict[str, Any]:
    """A profile resource; the member `id`, if any, goes where it belongs."""
    attributes = {"email": "ann@example.com"} if given is None else dict(given)
    named = {"id": attributes.pop("id")} if "id" in attributes else {}
    return {"type": "profile", **named, "attributes": attributes}


def bulk(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a bulk request, from bodies of single ones."""
    rows = []
    for each in events:
        attributes = dict(each["data"]["attributes"])
        profile = attributes.pop("profile")
        inner = {"data": [{"type": "event", "attributes": attributes}]}
        rows.append({"type": "event-bulk-create", "attributes": {"profile": profile, "events": inner, **more}})
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": rows}}}}


def upsert(meta: Any = None, **attributes: Any) -> dict[str, Any]:
    """The body of `POST /api/profile-import`."""
    data = person(attributes)
    return {"data": data if meta is None else {**data, "meta": {"patch_properties": meta}}}


def pointers(answer: requests.Response) -> list[str]:
    return [error["source"].get("pointer") or error["source"]["parameter"] for error in answer.json()["errors"]]


def until(true: Callable[[], Any], seconds: float = 10) -> Any:
    """Wait for something to come true, with a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found
