"""The pages about a segment: how far its members can be reached, who they are, and how its imports went."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.config import Settings
from portal.db import db, new_id, transaction, utcnow
from portal.jobs.segment_counts import count_next
from portal.models import CardStatus, Customer, RunState, SegmentRun
from portal.services import reach, segment_pages
from portal.services.customers import Identifiers
from portal.services.reach import Stage
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.blueprints import pages
from tests.portal.jobs.segment_stage import SegmentStage


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, klaviyo_pacing=False)


@pytest.fixture
def stage(app: Flask, sandbox: Sandbox, connected: Shop) -> SegmentStage:
    sandbox.set(limits=False)
    return SegmentStage(app, sandbox, connected)


@pytest.fixture
def browser(client: FlaskClient, stage: SegmentStage) -> FlaskClient:
    return factories.log_in(client, stage.shop.email)


def url_of(stage: SegmentStage, klaviyo_id: str) -> str:
    return f"/segments/{stage.segment(klaviyo_id).id}"


def test_a_segment_is_shown_with_its_reach_its_members_and_its_runs(
    app: Flask, stage: SegmentStage, browser: FlaskClient
) -> None:
    ids = stage.sandbox.plant([{"email": "ada@example.com"}, {"email": "+formula@example.com"}])
    with app.app_context():
        factories.know(stage.shop.id, [Identifiers(email="ada@example.com")])
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    assert "VIP Gold" in browser.get("/segments").text
    url = url_of(stage, segment_id)
    page = browser.get(url).text
    for said in ("ada@example.com", "Complete", "1</a> never had the card on a phone", "Counted"):
        assert said in page
    assert "'+formula@example.com" in browser.get(f"{url}/members.csv").text
    assert "formula" not in browser.get(f"{url}/members.csv?stage=matched").text
    stranger = factories.make_shop(app, "Harbor Tea")
    theirs = factories.log_in(app.test_client(), stranger.email)
    for path in (url, f"{url}/imports/1", f"{url}/members.csv", url.replace("segments/", "segments/progress/")):
        assert theirs.get(path).status_code == 404


def test_behind_each_number_of_the_reach_stands_a_list_of_as_many(
    app: Flask, stage: SegmentStage, browser: FlaskClient
) -> None:
    cards = {
        "never": {},
        "removed": {"card_status": CardStatus.UNINSTALLED},
        "apple": {"card_status": CardStatus.INSTALLED, "on_ios": True},
        "both": {"card_status": CardStatus.INSTALLED, "on_ios": True, "on_android": True},
        "silent": {"card_status": CardStatus.INSTALLED},
    }
    ids = stage.sandbox.plant([{"email": f"{name}@example.com"} for name in (*cards, "stranger")])
    with app.app_context():
        factories.know(stage.shop.id, [Identifiers(email=f"{name}@example.com") for name in cards])
        with transaction():
            for customer in db.session.scalars(select(Customer)):
                for column, value in cards[str(customer.email).partition("@")[0]].items():
                    setattr(customer, column, value)
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    behind = {
        Stage.MEMBERS: {*cards, "stranger"},
        Stage.MATCHED: set(cards),
        Stage.UNMATCHED: {"stranger"},
        Stage.INSTALLED: {"apple", "both", "silent"},
        Stage.APPLE: {"apple", "both"},
        Stage.GOOGLE: {"both"},
        Stage.REMOVED: {"removed"},
        Stage.NEVER: {"never"},
        Stage.NOTIFIABLE: {"apple", "both"},
        Stage.SILENT: {"silent"},
    }
    with app.app_context():
        segment = segment_pages.find(stage.shop.id, stage.segment(segment_id).id)
        counted = reach.of(segment.id)
        for each, names in behind.items():
            found: list[str] = []
            after: str | None = ""
            while after is not None:  # by twos, so that pages begin within a standing and between two
                listed = segment_pages.members(segment, stage=each, after=after, limit=2)
                found += [str(member.email).partition("@")[0] for member, _ in listed.rows]
                after = listed.following
            assert sorted(found) == sorted(names)
            assert getattr(counted, each) == len(names)


@pytest.mark.parametrize("sought", ["ada@ex", "ADA", "+452", "20 12", "love", "Ada Love"])
def test_members_are_found_by_how_an_address_a_number_or_a_name_begins(
    app: Flask, stage: SegmentStage, browser: FlaskClient, sought: str
) -> None:
    person = {"email": "ada@example.com", "phone_number": "+4520123456"}
    ids = stage.sandbox.plant([person, {"email": "bob@example.com", "phone_number": "+4620123456"}])
    with app.app_context():
        factories.know(stage.shop.id, [Identifiers(email="ada@example.com")])
        with transaction():
            (customer,) = db.session.scalars(select(Customer))
            customer.first_name, customer.last_name = "Ada", "Lovelace"
    segment_id = stage.select("VIP Gold", profile_ids=ids)
    stage.import_now(segment_id)
    url = url_of(stage, segment_id)
    found = browser.get(url, query_string={"q": sought.replace("20 12", "+45 20 12")}).text
    assert "ada@example.com" in found
    assert "bob@example.com" not in found
    assert "ada@example.com" not in browser.get(url, query_string={"q": sought, "stage": "unmatched"}).text


def test_who_joined_and_left_is_listed_for_each_import(stage: SegmentStage, browser: FlaskClient) -> None:
    ids = stage.people(3)
    segment_id = stage.select("VIP Gold", profile_ids=ids[:2])
    stage.import_now(segment_id)
    stage.sandbox.change_members(segment_id, profile_ids=ids[1:])
    stage.import_now(segment_id)
    url = f"{url_of(stage, segment_id)}/imports/"
    assert f"{url}2?way=left" in browser.get(url_of(stage, segment_id)).text
    joined, left = browser.get(f"{url}2").text, browser.get(f"{url}2?way=left").text
    assert ("m2@example.com" in joined, "m0@example.com" in joined) == (True, False)
    assert ("m2@example.com" in left, "m0@example.com" in left) == (False, True)
    assert "This was the first import" in browser.get(f"{url}1").text
    assert browser.get(f"{url}3").status_code == 404
    assert browser.get(f"{url}2?way=sideways").status_code == 404


def test_a_page_says_how_a_segment_stands_in_klaviyo_and_how_far_its_import_has_come(
    stage: SegmentStage, browser: FlaskClient
) -> None:
    segment_id = stage.select("VIP Gold", profile_ids=stage.people(2))
    url = url_of(stage, segment_id)
    assert "They appear all at once when the first import is complete." in browser.get(url).text
    stage.sandbox.change_segment(segment_id, name="VIP Platinum", is_active=False)
    stage.import_now(segment_id)
    page = browser.get(url).text
    for said in ("VIP Platinum", "It was called VIP Gold before.", "No longer updated", "2 members there, counted"):
        assert said in page
    with stage.app.app_context(), transaction():
        segment = db.session.merge(stage.segment(segment_id))
        segment.lease, segment.due_at = 1, utcnow() + timedelta(minutes=1)
        run = SegmentRun(id=new_id(), merchant_id=segment.merchant_id, segment_id=segment.id, generation=2)
        run.state, run.started_at, run.members, run.expected = RunState.RUNNING, utcnow(), 1_000, 4_000
        run.pages = 10
        db.session.add(run)
    shown = browser.get(url.replace("segments/", "segments/progress/")).text
    for said in ("<progress", "1,000 of 4,000 members", "(25 %)", "10 pages", "every 2s"):
        assert said in shown


def test_the_list_says_how_large_segments_are_and_which_are_too_large_before_one_is_selected(
    app: Flask, stage: SegmentStage, browser: FlaskClient
) -> None:
    small = stage.sandbox.plant_segment("VIP Gold", profile_ids=stage.people(3))
    large = stage.sandbox.plant_segment("Everybody", profile_ids=stage.people(1, "n"))
    pages.post(browser, "/segments/refresh")
    assert "being counted" in browser.get("/segments/table").text
    with app.app_context():
        while count_next():
            pass
    assert (stage.segment(small).profile_count, stage.segment(large).profile_count) == (3, 1)
    with app.app_context(), transaction():
        db.session.merge(stage.segment(large)).profile_count = 2_000_000
    table = browser.get("/segments/table").text
    assert "being counted" not in table
    assert table.count("Too large for 15 minutes") == 1
    assert "cannot all be current" not in table
    pages.post(browser, "/segments/table", segment_id=str(stage.segment(large).id), selected="yes")
    assert "cannot all be current" in browser.get("/segments/table").text
