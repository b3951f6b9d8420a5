"""A campaign's pushes that are promised and not given to the cards yet: held while it pauses, given up when it is cancelled."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, select, update

from portal.db import db, one_of
from portal.models import Assignment, Campaign, CampaignState, Push, PushState


def are_waiting(campaign_id: int) -> bool:
    return db.session.scalar(_waiting(campaign_id).limit(1)) is not None


def hold(campaign_id: int) -> None:
    _set_due(campaign_id, None)


def let_go(campaign_id: int, now: datetime) -> None:
    """They are decided about at once: sent, or skipped where the campaign is cancelled."""
    _set_due(campaign_id, now)


def _set_due(campaign_id: int, due_at: datetime | None) -> None:
    # The state is asked for once more: another transaction may be giving one to its card at this moment.
    those = update(Push).where(Push.id.in_(_waiting(campaign_id)), Push.state == PushState.WAITING)
    db.session.execute(those.values(due_at=due_at), execution_options={"synchronize_session": False})


def _waiting(campaign_id: int) -> Select[int]:
    query = select(Push.id).join(Assignment, Assignment.push_id == Push.id)
    return query.where(Assignment.campaign_id == campaign_id, Push.state == PushState.WAITING)


def of_cancelled(push_ids: Collection[int]) -> set[int]:
    """Those of these whose campaign is cancelled."""
    query = select(Assignment.push_id).join(Campaign, Campaign.id == Assignment.campaign_id)
    query = query.where(one_of(Assignment.push_id, sorted(push_ids)), Campaign.state == CampaignState.CANCELLED)
    return {push_id for push_id in db.session.scalars(query) if push_id is not None}
