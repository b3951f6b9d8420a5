"""What becomes of pushes that are due: quiet hours in the merchant's zone, the cap, suppression, and what came too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from flask import Flask
from sqlalchemy import delete, select

from portal.db import db, transaction
from portal.models import Card, Customer, Push, PushRules, PushSource, PushSuppression, Registration
from portal.services import push_retrying, push_sending, pushing
from portal.services.push_orders import hear_push
from portal.services.push_sending import quiet_end
from portal.services.pushing import Accepted
from tests.factories import Shop
from tests.portal.services import card_cases

NIGHT = PushRules(quiet_from=21 * 60, quiet_until=8 * 60 + 30)
NOON = PushRules(quiet_from=12 * 60, quiet_until=13 * 60)


@pytest.mark.parametrize(
    ("rules", "now", "ends"),
    [
        (NIGHT, "2026-11-25T19:59Z", None),
        (NIGHT, "2026-11-25T20:00Z", "2026-11-26T07:30Z"),
        (NIGHT, "2026-11-26T02:00Z", "2026-11-26T07:30Z"),
        (NIGHT, "2026-11-26T07:30Z", None),
        (NOON, "2026-11-25T11:30Z", "2026-11-25T12:00Z"),
        (PushRules(), "2026-11-25T11:30Z", None),
    ],
)
def test_quiet_hours_end_by_the_merchants_clock(rules: PushRules, now: str, ends: str | None) -> None:
    found = quiet_end(rules, "Europe/Copenhagen", datetime.fromisoformat(now))
    assert (found and found.astimezone(UTC)) == (datetime.fromisoformat(ends) if ends else None)


# --- what is due ---------------------------------------------------------------------------------

MIDNIGHT = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)  # in Copenhagen


@pytest.fixture
def card(app: Flask, merchant: Shop) -> Card:
    """Of a customer who has it on an iPhone."""
    made = card_cases.card(app, merchant)
    card_cases.on_phone(app, made)
    with app.app_context(), transaction():
        db.session.get_one(Customer, made.customer_id).on_ios = True
    return made


def _ask(card: Card, message: str, now: datetime, *, source: PushSource = PushSource.API, **more: Any) -> Push:
    order = hear_push({"customer_id": f"cus_{card.customer_id}", "message": message, **more}, source=source)
    with transaction():
        accepted = pushing.accept(card.merchant_id, order, now)
    assert isinstance(accepted, Accepted)
    assert accepted.push is not None
    return accepted.push


def _send(card: Card, now: datetime) -> dict[str, tuple[str, str | None]]:
    """What has become of each by then: state and reason, by message."""
    with transaction():
        push_sending.send_due(card.merchant_id, now)
    return {each.message: (each.state, each.reason) for each in db.session.scalars(select(Push))}


def _rule(card: Card, **values: Any) -> None:
    usual = {"merchant_id": card.merchant_id, "paused": False, "tells_klaviyo": False}
    with transaction():
        db.session.add(PushRules(**{**usual, **values}))


def test_in_quiet_hours_a_push_waits_but_a_test_push_does_not(app: Flask, card: Card) -> None:
    with app.app_context():
        _rule(card, quiet_from=21 * 60, quiet_until=8 * 60)
        _ask(card, "Later", MIDNIGHT)
        _ask(card, "Now", MIDNIGHT, source=PushSource.TEST)
        assert _send(card, MIDNIGHT) == {"Later": ("waiting", None), "Now": ("sent", None)}
        assert _send(card, MIDNIGHT + timedelta(hours=7))["Later"] == ("waiting", None)
        assert _send(card, MIDNIGHT + timedelta(hours=8))["Later"] == ("sent", None)


def test_a_push_that_waited_too_long_is_not_shown(app: Flask, card: Card) -> None:
    with app.app_context():
        _rule(card, quiet_from=21 * 60, quiet_until=8 * 60)
        _ask(card, "Tonight only", MIDNIGHT, expires_at=(MIDNIGHT + timedelta(hours=2)).isoformat())
        _send(card, MIDNIGHT)
        assert _send(card, MIDNIGHT + timedelta(hours=8))["Tonight only"] == ("skipped", "expired")


def test_what_is_over_the_cap_of_24_hours_is_skipped(app: Flask, card: Card) -> None:
    with app.app_context():
        _rule(card, most_per_day=2)
        for message in ("One", "Two", "Three"):
            _ask(card, message, MIDNIGHT)
        sent = _send(card, MIDNIGHT)
        assert [sent[message] for message in ("One", "Two", "Three")] == [
            ("sent", None),
            ("sent", None),
            ("skipped", "frequency_cap"),
        ]
        tomorrow = MIDNIGHT + timedelta(hours=24, seconds=1)
        _ask(card, "Four", tomorrow)
        assert _send(card, tomorrow)["Four"] == ("sent", None)


def test_a_suppressed_customer_and_one_whose_card_has_gone_meanwhile_are_skipped_with_the_reason(
    app: Flask, card: Card
) -> None:
    with app.app_context():
        _ask(card, "Unwanted", MIDNIGHT)
        with transaction():
            db.session.add(PushSuppression(customer_id=card.customer_id, merchant_id=card.merchant_id))
        assert _send(card, MIDNIGHT)["Unwanted"] == ("skipped", "suppressed")
        _ask(card, "Too late", MIDNIGHT)
        with transaction():
            db.session.execute(delete(Registration))
        assert _send(card, MIDNIGHT)["Too late"] == ("skipped", "no_installed_pass")


def test_whoever_tries_again_what_is_skipped_reads_what_to_do_about_each_reason() -> None:
    assert set(push_retrying.STILL) == set(get_args(push_sending.Objection))
