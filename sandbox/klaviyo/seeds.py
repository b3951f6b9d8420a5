"""What a fresh sandbox holds: two accounts with profiles, metrics, segments and flows.

Plain made-up data; addresses are of the reserved example domains.
"""

import json
import sqlite3
from typing import Any

from sandbox.config import Config
from sandbox.klaviyo.operations import ALL_SCOPES
from sandbox.klaviyo.people import new_profile_id
from sandbox.store import Store

NORDIC, HARBOR = "K9x2Lm", "H4rB0r"
_DAY = 86400.0
_FIRST = (
    *("Alma", "Bo", "Clara", "Dan", "Esther", "Finn", "Gry", "Hugo", "Ida", "Jonas"),
    *("Karla", "Leo", "Maja", "Noah", "Olga", "Palle", "Rosa", "Storm", "Thea", "Villads"),
)
_LAST = ("Ager", "Bakke", "Dahl", "Eng", "Fjord", "Holm", "Kjær", "Lind")
# The others of Nordic Coffee's are customers of the demo shop, under the addresses that it knows them by (`portal/demo.py`).
_READER_EVERY = 4
_NATIVE_METRICS = ("Placed Order", "Ordered Product", "Opened Email", "Clicked Email", "Active on Site")


def plant(store: Store, now: float, config: Config) -> None:
    """Seed an empty database; one that has accounts keeps them and only gets the configured key."""
    now = float(int(now))
    with store.writing() as connection:
        if connection.execute("SELECT 1 FROM account").fetchone() is None:
            _plant_account(connection, store, now, 1, NORDIC, "Nordic Coffee", "Europe/Copenhagen", "DKK", "nordic")
            _plant_account(connection, store, now, 2, HARBOR, "Harbor Books", "Europe/London", "GBP", "harbor")
        connection.execute(
            "INSERT OR IGNORE INTO private_key VALUES (?, 1, ?, ?)", (config.private_key, " ".join(ALL_SCOPES), now)
        )


def _plant_account(
    connection: sqlite3.Connection, store: Store, now: float, pk: int, account_id: str, name: str, timezone: str,
    currency: str, domain: str,
) -> None:  # fmt: skip
    attributes = _account_attributes(account_id, name, timezone, currency, domain)
    connection.execute("INSERT INTO account VALUES (?, ?, ?, ?)", (pk, account_id, name, json.dumps(attributes)))
    connection.execute("INSERT INTO list (account, id, name) VALUES (?, ?, 'Newsletter')", (pk, f"Lst{account_id[:3]}"))
    people = _plant_profiles(connection, store, now, pk, domain)
    metrics = _plant_metrics(connection, store, now, pk, account_id)
    _plant_orders(connection, store, now, pk, people, metrics["Placed Order"])
    _plant_segments(connection, store, now, pk, account_id, people, metrics)


def _account_attributes(account_id: str, name: str, timezone: str, currency: str, domain: str) -> dict[str, Any]:
    return {
        "test_account": False,
        "contact_information": {
            "default_sender_name": name, "default_sender_email": f"hello@{domain}.example.com",
            "website_url": f"https://{domain}.example.com", "organization_name": name,
            "street_address": {"address1": "Havnegade 12", "address2": None, "city": timezone.split("/")[1],
                               "region": None, "country": "DK" if currency == "DKK" else "GB", "zip": "1058"},
        },
        "industry": "Ecommerce, Food and Beverage" if domain == "nordic" else "Ecommerce, Books",
        "timezone": timezone, "preferred_currency": currency, "public_api_key": account_id, "locale": "en-US",
    }  # fmt: skip


def _plant_profiles(connection: sqlite3.Connection, store: Store, now: float, account: int, domain: str) -> list[int]:
    total = 24
    first = store.take_keys("profile", total)
    for place in range(total):
        name, surname = _FIRST[place % len(_FIRST)], _LAST[place % len(_LAST)]
        created = now - _DAY * (200 - place * 7)
        connection.execute(
            "INSERT INTO profile (pk, account, id, email, phone_number, attributes, properties, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (first + place, account, new_profile_id(created),
             f"{name}.{surname}.{place + 1}@{_mail_host(domain, place)}".lower().replace("æ", "ae"),
             f"+45201{account}{place:04d}" if place % 3 == 0 else None,
             json.dumps({"first_name": name, "last_name": surname, "locale": "da-DK",
                         "location": {"city": "København", "country": "Denmark"}}),
             json.dumps({"favourite_roast": ("light", "medium", "dark")[place % 3]}), created, created),
        )  # fmt: skip
    return list(range(first, first + total))


def _mail_host(domain: str, place: int) -> str:
    is_customer = domain == "nordic" and place % _READER_EVERY != _READER_EVERY - 1
    return "example.com" if is_customer else f"{domain}.example.com"


def _plant_metrics(
    connection: sqlite3.Connection, store: Store, now: float, account: int, account_id: str
) -> dict[str, int]:
    found = {}
    for place, name in enumerate(_NATIVE_METRICS):
        pk = store.take_keys("metric", 1)
        created = now - _DAY * 300
        connection.execute(
            "INSERT INTO metric VALUES (?, ?, ?, 'klaviyo', ?, ?, ?)",
            (pk, account, f"{account_id[0]}mtr{place:02d}", name, created, created),
        )
        found[name] = pk
    return found


def _plant_orders(
    connection: sqlite3.Connection, store: Store, now: float, account: int, people: list[int], metric: int
) -> None:
    for place, profile in reversed(list(enumerate(people[:16]))):  # the oldest came in first
        moment = int(now - _DAY * (place * 5 + 1))
        value = 79.0 + place * 12.5
        properties = json.dumps({"OrderId": f"A{1000 + place}", "ItemNames": ["House blend 500 g"], "Channel": "web"})
        connection.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, 'DKK', 1, ?)",
            (store.take_keys("event", 1), account, profile, metric, f"=order-{1000 + place}", moment, value,
             properties),
        )  # fmt: skip
        connection.execute("UPDATE profile SET last_event = ? WHERE pk = ?", (moment, profile))


def _plant_segments(
    connection: sqlite3.Connection, store: Store, now: float, account: int, account_id: str, people: list[int],
    metrics: dict[str, int],
) -> None:  # fmt: skip
    order = f"{account_id[0]}mtr00"
    wanted = (
        ("VIP Gold", _orders(order, 5, {"type": "date", "operator": "alltime"}), True, people[:8]),
        ("Bought in the last 30 days",
         _orders(order, 1, {"type": "date", "operator": "in-the-last", "quantity": 30, "unit": "day"}), True,
         people[:6]),
        ("Has a phone number", _property("phone_number"), True, people[::3]),
        ("Old winter list", _property("properties['winter_list']"), False, people[10:14]),
    )  # fmt: skip
    keys = []
    for place, (name, condition, active, members) in enumerate(wanted):
        pk = store.take_keys("segment", 1)
        keys.append(pk)
        created = now - _DAY * (120 - place)
        definition = json.dumps({"condition_groups": [{"conditions": [condition]}]})
        connection.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (pk, account, f"{account_id[0]}seg{place:02d}", name, definition, created, created, active, place == 0),
        )
        connection.executemany(
            "INSERT INTO segment_member VALUES (?, ?, ?)",
            [(pk, member, now - _DAY * (60 - number)) for number, member in enumerate(members)],
        )
    _plant_flows(connection, now, account, account_id, metrics["Placed Order"], keys[0])


def _orders(metric: str, least: int, timeframe: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "profile-metric", "metric_id": metric, "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than-or-equal", "value": least},
        "timeframe_filter": timeframe, "metric_filters": None,
    }  # fmt: skip


def _property(name: str) -> dict[str, Any]:
    return {"type": "profile-property", "property": name, "filter": {"type": "existence", "operator": "is-set"}}


def _plant_flows(
    connection: sqlite3.Connection, now: float, account: int, account_id: str, metric: int, segment: int
) -> None:
    for place, (name, status, by_metric, by_segment) in enumerate(
        (("Thank you for your order", "live", metric, None), ("Welcome to VIP Gold", "draft", None, segment))
    ):
        trigger = (
            {"type": "metric", "id": f"{account_id[0]}mtr00"}
            if by_metric
            else {"type": "segment", "id": f"{account_id[0]}seg00"}
        )
        action = f"{account}000000{place}"
        created = now - _DAY * (90 - place)
        connection.execute(
            "INSERT INTO flow (account, id, name, status, metric, segment, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (account, f"{account_id[0]}flw{place:02d}", name, status, by_metric, by_segment, created, created),
        )
        connection.execute(
            "INSERT INTO flow_definition SELECT pk, ? FROM flow WHERE id = ?",
            (json.dumps(_one_email(trigger, action, name)), f"{account_id[0]}flw{place:02d}"),
        )


def _one_email(trigger: dict[str, Any], action: str, subject: str) -> dict[str, Any]:
    email = {
        "id": action,
        "type": "send-email",
        "links": {"next": None},
        "data": {"message": {"subject_line": subject}},
    }
    return {"triggers": [trigger], "profile_filter": None, "actions": [email], "entry_action_id": action,
            "reentry_criteria": None}  # fmt: skip
