"""The pages of campaigns: written, looked at, started and followed; what is wrong stands beside its field, and nothing is sent by it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.models import CampaignState
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.jobs.campaign_stage import MESSAGE, CampaignStage


@pytest.fixture
def stage(app: Flask, connected: Shop) -> CampaignStage:
    return CampaignStage(app, connected)


@pytest.fixture
def browser(app: Flask, connected: Shop) -> FlaskClient:
    return factories.log_in(app.test_client(), connected.email)


def _fields(segment_id: int, **changes: object) -> dict[str, object]:
    usual = {"name": "Autumn roast", "include": segment_id, "message": MESSAGE, "start": "now", "tier": "", "card": ""}
    return {**usual, **changes}


def test_a_campaign_is_written_looked_at_sent_and_followed(stage: CampaignStage, browser: FlaskClient) -> None:
    vip = stage.segment("VIP Gold", stage.customers(2, on_ios=True))
    assert "VIP Gold (2)" in browser.get("/campaigns/new").text
    assert "checked" in browser.get(f"/campaigns/new?segment={vip}").text, "as the segment's page leads here"
    saved = pages.post(browser, "/campaigns/new", **_fields(vip))
    assert saved.status_code == 303
    address = saved.headers["Location"]
    draft = browser.get(address).text
    for words in ("<strong>2 customers</strong>", "Send it…", "Hi there, you have 0 points"):
        assert words in draft
    assert "data-poll" not in draft
    assert "c1@example.com reads it" in browser.get(address, query_string={"customer": "c1@example.com"}).text
    assert "Send it now to 2 customers" in browser.get(f"{address}/start").text
    assert pages.post(browser, f"{address}/start", seen=2).headers["Location"] == address
    assert pages.post(browser, f"{address}/start", seen=2).headers["Location"] == address, "pressed twice"
    started = browser.get(address).text
    assert "has begun already" in started
    assert "Running" in started
    assert "data-poll" in started, "it is followed while it runs"
    campaign_id = int(address.rpartition("/")[2])
    stage.work(campaign_id)
    stage.push(campaign_id)
    assert "Finished" in browser.get(f"/campaigns/results/{campaign_id}").text
    assert "Autumn roast" in browser.get("/campaigns").text
    assert browser.get(f"{address}/edit").status_code == 409


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Enter a name."),
        ({"include": []}, "Choose at least one segment."),
        ({"name": "", "message": "Hi {nickname|you}"}, "is not a variable"),
        ({"include": 999}, "is gone"),
        ({"message": "Hi {nickname|you}"}, "is not a variable"),
        ({"url": "http://localhost/x"}, "must begin with https://"),
        ({"start": "at"}, "Enter the day and time"),
        ({"start": "later"}, "Choose one of the list."),
        ({"guard": "many"}, "Enter a number from 1"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_kept(
    stage: CampaignStage, browser: FlaskClient, changes: dict[str, object], said: str
) -> None:
    vip = stage.segment("VIP Gold", [])
    answer = pages.post(browser, "/campaigns/new", **_fields(vip, **changes))
    assert answer.status_code == 422
    assert said in answer.text
    assert "No campaigns yet" in browser.get("/campaigns").text


def test_a_time_is_read_in_the_shops_zone_and_can_be_changed_until_it_begins(
    stage: CampaignStage, browser: FlaskClient
) -> None:
    vip = stage.segment("VIP Gold", stage.customers(1))
    address = pages.post(browser, "/campaigns/new", **_fields(vip, start="at", start_at="2031-06-01T09:00")).headers[
        "Location"
    ]
    campaign_id = int(address.rpartition("/")[2])
    assert pages.post(browser, f"{address}/start").status_code == 303
    planned = stage.campaign(campaign_id)
    assert (planned.state, str(planned.start_at)) == (CampaignState.SCHEDULED, "2031-06-01 07:00:00+00:00")
    assert 'value="2031-06-01T09:00"' in browser.get(f"{address}/edit").text
    pages.post(browser, f"{address}/edit", **_fields(vip, name="Winter roast"))
    assert stage.state(campaign_id) is CampaignState.DRAFT, "whoever changes it starts it anew"


def test_a_test_push_goes_to_one_card_and_assigns_nobody(stage: CampaignStage, browser: FlaskClient) -> None:
    (mine,) = stage.customers(1, on_ios=True)
    address = pages.post(browser, "/campaigns/new", **_fields(stage.segment("VIP Gold", []))).headers["Location"]
    for _ in range(2):
        assert pages.post(browser, f"{address}/try", once="once", customer_id=mine).status_code == 303
    (push,) = stage.pushes()
    assert (push.source, push.message) == ("test", "Hi there, you have 0 points")
    assert stage.told() == 0


def test_an_audience_that_changed_is_shown_beside_what_it_was_and_asked_about_once_more(
    stage: CampaignStage, browser: FlaskClient
) -> None:
    ids = stage.customers(9)
    vip = stage.segment("VIP Gold", ids[:4])
    address = pages.post(browser, "/campaigns/new", **_fields(vip)).headers["Location"]
    assert "<dd>none</dd>" in browser.get(f"{address}/start").text
    stage.join(vip, ids[4:])
    refused = pages.post(browser, f"{address}/start", seen=4)
    assert refused.status_code == 409
    for words in ("from 4 to 9. Nothing was sent", "+5, 125 %", "by more than 30 %", "Send it now to 9 customers"):
        assert words in refused.text
    assert pages.post(browser, f"{address}/start", seen=9).status_code == 303


def test_lists_stand_behind_the_numbers_and_the_customers_page_has_the_campaign(
    stage: CampaignStage, browser: FlaskClient
) -> None:
    (customer_id,) = stage.customers(1)
    address = pages.post(browser, "/campaigns/new", **_fields(stage.segment("VIP Gold", [customer_id]))).headers[
        "Location"
    ]
    assert "c0@example.com" in browser.get(f"{address}/audience").text
    assert "Nobody is in this list" in browser.get(f"{address}/audience?reachable=yes").text
    pages.post(browser, f"{address}/start", seen=1)
    stage.work(int(address.rpartition("/")[2]))
    for query in ("", "?outcome=not_sent", "?outcome=not_sent&reason=no_installed_pass", "?outcome=nonsense"):
        assert "c0@example.com" in browser.get(f"{address}/customers{query}").text
    assert "Nobody is in this list" in browser.get(f"{address}/customers?outcome=opened").text
    page = browser.get(f"/customers/{customer_id}").text
    for words in ("Autumn roast", "Not sent", "no card on a phone"):
        assert words in page


def test_another_shops_campaign_is_not_there(app: Flask, stage: CampaignStage) -> None:
    campaign_id = stage.save([stage.segment("VIP Gold", stage.customers(1))])
    stranger, _ = pages.log_in_stranger(app)
    for path in (f"/campaigns/{campaign_id}", f"/campaigns/{campaign_id}/edit", f"/campaigns/results/{campaign_id}"):
        assert stranger.get(path).status_code == 404
    for path in ("audience", "customers", "start"):
        assert stranger.get(f"/campaigns/{campaign_id}/{path}").status_code == 404
    for deed in ("start", "leave-out", "pause", "resume", "cancel", "try"):
        assert pages.post(stranger, f"/campaigns/{campaign_id}/{deed}").status_code == 404
    assert stage.state(campaign_id) is CampaignState.DRAFT
