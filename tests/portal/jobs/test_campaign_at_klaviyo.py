"""A campaign from Klaviyo and back: a segment is imported, and Campaign assigned is in its members' timelines there."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from portal.db import db
from portal.jobs import deliveries
from portal.models import CampaignStart, CampaignState, Segment
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox
from tests.portal.jobs.campaign_stage import CampaignStage
from tests.portal.jobs.segment_stage import SegmentStage


def _timelines(app: Flask, shop: Shop, sandbox: Sandbox) -> dict[str, str]:
    """The names of the campaigns that each was assigned to, by email, as Klaviyo has them."""
    with app.app_context():
        deliveries.take_turn(shop.id)
    told = [event for event in sandbox.events() if event["metric"] == "Campaign assigned"]
    assert len({event["unique_id"] for event in told}) == len(told)
    return {
        event["email"]: f"{event['properties']['campaign_name']}, {event['properties']['segment_name']}"
        for event in told
    }


def test_an_imported_segment_is_sent_a_campaign_and_klaviyo_knows_who_was_assigned(
    app: Flask, sandbox: Sandbox, connected: Shop
) -> None:
    sandbox.set(limits=False)
    segments, stage = SegmentStage(app, sandbox, connected), CampaignStage(app, connected)
    profiles = segments.people(5)
    with app.app_context():
        factories.know(connected.id, [Identifiers(email=f"m{number}@example.com") for number in range(4)])
    klaviyo_id = segments.select("VIP Gold", profile_ids=profiles[:3])
    segments.import_now(klaviyo_id)
    with app.app_context():
        vip = db.session.scalars(select(Segment.id).where(Segment.klaviyo_segment_id == klaviyo_id)).one()
    now, entering = stage.save([vip]), stage.save([vip], name="Welcome", start=CampaignStart.ON_ENTERING)
    for campaign_id in (now, entering):
        stage.start(campaign_id)
        stage.work(campaign_id)
    assert stage.state(now) is CampaignState.FINISHED
    assert _timelines(app, connected, sandbox) == dict.fromkeys(
        [f"m{number}@example.com" for number in range(3)], "Autumn roast, VIP Gold"
    )
    sandbox.change_members(klaviyo_id, profile_ids=profiles)
    segments.import_now(klaviyo_id)
    stage.work(entering)
    # The fifth is in the segment, but no customer.
    assert _timelines(app, connected, sandbox)["m3@example.com"] == "Welcome, VIP Gold"
    assert len([event for event in sandbox.events() if event["metric"] == "Campaign assigned"]) == 4
