"""The status panel's card about segments, as it is read."""

from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient

from portal.db import db, new_id, transaction, utcnow
from portal.models import Module, RunState, Segment, SegmentRun
from tests.factories import Shop
from tests.portal.services import stage


def test_the_card_names_the_import_under_way_and_the_next_one(owner: FlaskClient, connected: Shop) -> None:
    now = utcnow()
    with owner.application.app_context():
        stage.switch_on(connected.id, Module.SEGMENTS)
        with transaction():
            for name, lease in (("VIP Gold", 7), ("New", None)):
                segment = Segment(merchant_id=connected.id, klaviyo_segment_id=name, name=name, listed_at=now)
                segment.selected_at, segment.due_at, segment.lease = now, now + timedelta(minutes=4), lease
                segment.complete_from = now - timedelta(minutes=6)
                db.session.add(segment)
                db.session.flush()
                if lease:
                    run = SegmentRun(id=new_id(), merchant_id=connected.id, segment_id=segment.id, generation=1)
                    run.state, run.started_at = RunState.RUNNING, now - timedelta(seconds=60)
                    run.members, run.expected = 61, 100
                    db.session.add(run)
    panel = owner.get("/status/panel").text
    for said in (
        "2 of 2",
        "oldest 6 min",
        "VIP Gold</a>",
        "61 of 100 members",
        "(61 %)",
        "<progress",
        'id="status-sync"',
        "every 2s",
    ):
        assert said in panel
