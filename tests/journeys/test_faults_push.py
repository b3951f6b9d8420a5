"""What Apple and Google may answer, workers that die between the call and its note: shown once, nothing lost, and the reason is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db, utcnow
from portal.jobs import cards as card_jobs
from portal.jobs import pushes as push_jobs
from portal.models import Device, PushTarget, Wallet
from portal.services import push_google, wallet_health
from tests import factories
from tests.factories import Shop
from tests.journeys.pushed import ask, let_time_pass, see, shown, work
from tests.klaviyo_account import Sandbox
from tests.phone import Phone
from tests.servers import Processes
from tests.waiting import eventually

ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_THE_OTHER = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
APPLE, GOOGLE = "/3/device/", "/walletobjects/v1/loyaltyObject/"


def _states(client: FlaskClient, shop: Shop, push_id: str) -> dict[str, str]:
    return {each["channel"]: each["state"] for each in see(client, shop, push_id)["devices"]}


def _again(app: Flask, shop: Shop, iphone: Phone) -> None:
    """Later, when all is well with the others again."""
    for _ in range(2):
        let_time_pass(app)
        work(app, shop)
        iphone.settled()


# --- Apple ---------------------------------------------------------------------------------------

PASSING: list[dict[str, Any]] = [
    {"status": 429},
    {"status": 500},
    {"status": 503},
    {"status": 403},  # the certificate is not taken
    {"status": 500, "accept": True},  # the phone was woken, and nobody knows
    {"status": 200},  # taken, and the phone never hears of it
]


@ON_ONE_DATABASE
def test_whatever_apple_answers_for_a_while_the_message_is_shown_once(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, phones: tuple[Phone, Phone]
) -> None:
    iphone, _ = phones
    faults = [("status", details) for details in PASSING] + [("reset", {}), ("goaway", {})]
    for number, (fault, details) in enumerate(faults):
        message = f"Number {number}"
        sandbox.order(fault, APPLE, **details)
        push_id = ask(client, connected, message)
        work(app, connected)
        eventually(lambda: not sandbox.faults())
        if details == {"status": 403}:
            with app.app_context():
                assert "no longer accepts the certificate" in (wallet_health.problems(connected.id)[0].problem or "")
        _again(app, connected, iphone)
        assert shown(iphone).count(message) == 1, (fault, details)
        assert _states(client, connected, push_id)["apple"] == "delivered", (fault, details)
    with app.app_context():
        assert wallet_health.problems(connected.id) == []


@ON_THE_OTHER
@pytest.mark.parametrize("answer", [{"status": 410}, {"status": 400, "reason": "BadDeviceToken"}])
def test_a_phone_that_is_gone_ends_the_push_and_takes_the_card_with_it_until_it_registers_again(
    app: Flask,
    client: FlaskClient,
    connected: Shop,
    sandbox: Sandbox,
    phones: tuple[Phone, Phone],
    answer: dict[str, Any],
) -> None:
    iphone, _ = phones
    sandbox.order("status", APPLE, **answer)
    push_id = ask(client, connected, "Hello")
    work(app, connected)
    let_time_pass(app)
    work(app, connected)
    with app.app_context():
        assert db.session.scalars(select(Device)).all() == []
        targets = {target.wallet: (target.state, target.reason) for target in db.session.scalars(select(PushTarget))}
    assert targets[Wallet.APPLE] == ("skipped", "no_installed_pass")
    assert see(client, connected, push_id)["state"] == "delivered", "the Android phone has it"
    iphone.order("POST", "/new-token")
    iphone.settled()
    ask(client, connected, "Welcome back")
    _again(app, connected, iphone)
    assert "Welcome back" in shown(iphone)


@ON_ONE_DATABASE
def test_an_expired_certificate_wakes_nobody_says_so_and_loses_nothing(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, phones: tuple[Phone, Phone]
) -> None:
    iphone, _ = phones
    ask(client, connected, "Hello")
    with app.app_context():
        push_jobs.take_turn(connected.id)
    with app.app_context(), time_machine.travel(utcnow() + timedelta(days=400), tick=True):
        card_jobs.take_turn(connected.id)
        assert "CertificateExpired" in (wallet_health.problems(connected.id)[0].problem or "")
    assert "Hello" not in shown(iphone)
    _again(app, connected, iphone)
    assert shown(iphone).count("Hello") == 1


# --- Google --------------------------------------------------------------------------------------


@ON_THE_OTHER
def test_whatever_google_answers_for_a_while_the_message_is_there_once(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, phones: tuple[Phone, Phone]
) -> None:
    iphone, android = phones
    path = f"{GOOGLE}{android.card()['serial']}/addMessage"
    faults: list[tuple[str, dict[str, Any], str]] = [
        ("status", {"status": 429}, "delivered"),
        ("status", {"status": 503}, "delivered"),
        ("status", {"status": 409, "accept": True}, "delivered"),
        ("status", {"status": 500, "accept": True}, "delivered"),
        ("reset", {"accept": True}, "delivered"),
        ("status", {"status": 403, "reason": "quotaExceeded"}, "delivered"),
        ("status", {"status": 403}, "delivered"),
        ("status", {"status": 404}, "failed"),
        ("status", {"status": 400}, "failed"),
    ]
    for number, (fault, details, state) in enumerate(faults):
        message = f"Number {number}"
        sandbox.order(fault, path, **details)
        push_id = ask(client, connected, message)
        _again(app, connected, iphone)
        assert not sandbox.faults(), (fault, details)
        bodies = [each["body"] for each in android.card()["messages"]]
        assert bodies.count(message) == (state == "delivered"), (fault, details)
        assert _states(client, connected, push_id)["google"] == state, (fault, details)
        assert see(client, connected, push_id)["state"] == "delivered", "the iPhone has it"
    with app.app_context():
        silent = db.session.scalars(select(PushTarget.answer).where(PushTarget.wallet == Wallet.GOOGLE)).all()
    assert push_google.SILENT in silent


# --- workers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database_url", "path"), [("postgresql", APPLE), ("sqlite", GOOGLE)], ids=["apple", "google"],
    indirect=["database_url"],
)  # fmt: skip
def test_a_worker_killed_between_the_call_and_its_note_shows_the_message_once(
    app: Flask,
    client: FlaskClient,
    connected: Shop,
    sandbox: Sandbox,
    phones: tuple[Phone, Phone],
    processes: Processes,
    path: str,
) -> None:
    iphone, android = phones
    before = len(android.notices())
    sandbox.order("hang_after_accept", path, seconds=8)
    victim = processes.worker()
    push_id = ask(client, connected, "Hello")
    eventually(lambda: not sandbox.faults())  # the call has arrived, and its answer does not come
    processes.kill(victim)
    let_time_pass(app)  # its leases end
    processes.worker()
    processes.ticker()
    eventually(lambda: set(_states(client, connected, push_id).values()) == {"delivered"})
    iphone.settled()
    assert shown(iphone).count("Hello") == 1
    assert [each["body"] for each in android.card()["messages"]] == ["Hello"]
    assert len(android.notices()) == before + 1


# --- phones --------------------------------------------------------------------------------------


@ON_THE_OTHER
def test_the_same_text_notifies_again_and_points_and_a_message_are_two_notices(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, phones: tuple[Phone, Phone]
) -> None:
    iphone, _ = phones
    for number in range(2):
        ask(client, connected, "Your reward is ready!", idempotency_key=str(number))
        _again(app, connected, iphone)
    assert shown(iphone) == ["Your reward is ready!"] * 2
    told = factories.event("points", properties={"change": 30})
    assert factories.tell(client, connected, told).status_code == 202
    ask(client, connected, "And now?")
    for _ in range(2):
        _again(app, connected, iphone)
    assert sorted(shown(iphone)[:2]) == ["And now?", "You now have 30 points."]
    assert len(shown(iphone)) == 4


@ON_ONE_DATABASE
def test_a_phone_that_was_off_shows_what_came_meanwhile(
    app: Flask, client: FlaskClient, connected: Shop, phones: tuple[Phone, Phone]
) -> None:
    iphone, _ = phones
    iphone.order("POST", "/offline", {"offline": True})
    push_id = ask(client, connected, "Hello")
    work(app, connected)
    assert _states(client, connected, push_id)["apple"] == "sent"
    iphone.order("POST", "/offline", {"offline": False})
    _again(app, connected, iphone)
    assert shown(iphone) == ["Hello"]
    assert _states(client, connected, push_id)["apple"] == "delivered"
