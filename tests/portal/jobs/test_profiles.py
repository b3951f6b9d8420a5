"""Turns that bring profiles in step, in this process, against the sandbox: what arrives, how, and what goes wrong."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask

from portal.db import transaction, utcnow
from portal.jobs import profiles as job
from portal.jobs.turns import Access
from portal.klaviyo import profiles as wire
from portal.models import ConnectionState, Module
from portal.services import erasing, ledger, portraying, profile_outbox, syncing
from portal.services.outbox import Mode
from portal.services.profile_contract import PREFIX
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.loyal import (
    change_customer,
    customer_of,
    give_points,
    know_many,
    let_time_pass,
    settle_down,
    syncs,
    turn,
)

ADA = "ada@example.com"
LINK, SINCE = f"{PREFIX}download_wallet_pass_url", f"{PREFIX}member_since"


@pytest.fixture
def shop(app: Flask, sandbox: Sandbox, connected: Shop) -> Shop:
    """Connected, with the first look at everybody behind it, and a Klaviyo that imports at once."""
    sandbox.set(import_step_seconds=0)
    turn(app, connected)
    return connected


def test_a_change_is_on_the_profile_with_every_property_that_holds(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 120.5, email=ADA)
    settle_down(app, shop)
    properties = sandbox.properties(email=ADA)
    link = properties.pop(LINK)
    assert link.startswith("http")
    assert "/download?token=" in link
    joined = properties.pop(SINCE)
    assert joined.startswith("20")
    assert properties == {
        f"{PREFIX}balance": 120.5,
        f"{PREFIX}wallet_pass_status": "not_installed",
        f"{PREFIX}pos_scans": 0,
    }
    with app.app_context():
        shown = portraying.portray(shop.id, customer_of(app, shop, email=ADA).id).properties
    assert {name: value for name, value in shown.items() if value is not None} == {
        **properties,
        LINK: link,
        SINCE: joined,
    }


def test_only_what_differs_is_sent_and_a_burst_is_one_request(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 10, email=ADA)
    settle_down(app, shop)
    before = sandbox.requests(wire.PATH)
    for _ in range(5):
        give_points(app, shop, 1, email=ADA)
    assert turn(app, shop) is False
    assert sandbox.requests(wire.PATH) == before, "a burst is waited for"
    let_time_pass(app, shop)
    with app.app_context(), transaction():
        batch = profile_outbox.claim(shop.id, Mode.SINGLE, utcnow(), 60)
        assert batch is not None
        assert [each.properties for each in batch.updates] == [f'{{"{PREFIX}balance":15}}']
        profile_outbox.release(batch, [each.customer_id for each in batch.updates], utcnow())
    settle_down(app, shop)
    assert sandbox.requests(wire.PATH) == before + 1
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 15


def test_what_no_longer_holds_is_cleared_and_what_is_not_ours_stays(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.plant_profiles({"email": ADA, "first_name": "Ada", "properties": {"shoe_size": 39}})
    give_points(app, shop, 5, email=ADA)
    ada = customer_of(app, shop, email=ADA)
    change_customer(app, shop, ada, on_ios=True, card_status="installed")
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}wallet_platforms"] == ["ios"]
    change_customer(app, shop, ada, on_ios=False, card_status="uninstalled")
    settle_down(app, shop)
    properties = sandbox.properties(email=ADA)
    assert f"{PREFIX}wallet_platforms" not in properties
    assert properties[f"{PREFIX}wallet_pass_status"] == "uninstalled"
    assert properties["shoe_size"] == 39
    assert sandbox.profiles(email=ADA)[0]["attributes"]["first_name"] == "Ada"


def test_a_change_that_is_taken_back_in_time_is_not_sent(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 5, email=ADA)
    settle_down(app, shop)
    before = sandbox.requests(wire.PATH)
    give_points(app, shop, 5, email=ADA)
    give_points(app, shop, -5, email=ADA)
    settle_down(app, shop)
    assert sandbox.requests(wire.PATH) == before


def test_ten_go_one_by_one_and_eleven_in_bulk(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    know_many(app, shop, 10)
    turn(app, shop)
    assert (sandbox.requests(wire.PATH), sandbox.requests(wire.BULK_PATH)) == (10, 0)
    know_many(app, shop, 11, "d")
    turn(app, shop)
    assert (sandbox.requests(wire.PATH), sandbox.requests(wire.BULK_PATH)) == (10, 1)


def test_a_backlog_goes_in_bulk_and_is_settled_when_klaviyo_is_done(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.set(import_step_seconds=3600)
    know_many(app, shop, 300)
    turn(app, shop)
    assert sandbox.requests(wire.BULK_PATH) == 1
    assert {row.lease is None for row in syncs(app, shop)} == {False}, "Klaviyo works on it"
    give_points(app, shop, 7, email="c1@example.com")
    let_time_pass(app, shop)
    turn(app, shop)
    assert sandbox.requests(wire.PATH) == 0, "nothing newer overtakes an import that is under way"
    sandbox.set(import_step_seconds=0)
    settle_down(app, shop)
    assert {row.sent_at is None for row in syncs(app, shop)} == {False}
    assert sandbox.properties(email="c299@example.com")[f"{PREFIX}balance"] == 0
    assert sandbox.properties(email="c1@example.com")[f"{PREFIX}balance"] == 7


def test_one_bad_phone_number_in_five_hundred_never_sinks_the_others(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.set(unsupported_phone_prefixes=["+99"])
    give_points(app, shop, 1, phone="+4530123456")
    change_customer(app, shop, customer_of(app, shop, phone="+4530123456"), phone="+9912345678")
    know_many(app, shop, 499)
    settle_down(app, shop)
    problems = [row.problem for row in syncs(app, shop) if row.problem]
    assert len(problems) == 1
    assert problems[0].startswith("Phone number not valid for Klaviyo. Correct the customer's phone number, then")
    assert sandbox.properties(email="c498@example.com")[f"{PREFIX}balance"] == 0
    assert sandbox.requests(wire.BULK_PATH) == 2
    ada = customer_of(app, shop, phone="+9912345678")
    change_customer(app, shop, ada, phone="+4530123456")
    settle_down(app, shop)
    assert not [row for row in syncs(app, shop) if row.problem], "a corrected number is tried by itself"


def test_a_row_that_fails_while_klaviyo_imports_is_told_to_a_person(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    know_many(app, shop, 40)
    gone = customer_of(app, shop, email="c3@example.com")
    change_customer(app, shop, gone, klaviyo_profile_id="01NOBODY", email=None)
    settle_down(app, shop)
    assert [row.customer_id for row in syncs(app, shop) if row.problem] == [gone.id]
    assert sandbox.properties(email="c39@example.com")[f"{PREFIX}balance"] == 0


def test_a_refusal_that_names_no_row_lets_each_go_by_itself(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.order("status", wire.BULK_PATH, status=400)
    know_many(app, shop, 30)
    settle_down(app, shop)
    assert sandbox.requests(wire.PATH) == 30
    assert {row.alone for row in syncs(app, shop)} == {False}


def test_a_worker_that_died_after_its_call_leaves_nothing_to_chance(
    app: Flask, sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Klaviyo has 9, we believe it has 4, and meanwhile it is 4 again."""
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    give_points(app, shop, 5, email=ADA)
    let_time_pass(app, shop)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(syncing, "settle", fail)
    with pytest.raises(ZeroDivisionError):
        turn(app, shop)
    monkeypatch.undo()
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 9
    give_points(app, shop, -5, email=ADA)
    turn(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 9, "its lease runs out first"
    let_time_pass(app, shop, seconds=90)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4


def test_a_change_during_the_call_is_sent_afterwards(
    app: Flask, sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    send = syncing.send

    def interrupted(*arguments: object) -> object:
        answer = send(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        give_points(app, shop, 3, email=ADA)
        return answer

    monkeypatch.setattr(syncing, "send", interrupted)
    turn(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 7


def test_when_klaviyo_asks_to_slow_down_nothing_is_lost_or_counted(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.order("status", wire.PATH, status=429, retry_after=20)
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    assert turn(app, shop) is False
    connection = factories.connection_of(app, shop)
    assert connection.paused_until is not None
    assert connection.paused_until > utcnow() + timedelta(seconds=15)
    assert [(row.attempts, row.lease, row.problem) for row in syncs(app, shop)] == [(0, None, None)]
    factories.change_connection(app, shop, paused_until=None)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4


def test_trouble_of_klaviyos_is_waited_for(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.order("status", wire.PATH, status=503, times=2)
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    turn(app, shop)
    assert [(row.attempts, row.sent) for row in syncs(app, shop)] == [(1, None)]
    let_time_pass(app, shop, 10)
    turn(app, shop)
    let_time_pass(app, shop, 60)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4


def test_an_expired_token_is_refreshed_and_a_lost_access_keeps_what_waits(
    app: Flask, sandbox: Sandbox, shop: Shop
) -> None:
    sandbox.expire_access()
    give_points(app, shop, 4, email=ADA)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4
    sandbox.uninstall()
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    assert turn(app, shop) is False
    assert factories.connection_of(app, shop).state == ConnectionState.RECONNECT
    factories.connect(app, sandbox, shop)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 8


def test_a_missing_permission_breaks_the_connection_off(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    sandbox.order("status", wire.PATH, status=403)
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    turn(app, shop)
    connection = factories.connection_of(app, shop)
    assert connection.state == ConnectionState.RECONNECT
    assert connection.broken_reason == "Klaviyo says that this connection may not send profiles"


def test_nothing_is_sent_while_events_is_off_and_everything_afterwards(
    app: Flask, sandbox: Sandbox, shop: Shop
) -> None:
    factories.switch(app, shop, Module.EVENTS, on=False)
    give_points(app, shop, 4, email=ADA)
    let_time_pass(app, shop)
    assert turn(app, shop) is False
    assert sandbox.requests(wire.PATH) == 0
    factories.switch(app, shop)
    settle_down(app, shop)
    assert sandbox.properties(email=ADA)[f"{PREFIX}balance"] == 4


def test_a_customer_who_is_erased_is_not_sent_any_more(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    give_points(app, shop, 4, email=ADA)
    give_points(app, shop, 4, email="bo@example.com")
    let_time_pass(app, shop)
    ada = customer_of(app, shop, email=ADA)
    with app.app_context():
        with transaction():
            batch = profile_outbox.claim(shop.id, Mode.SINGLE, utcnow(), 60)
        assert batch is not None
        assert len(batch.updates) == 2
        with transaction():
            erasing.erase(shop.id, ada.id, factories.ACTOR)
        assert erasing.due(utcnow() + timedelta(seconds=50), 10) == [], "a request may be out"
        assert len(erasing.due(utcnow() + timedelta(seconds=61), 10)) == 1
        job._carry(batch, Access(shop.id), 10**9)
    assert [each["attributes"]["email"] for each in sandbox.profiles(email=ADA)] == []
    assert sandbox.properties(email="bo@example.com")[f"{PREFIX}balance"] == 4


def test_what_comes_due_during_a_turn_waits_for_the_next(app: Flask, sandbox: Sandbox, shop: Shop) -> None:
    begun = utcnow()
    know_many(app, shop, 2)
    deadline = time.monotonic() + 60
    with app.app_context():
        assert job._send_some(shop.id, begun, deadline, sweeping=False) is False
        assert sandbox.profiles(email="c0@example.com") == []
        assert job._send_some(shop.id, utcnow(), deadline, sweeping=False) is True
    assert len(sandbox.profiles(email="c0@example.com")) == 1


def test_changes_and_sending_at_the_same_time_end_with_the_ledger_at_klaviyo(
    app: Flask, sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "COALESCE", timedelta(0))
    monkeypatch.setattr(job, "TURN_SECONDS", 0.2)
    emails = [f"c{number}@example.com" for number in range(6)]
    for email in emails:
        give_points(app, shop, 1, email=email)

    def change(lane: int) -> None:
        for number in range(18):
            give_points(app, shop, 1, email=emails[(number * (lane + 1)) % len(emails)])

    with ThreadPoolExecutor(3) as pool:
        lanes = [pool.submit(change, lane) for lane in range(2)]
        while not all(lane.done() for lane in lanes):
            turn(app, shop)
        for lane in lanes:
            lane.result()
    settle_down(app, shop)
    told = {email: sandbox.properties(email=email)[f"{PREFIX}balance"] for email in emails}
    assert told == {email: customer_of(app, shop, email=email).balance / 100 for email in emails}
    assert sum(told.values()) == len(emails) + 2 * 18
