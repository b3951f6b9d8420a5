"""Quiet hours, the limit a day and the pause are kept, explained, and refused with the field at fault where they make no sense."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.factories import Shop
from tests.portal.blueprints import pages


def test_the_rules_are_kept_and_hold(client: FlaskClient, owner: FlaskClient, merchant: Shop) -> None:
    form = {"paused": "y", "most_per_day": "3", "quiet_from": "21:00", "quiet_until": "08:30"}
    assert pages.post(owner, "/push/settings", **form).status_code == 303
    page = owner.get("/push/settings").text
    for kept in ('value="21:00"', 'value="08:30"', 'value="3"', "Pushes are paused"):
        assert kept in page
    key = {"Authorization": f"Bearer {merchant.api_key}"}
    assert client.post("/v1/push", json={"email": "no@example.com", "message": "Hi"}, headers=key).status_code == 403


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"quiet_from": "21:00"}, "quiet_until"),
        ({"quiet_until": "08:30"}, "quiet_from"),
        ({"quiet_from": "21:00", "quiet_until": "21:00"}, "quiet_until"),
        ({"quiet_from": "late", "quiet_until": "08:30"}, "quiet_from"),
        ({"most_per_day": "many"}, "most_per_day"),
        ({"most_per_day": "0"}, "most_per_day"),
    ],
)
def test_rules_that_make_no_sense_name_the_field(owner: FlaskClient, form: dict[str, str], field: str) -> None:
    refused = pages.post(owner, "/push/settings", **form)
    assert refused.status_code == 422
    assert f'href="#{field}"' in refused.text
    assert "Pushes are paused" not in owner.get("/push/settings").text
