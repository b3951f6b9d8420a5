"""What tests of campaigns begin with and look at: a segment whose members are customers, and a campaign for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from portal.db import db, new_id, transaction, utcnow
from portal.jobs import campaigns as job
from portal.jobs import pushes as push_job
from portal.models import (
    Assignment,
    Campaign,
    CampaignStart,
    CampaignState,
    Customer,
    Event,
    Module,
    Push,
    RunState,
    Segment,
    SegmentChange,
    SegmentMember,
    SegmentRun,
    Way,
)
from portal.services import campaigns
from portal.services.campaigns import CampaignPlan
from portal.services.customers import Identifiers
from tests import factories
from tests.factories import ACTOR, Shop

MESSAGE = "Hi {first_name|there}, you have {balance} points"


class CampaignStage:
    """One merchant with Segments switched on. Sets of members are made as a complete run leaves them."""

    def __init__(self, app: Flask, shop: Shop) -> None:
        self.app, self.shop = app, shop
        factories.switch(app, shop, Module.SEGMENTS)

    def customers(self, count: int, prefix: str = "c", *, on_ios: bool = False) -> list[int]:
        with self.app.app_context():
            who = [Identifiers(email=f"{prefix}{number}@example.com") for number in range(count)]
            people = factories.know(self.shop.id, who)
            ids = [person.id for person in people if person]
            if on_ios:
                with transaction():
                    for customer in db.session.scalars(select(Customer).where(Customer.id.in_(ids))):
                        customer.on_ios = True
            return ids

    def segment(self, name: str, customer_ids: Sequence[int]) -> int:
        with self.app.app_context(), transaction():
            now = utcnow()
            segment = Segment(
                merchant_id=self.shop.id, klaviyo_segment_id=name, name=name, listed_at=now, selected_at=now
            )
            segment.generation, segment.complete_at, segment.members = 1, now, len(customer_ids)
            db.session.add(segment)
            db.session.flush()
            self._put(segment, customer_ids)
            return segment.id

    def _put(self, segment: Segment, customer_ids: Sequence[int]) -> None:
        for customer_id in customer_ids:
            db.session.add(
                SegmentMember(
                    segment_id=segment.id,
                    klaviyo_profile_id=f"P{customer_id}",
                    customer_id=customer_id,
                    joined_generation=segment.generation,
                    seen_generation=segment.generation + 1_000,
                )
            )

    def join(self, segment_id: int, customer_ids: Sequence[int]) -> None:
        """By one more complete run."""
        with self.app.app_context(), transaction():
            segment = db.session.get(Segment, segment_id)
            assert segment is not None
            segment.generation += 1
            run = SegmentRun(id=new_id(), merchant_id=self.shop.id, segment_id=segment_id)
            run.generation, run.state, run.started_at = segment.generation, RunState.COMPLETE, utcnow()
            db.session.add(run)
            db.session.flush()
            self._put(segment, customer_ids)
            for customer_id in customer_ids:
                change = SegmentChange(run_id=run.id, way=Way.JOINED, klaviyo_profile_id=f"P{customer_id}", label="x")
                change.customer_id = customer_id
                db.session.add(change)

    def plan(self, include: Sequence[int], **changes: Any) -> CampaignPlan:
        usual: dict[str, Any] = {
            "name": "Autumn roast",
            "include": include,
            "exclude": (),
            "tier_id": None,
            "card_status": None,
            "message": MESSAGE,
            "url": None,
            "start": CampaignStart.NOW,
            "start_at": None,
            "guard_percent": 30,
        }
        return CampaignPlan(**{**usual, **changes})

    def save(self, include: Sequence[int], **changes: Any) -> int:
        with self.app.app_context(), transaction():
            return campaigns.save(self.shop.id, None, self.plan(include, **changes), ACTOR).id

    def start(self, campaign_id: int) -> None:
        with self.app.app_context(), transaction():
            campaigns.start(self.shop.id, campaign_id, ACTOR)

    def work(self, campaign_id: int) -> None:
        with self.app.app_context():
            while job.take_turn(campaign_id):
                pass
            db.session.remove()

    def push(self, campaign_id: int) -> None:
        """Let the pushes go out, and the campaign see that they have."""
        with self.app.app_context():
            push_job.take_turn(self.shop.id)
        self.work(campaign_id)

    def campaign(self, campaign_id: int) -> Campaign:
        with self.app.app_context():
            return campaigns.find(self.shop.id, campaign_id)

    def state(self, campaign_id: int) -> CampaignState:
        return CampaignState(self.campaign(campaign_id).state)

    def assigned(self, campaign_id: int) -> list[int]:
        with self.app.app_context():
            query = select(Assignment.customer_id).where(Assignment.campaign_id == campaign_id)
            return sorted(db.session.scalars(query))

    def told(self) -> int:
        """How many Campaign assigned events there are."""
        with self.app.app_context():
            query = select(func.count()).select_from(Event)
            return db.session.scalar(query.where(Event.type == "campaign_assigned")) or 0

    def pushes(self) -> list[Push]:
        with self.app.app_context():
            return list(db.session.scalars(select(Push).order_by(Push.id)))
