"""Disconnecting and replacing an account: what is kept, and that Klaviyo is told about every token that is no longer used."""

from __future__ import annotations

from datetime import timedelta

import pytest
import responses
from sqlalchemy import select

from portal import config
from portal.db import db, transaction, utcnow
from portal.jobs import tokens as token_jobs
from portal.models import OldGrant
from portal.services import connecting, revoking
from tests.portal.services import stage


def test_disconnecting_forgets_the_access_and_keeps_what_waits_and_what_was_chosen(shop: int) -> None:
    stage.record(shop, "a")
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
        connecting.disconnect(shop, stage.ACTOR)
    row = stage.connection(shop)
    assert (row.state, row.access_token, row.refresh_token) == ("disconnected", None, None)
    assert _to_revoke() == ["refresh-1"]
    assert stage.states(shop) == ["pending"]
    stage.connect(shop)
    assert stage.event_ids(stage.claim(shop)) == ["a"]


def test_a_token_that_cannot_be_revoked_for_three_days_is_forgotten(shop: int) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    for days, left in ((2, ["refresh-1"]), (4, [])):
        with transaction():
            revoking.give_up(utcnow() + timedelta(days=days))
        assert _to_revoke() == left


@pytest.mark.parametrize(("status", "left"), [(200, False), (400, False), (503, True), (429, True)])
def test_a_token_is_forgotten_once_klaviyo_has_been_told(shop: int, status: int, left: bool) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    with responses.RequestsMock() as klaviyo:
        revoked = klaviyo.post(config.current().klaviyo_api_url + "/oauth/revoke", status=status)
        token_jobs.revoke_outstanding()
        assert revoked.call_count == 1
    assert bool(_to_revoke()) is left


def test_the_token_of_an_account_that_is_replaced_is_revoked(shop: int) -> None:
    stage.connect(shop, "H4rB0r", stage.tokens("harbor-access", "harbor-refresh"))
    assert _to_revoke() == ["refresh-1"]
    with responses.RequestsMock() as klaviyo:
        revoked = klaviyo.post(config.current().klaviyo_api_url + "/oauth/revoke")
        token_jobs.revoke_outstanding()
        assert "refresh-1" in str(revoked.calls[0].request.body)
    assert _to_revoke() == []
    assert stage.connection(shop).refresh_token == "harbor-refresh"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_account_that_is_connected_again_meanwhile_is_not_revoked(shop: int, elsewhere: bool) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
    [grant] = revoking.outstanding()
    merchant = stage.make_merchant() if elsewhere else shop
    stage.connect(merchant, given=stage.tokens("access-2", "refresh-2"))
    with responses.RequestsMock():  # which fails if anything is sent
        token_jobs.revoke(grant)
        token_jobs.revoke_outstanding()
    assert stage.connection(merchant).refresh_token == "refresh-2"


def test_an_old_token_that_cannot_be_read_is_forgotten(shop: int) -> None:
    with transaction():
        connecting.disconnect(shop, stage.ACTOR)
        db.session.scalars(select(OldGrant)).one().refresh_token_sealed = "v1:gone:AAAA"
    with responses.RequestsMock():
        token_jobs.revoke_outstanding()
    assert revoking.outstanding() == []


def _to_revoke() -> list[str | None]:
    return [revoking.token_of(grant) for grant in revoking.outstanding()]
