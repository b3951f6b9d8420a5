"""What tests of imports begin with and look at: a segment at the sandbox that is selected here, its runs and its members."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from portal import beats
from portal.db import db, transaction, utcnow
from portal.jobs import segments as importer
from portal.models import Module, Segment, SegmentChange, SegmentMember, SegmentRun, is_member
from portal.services import segments
from tests import factories
from tests.factories import Shop
from tests.klaviyo_account import Sandbox


class SegmentStage:
    """One merchant with Segments switched on."""

    def __init__(self, app: Flask, sandbox: Sandbox, shop: Shop) -> None:
        self.app, self.sandbox, self.shop = app, sandbox, shop
        factories.switch(app, shop, Module.SEGMENTS)

    def people(self, count: int, prefix: str = "m") -> list[str]:
        """Profiles at Klaviyo; their ids."""
        return self.sandbox.plant([{"email": f"{prefix}{number}@example.com"} for number in range(count)])

    def select(self, name: str, **members: object) -> str:
        """A segment with these members, listed and selected; Klaviyo's id."""
        klaviyo_id = self.sandbox.plant_segment(name, **members)
        self.choose(klaviyo_id)
        return klaviyo_id

    def choose(self, klaviyo_id: str, *, selected: bool = True) -> None:
        with self.app.app_context():
            beats.refresh_segments(self.shop.id)
            row = self.segment(klaviyo_id)
            with transaction():
                segments.select_segment(self.shop.id, row.id, selected, "test")

    def segment(self, klaviyo_id: str) -> Segment:
        with self.app.app_context():
            return db.session.scalars(select(Segment).where(Segment.klaviyo_segment_id == klaviyo_id)).one()

    def make_due(self, klaviyo_id: str) -> None:
        """Time is moved, not slept."""
        with self.app.app_context(), transaction():
            db.session.execute(
                update(Segment)
                .where(Segment.klaviyo_segment_id == klaviyo_id)
                .values(due_at=utcnow() - timedelta(seconds=1), lease=None)
            )

    def import_now(self, klaviyo_id: str, stopping: threading.Event | None = None) -> None:
        """One turn."""
        self.make_due(klaviyo_id)
        with self.app.app_context():
            assert importer.import_due(stopping) >= 1

    def members(self, klaviyo_id: str) -> set[str]:
        """Those whom readers see."""
        with self.app.app_context():
            query = (
                select(SegmentMember.klaviyo_profile_id)
                .join(Segment, is_member())
                .where(Segment.klaviyo_segment_id == klaviyo_id)
            )
            return set(db.session.scalars(query))

    def runs(self, klaviyo_id: str) -> list[SegmentRun]:
        """Oldest first."""
        with self.app.app_context():
            query = (
                select(SegmentRun)
                .join(Segment, Segment.id == SegmentRun.segment_id)
                .where(Segment.klaviyo_segment_id == klaviyo_id)
                .order_by(SegmentRun.generation)
            )
            return list(db.session.scalars(query))

    def changes(self, run: SegmentRun) -> dict[str, str]:
        """joined or left, by profile id."""
        with self.app.app_context():
            rows: Any = db.session.scalars(select(SegmentChange).where(SegmentChange.run_id == run.id))
            return {row.klaviyo_profile_id: str(row.way) for row in rows}
