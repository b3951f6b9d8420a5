"""Klaviyo in trouble, or saying no: nothing is lost, nothing arrives twice, and the merchant is told."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import utcnow
from portal.models import ConnectionState, DeliveryState
from tests import factories
from tests.factories import Shop, connection_of, deliveries_of, let_time_pass, tell_all
from tests.journeys.arrivals import all_settled, arrive, hour_passes, hours_pass_until_settled
from tests.klaviyo_account import BULK_PATH, HARBOR, NORDIC, SINGLE_PATH, Sandbox
from tests.servers import Processes
from tests.waiting import eventually, stays

# Five go one by one, sixty in one request.
FEW, MANY = 5, 60


@pytest.fixture
def at_work(processes: Processes, connected: Shop) -> Processes:
    processes.worker()
    processes.ticker()
    return processes


@pytest.mark.parametrize(
    ("database_url", "number"),
    [("sqlite", FEW), ("postgresql", MANY)],
    ids=["single", "bulk"],
    indirect=["database_url"],
)
@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "status", "status": 500},
        {"fault": "status", "status": 503, "accept": True},
        {"fault": "html_403"},
        {"fault": "garbage"},
        {"fault": "reset", "accept": True},
        {"fault": "redirect", "accept": True},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
@pytest.mark.usefixtures("at_work")
def test_a_request_that_goes_wrong_is_repeated_without_doubling(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, fault: dict[str, Any], number: int
) -> None:
    told = factories.events("odd", number)
    sandbox.order(path="/api/event", times=2, **fault)
    tell_all(client, connected, told)
    eventually(lambda: any(each.reason for each in deliveries_of(app, connected)))
    hours_pass_until_settled(app, connected)
    arrive(sandbox, told)
    assert connection_of(app, connected).state == ConnectionState.CONNECTED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("at_work")
def test_an_answer_that_never_comes_is_not_waited_for_and_nothing_is_doubled(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    told = factories.events("hang", MANY)
    sandbox.order("hang_after_accept", BULK_PATH, seconds=45)
    tell_all(client, connected, told)
    eventually(lambda: any(each.reason for each in deliveries_of(app, connected)), 35)
    hours_pass_until_settled(app, connected)
    arrive(sandbox, told)


@pytest.mark.usefixtures("at_work")
def test_hours_of_failure_are_survived_with_few_calls_and_the_merchant_sees_why(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    told = factories.events("down", MANY)
    # All of it: a profile that it took meanwhile would be a sign that it works again.
    sandbox.order("status", "/api/", status=503, times=None)
    tell_all(client, connected, told)
    eventually(lambda: connection_of(app, connected).paused_until)
    for _ in range(6):
        hour_passes(app, connected)
    connection = connection_of(app, connected)
    assert connection.state == ConnectionState.CONNECTED
    assert "503" in (connection.pause_reason or "") or "trouble" in (connection.pause_reason or "")
    assert {each.state for each in deliveries_of(app, connected)} == {DeliveryState.PENDING}
    requests = sum(each["count"] for each in sandbox.ledger()["requests"] if each["path"].startswith("/api/event"))
    assert requests <= 40, "a failing Klaviyo is asked again and again"
    sandbox.clear_faults()
    hours_pass_until_settled(app, connected)
    arrive(sandbox, told)


@pytest.mark.usefixtures("at_work")
def test_a_429_is_obeyed_for_its_merchant_only_and_is_not_counted_as_a_try(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    neighbour = factories.make_shop(app, "Harbor Books")
    factories.connect(app, sandbox, neighbour, HARBOR)
    factories.switch(app, neighbour)
    sandbox.order("status", "/api/event", status=429, retry_after=600, account=NORDIC)
    told, others = factories.events("slow", MANY), factories.events("other", FEW)
    tell_all(client, connected, told)
    paused_until = eventually(lambda: connection_of(app, connected).paused_until)
    assert 500 < (paused_until - utcnow()).total_seconds() <= 600
    tell_all(client, neighbour, others)
    arrive(sandbox, others, account=HARBOR)
    stays(lambda: not sandbox.event_ids(), 2)
    let_time_pass(app, connected, 600)
    arrive(sandbox, told)
    all_settled(app, connected)
    assert {each.attempts for each in deliveries_of(app, connected)} == {1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("retry_after", [None, 0, 10**6])
@pytest.mark.usefixtures("at_work")
def test_an_absurd_retry_after_neither_storms_nor_sleeps_for_days(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, retry_after: int | None
) -> None:
    told = factories.events("odd", FEW)
    sandbox.order("status", SINGLE_PATH, status=429, retry_after=retry_after)
    tell_all(client, connected, told)
    paused_until = eventually(lambda: connection_of(app, connected).paused_until)
    assert (paused_until - utcnow()).total_seconds() <= 900
    let_time_pass(app, connected, 900)
    arrive(sandbox, told)


@pytest.mark.usefixtures("at_work")
def test_one_event_that_klaviyo_refuses_does_not_hold_up_the_others_of_its_batch(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    # An international address is one for us, and not for Klaviyo.
    poison = [factories.event(f"poison-{number}", "olga@bücher.example") for number in range(2)]
    good = factories.events("good", MANY)
    tell_all(client, connected, [*good[:30], *poison, *good[30:]])
    arrive(sandbox, good)
    eventually(lambda: sum(each.state == DeliveryState.DEAD for each in deliveries_of(app, connected)) == 2)
    buried = [each for each in deliveries_of(app, connected) if each.state == DeliveryState.DEAD]
    assert all("email" in (each.reason or "").lower() for each in buried)
    answer = client.get("/v1/events/poison-0", headers={"Authorization": f"Bearer {connected.api_key}"}).get_json()
    assert answer["delivery"]["state"] == "failed"
    assert "email" in answer["delivery"]["reason"].lower()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_merchant_with_a_slow_backlog_does_not_hold_up_another_ones_single_event(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    neighbour = factories.make_shop(app, "Harbor Books")
    factories.connect(app, sandbox, neighbour, HARBOR)
    factories.switch(app, neighbour)
    sandbox.order("slow", "/api/event", seconds=2, times=None, account=NORDIC)
    backlog, single = factories.events("noisy", 9_000, customers=500), factories.events("quiet", 1)
    tell_all(client, connected, backlog, at_once=1_000)
    processes.worker()
    processes.ticker()
    eventually(lambda: sandbox.event_ids())
    tell_all(client, neighbour, single)
    arrive(sandbox, single, account=HARBOR)
    assert len(sandbox.event_ids()) < len(backlog), "the noisy one was served to the end first"
    sandbox.clear_faults()
    arrive(sandbox, backlog, seconds=30)


# --- tokens --------------------------------------------------------------------------------------


def _token_calls(sandbox: Sandbox) -> dict[int, int]:
    """Calls of the token endpoint by status."""
    return {each["status"]: each["count"] for each in sandbox.ledger()["requests"] if each["path"] == "/oauth/token"}


def test_an_expired_token_is_refreshed_once_however_many_workers_meet_it(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox, processes: Processes
) -> None:
    sandbox.set(rotate_refresh_tokens=True)
    for _ in range(3):
        processes.worker()
    processes.ticker()
    tell_all(client, connected, factories.events("warm", 1))
    all_settled(app, connected)
    before = _token_calls(sandbox)
    sandbox.expire_access()
    told = factories.events("expired", 2_500, customers=200)
    tell_all(client, connected, told)
    all_settled(app, connected, 20)
    assert _token_calls(sandbox) == {200: before[200] + 1}
    assert set(sandbox.event_ids()) >= {event["id"] for event in told}
    assert len(sandbox.event_ids()) == len(told) + 1


@pytest.mark.usefixtures("at_work")
def test_a_revoked_token_keeps_everything_and_a_reconnect_delivers_it(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    sandbox.uninstall()
    told = factories.events("kept", MANY)
    tell_all(client, connected, told)
    eventually(lambda: connection_of(app, connected).state == ConnectionState.RECONNECT)
    assert {each.state for each in deliveries_of(app, connected)} == {DeliveryState.PENDING}
    factories.log_in(client, connected.email)
    assert "Reconnect" in client.get("/").text
    calls = _token_calls(sandbox)
    later = factories.events("later", FEW)
    tell_all(client, connected, later)
    stays(lambda: _token_calls(sandbox) == calls, 3)
    factories.connect(app, sandbox, connected)
    arrive(sandbox, told + later)
    all_settled(app, connected)
    assert connection_of(app, connected).state == ConnectionState.CONNECTED


@pytest.mark.usefixtures("at_work")
def test_a_token_endpoint_in_trouble_is_not_a_revoked_token(
    app: Flask, client: FlaskClient, connected: Shop, sandbox: Sandbox
) -> None:
    sandbox.expire_access()
    sandbox.order("status", "/oauth/token", status=502, times=1)
    told = factories.events("wait", FEW)
    tell_all(client, connected, told)
    eventually(lambda: connection_of(app, connected).paused_until)
    assert connection_of(app, connected).state == ConnectionState.CONNECTED
    let_time_pass(app, connected, 60)
    arrive(sandbox, told)
