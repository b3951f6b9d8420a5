"""Whom a campaign is for: the members of its segments who are customers, less those to be left out, by the campaign's rule.

Always over the last complete sets. What stands in the way of sending is told before anything is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select

from portal.db import LARGEST_ID, db, one_of
from portal.models import (
    Assignment,
    Campaign,
    CampaignSegment,
    Customer,
    Module,
    RunState,
    Segment,
    SegmentChange,
    SegmentMember,
    SegmentRun,
    Way,
    is_member,
)
from portal.services import modules


def segments_of(campaign_id: int) -> Sequence[CampaignSegment]:
    query = select(CampaignSegment).where(CampaignSegment.campaign_id == campaign_id)
    return db.session.scalars(query.order_by(CampaignSegment.name).execution_options(populate_existing=True)).all()


def count(campaign: Campaign) -> int:
    """How many are in the audience, assigned or not."""
    found = select(func.count()).select_from(_customers(campaign, _members(campaign, included=True)).subquery())
    return db.session.scalar(found) or 0


def reachable(campaign: Campaign) -> int:
    """How many of them have the card on a phone."""
    query = _customers(campaign, _members(campaign, included=True)).where(Customer.on_ios | Customer.on_android)
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0


def members(campaign: Campaign, limit: int, *, after: int = 0, reachable: bool = False) -> Sequence[Customer]:
    """The first of them, by rising id."""
    query = _customers(campaign, _members(campaign, included=True)).where(Customer.id > min(after, LARGEST_ID))
    if reachable:
        query = query.where(Customer.on_ios | Customer.on_android)
    return db.session.scalars(query.order_by(Customer.id).limit(limit)).all()


def next_members(campaign: Campaign, limit: int) -> Sequence[Customer]:
    """Those of the audience who come next in the walk and are not assigned yet."""
    return _next(campaign, _members(campaign, included=True), limit)


def next_joiners(campaign: Campaign, run_id: int, limit: int) -> Sequence[Customer]:
    """The same for those who joined in one complete run."""
    return _next(campaign, _joined(run_id), limit)


def count_joiners(campaign: Campaign, run_id: int) -> int:
    """How many of them there are who are not assigned yet."""
    query = _customers(campaign, _joined(run_id)).where(~_assigned(campaign))
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _joined(run_id: int) -> Select[Any]:
    return select(SegmentChange.customer_id).where(
        SegmentChange.run_id == run_id, SegmentChange.way == Way.JOINED, SegmentChange.customer_id.is_not(None)
    )


def next_joining(campaign: Campaign) -> tuple[CampaignSegment, SegmentRun] | None:
    """The segment and its complete run whose joiners come next."""
    for part in segments_of(campaign.id):
        if part.included and (run := _next_run(part)) is not None:
            return part, run
    return None


def _next_run(part: CampaignSegment) -> SegmentRun | None:
    query = select(SegmentRun).where(
        SegmentRun.segment_id == part.segment_id,
        SegmentRun.state == RunState.COMPLETE,
        SegmentRun.generation > part.generation,
    )
    return db.session.scalar(query.order_by(SegmentRun.generation).limit(1))


def leads(campaign: Campaign, customer_ids: Collection[int]) -> dict[int, str]:
    """The name of the included segment that each is in."""
    query = (
        select(SegmentMember.customer_id, func.min(Segment.name))
        .join(Segment, is_member())
        .where(
            one_of(SegmentMember.customer_id, sorted(customer_ids)), Segment.id.in_(_chosen(campaign, included=True))
        )
        .group_by(SegmentMember.customer_id)
    )
    return {customer_id: name for customer_id, name in db.session.execute(query) if customer_id is not None}


def _next(campaign: Campaign, whom: Select[Any], limit: int) -> Sequence[Customer]:
    query = _customers(campaign, whom).where(Customer.id > campaign.walked_to, ~_assigned(campaign))
    return db.session.scalars(query.order_by(Customer.id).limit(limit).execution_options(populate_existing=True)).all()


def _assigned(campaign: Campaign) -> ColumnElement[bool]:
    return exists().where(Assignment.campaign_id == campaign.id, Assignment.customer_id == Customer.id)


def _customers(campaign: Campaign, whom: Select[Any]) -> Select[Any]:
    query = select(Customer).where(
        Customer.merchant_id == campaign.merchant_id,
        Customer.id.in_(whom),
        Customer.id.not_in(_members(campaign, included=False)),
    )
    if campaign.tier_id is not None:
        query = query.where(Customer.tier_id == campaign.tier_id)
    if campaign.card_status is not None:
        query = query.where(Customer.card_status == campaign.card_status)
    return query


def _chosen(campaign: Campaign, *, included: bool) -> Select[Any]:
    return select(CampaignSegment.segment_id).where(
        CampaignSegment.campaign_id == campaign.id, CampaignSegment.included == included
    )


def _members(campaign: Campaign, *, included: bool) -> Select[Any]:
    mine = and_(is_member(), Segment.merchant_id == campaign.merchant_id)
    return (
        select(SegmentMember.customer_id)
        .join(Segment, mine)
        .where(Segment.id.in_(_chosen(campaign, included=included)), SegmentMember.customer_id.is_not(None))
    )


# --- what stands in the way ----------------------------------------------------------------------


def obstacle(campaign: Campaign) -> str | None:
    """Why nobody can say who is in the audience now, in our words."""
    if modules.switches(campaign.merchant_id)[Module.SEGMENTS] is None:
        return "Segments is switched off, so who is in them is no longer known. Switch it on under Settings > Integrations > Klaviyo."
    parts = segments_of(campaign.id)
    if not any(part.included for part in parts):
        return "No segment is chosen. Choose whom the campaign is for."
    query = select(Segment).where(
        Segment.merchant_id == campaign.merchant_id, Segment.id.in_([part.segment_id for part in parts])
    )
    known = {row.id: row for row in db.session.scalars(query.execution_options(populate_existing=True))}
    for part in parts:
        segment = known.get(part.segment_id)
        if segment is None or segment.gone_at is not None:
            return f"The segment “{part.name}” no longer exists in Klaviyo. Choose another one."
        if segment.selected_at is None:
            return f"The segment “{part.name}” is no longer selected, so nobody knows who is in it now. Select it again, or another one."
        if not segment.generation:
            return f"The segment “{part.name}” is still being imported for the first time. Wait until that is done."
    return None
