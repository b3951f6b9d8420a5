"""Locks on customers: who writes rows that refer to a customer, and who changes the customer, never wait for each other in a circle."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from portal.db import db, in_own_session, transaction, utcnow
from portal.klaviyo.profiles import Profile
from portal.models import Customer
from portal.services import identity, ledger, profiles
from tests.portal.services.programmes import customer_with

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="module")


def test_an_event_is_recorded_while_a_profile_is_settled_and_neither_is_a_victim(shop: int) -> None:
    customer_id = customer_with(shop, 50).id

    @in_own_session
    def record() -> None:
        with transaction():
            db.session.execute(text("SET LOCAL lock_timeout = '5s'"))  # waits in vain where the lock is too strong
            ledger.lock([customer_id])

    with ThreadPoolExecutor(1) as pool, transaction():
        profiles.remember(shop, customer_id, json.dumps({"jericommerce_balance": 50}), utcnow())
        pool.submit(record).result(timeout=30)
        identity.learn(customer_id, Profile("01PROFILE"), utcnow())
    assert db.session.get_one(Customer, customer_id).klaviyo_profile_id == "01PROFILE"
