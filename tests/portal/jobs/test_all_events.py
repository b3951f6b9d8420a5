"""Each of the 18 events told over the API is in Klaviyo: exactly its name, its own properties, and the common ones."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, new_id, transaction
from portal.jobs import deliveries
from portal.models import Programme, Reward, Tier
from portal.services.catalogue import COMMON, EVENT_TYPES
from tests import factories
from tests.factories import Shop, tell
from tests.klaviyo_account import Sandbox

TIERS = (("Bronze", 0), ("Silver", 100_00), ("Gold", 500_00))
REWARDS = (("free-coffee", "Free coffee", 100_00), ("beans", "Bag of beans", 600_00))
# What an event does of its own accord decides about these, whatever the example says.
DECIDED_HERE = {
    "balance_changed": {"balance", "previous_balance"},
    "tier_upgraded": {"tier"},
    "tier_downgraded": {"tier"},
}


def _make_programme(app: Flask, shop: Shop) -> None:
    with app.app_context(), transaction():
        for name, threshold in TIERS:
            db.session.add(Tier(merchant_id=shop.id, name=name, threshold=threshold))
        for code, name, cost in REWARDS:
            db.session.add(Reward(merchant_id=shop.id, code=code, name=name, cost=cost))
        db.session.get_one(Programme, shop.id).version = new_id()


def _type_of(value: Any) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def test_each_of_the_18_events_is_in_klaviyo_as_the_catalogue_has_it(
    app: Flask, client: FlaskClient, sandbox: Sandbox, connected: Shop
) -> None:
    _make_programme(app, connected)
    tell(client, connected, factories.event("before", properties={"change": 400}))
    told = [
        factories.event(
            entry.type,
            type=entry.type,
            occurred_at="2026-11-23T09:30:00+01:00",
            properties={prop.name: prop.example for prop in entry.properties},
        )
        for entry in EVENT_TYPES
    ]
    del next(each for each in told if each["type"] == "balance_changed")["properties"]["balance"]
    results = tell(client, connected, {"events": told}).get_json()["results"]
    assert [result["status"] for result in results] == ["accepted"] * 18, results
    with app.app_context():
        deliveries.take_turn(connected.id)
    arrived = {event["unique_id"]: event for event in sandbox.events()}
    for entry in EVENT_TYPES:
        event = arrived[entry.type]
        assert (event["metric"], event["time"]) == (entry.metric, "2026-11-23T08:30:00+00:00")
        properties = event["properties"]
        # Of ours nothing is missing, nothing is blank, and nothing else is there.
        names = {prop.name for prop in (*COMMON, *entry.properties)}
        assert set(properties) == names, entry.type
        for prop in (*COMMON, *entry.properties):
            assert _type_of(properties[prop.name]) is _type_of(prop.example), (entry.type, prop.name)
            assert properties[prop.name] not in ("", "-")
        for prop in entry.properties:
            if prop.name not in DECIDED_HERE.get(entry.type, set()):
                assert properties[prop.name] == prop.example, (entry.type, prop.name)
        assert "age" not in properties
    balance = arrived["balance_changed"]["properties"]
    assert balance["balance"] == balance["previous_balance"] + balance["change"]
