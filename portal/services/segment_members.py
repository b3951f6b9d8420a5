"""Taking pages of a segment over into its members, so that nothing is seen of it before the run is complete.

A row is shown while `joined_generation <= segment.generation <= seen_generation`; a run writes its own, higher number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, and_, bindparam, delete, or_, select, update

from portal.bulk import insert_rows
from portal.db import changed_rows, db, insert_or_update, one_of, run
from portal.klaviyo.segments import Profile
from portal.models import SegmentChange, SegmentMember, Way
from portal.services import matching

_TABLE = SegmentMember.__table__
_ATTRIBUTES = ("email", "phone", "external_id", "joined_group_at")
_EXISTING = tuple(
    _TABLE.c[name] for name in ("klaviyo_profile_id", "customer_id", "joined_generation", "seen_generation")
)
CHANGES_AT_ONCE = 5_000
SWEEP_AT_ONCE = 5_000


@dataclass(frozen=True)
class Whose:
    """Where members are taken over: the run's number, and the one of the set that is shown."""

    merchant_id: int
    segment_id: int
    generation: int
    shown: int


def take_over(whose: Whose, profiles: Sequence[Profile]) -> int:
    """Note that these are members; how many the run had not met before. A page that comes twice counts once."""
    told = {profile.id: profile for profile in profiles}
    existing = _existing(whose, told)
    news = [profile for profile in told.values() if _is_news(existing.get(profile.id), profile)]
    customers = matching.match(whose.merchant_id, news) if news else {}
    changed = [profile for profile in news if profile.id in existing]
    new = [profile for profile in news if profile.id not in existing]
    if new:
        insert_rows(SegmentMember, [_row(whose, profile, customers) for profile in new])
    if changed:
        run(_CHANGE, [_change(whose, profile, customers, existing[profile.id]) for profile in changed])
    met = [row for row in existing.values() if row.seen_generation < whose.generation]
    _see(whose, met)
    return len(new) + len(met)


def _existing(whose: Whose, ids: Sequence[str] | dict[str, Profile]) -> dict[str, Any]:
    columns = (*_EXISTING, *(_TABLE.c[name] for name in _ATTRIBUTES))
    query = select(*columns).where(_TABLE.c.segment_id == whose.segment_id, one_of(_TABLE.c.klaviyo_profile_id, ids))
    return {row.klaviyo_profile_id: row for row in run(query)}


def _is_news(row: Any, profile: Profile) -> bool:
    """Not known like this, or without a customer, who may have come since."""
    return (
        row is None
        or row.customer_id is None
        or any(getattr(row, name) != value for name, value in _attributes(profile).items())
    )


def _attributes(profile: Profile) -> dict[str, Any]:
    return {
        "email": profile.email,
        "phone": profile.phone,
        "external_id": profile.external_id,
        "joined_group_at": profile.joined_at,
    }


def _row(whose: Whose, profile: Profile, customers: dict[str, int]) -> dict[str, Any]:
    return {
        "segment_id": whose.segment_id,
        "klaviyo_profile_id": profile.id,
        "customer_id": customers.get(profile.id),
        **_attributes(profile),
        "joined_generation": whose.generation,
        "seen_generation": whose.generation,
    }


_CHANGE: Executable = (
    update(_TABLE)  # type: ignore[arg-type]
    .where(_TABLE.c.segment_id == bindparam("of"), _TABLE.c.klaviyo_profile_id == bindparam("who"))
    .values({name: bindparam(f"new_{name}") for name in ("customer_id", *_ATTRIBUTES)})
)


def _change(whose: Whose, profile: Profile, customers: dict[str, int], row: Any) -> dict[str, Any]:
    values = {"customer_id": customers.get(profile.id, row.customer_id), **_attributes(profile)}
    return {"of": whose.segment_id, "who": profile.id, **{f"new_{name}": value for name, value in values.items()}}


def _see(whose: Whose, met: Sequence[Any]) -> None:
    """Those who were shown stay so; anybody else joins with this run."""
    shown = {row.klaviyo_profile_id for row in met if row.joined_generation <= whose.shown <= row.seen_generation}
    joining = [row.klaviyo_profile_id for row in met if row.klaviyo_profile_id not in shown]
    seen = {"seen_generation": whose.generation}
    for which, values in ((list(shown), seen), (joining, {**seen, "joined_generation": whose.generation})):
        if which:
            mine = and_(_TABLE.c.segment_id == whose.segment_id, one_of(_TABLE.c.klaviyo_profile_id, which))
            run(update(_TABLE).where(mine).values(values))  # type: ignore[arg-type]


# --- what a run has changed ----------------------------------------------------------------------


def changes(whose: Whose) -> Iterator[list[dict[str, Any]]]:
    """Who joined and who left, in batches, once every member was met; reads only."""
    after = ""
    while rows := run(_changed(whose, after)).all():
        after = rows[-1].klaviyo_profile_id
        yield [
            {
                "way": (Way.JOINED if row.joined_generation == whose.generation else Way.LEFT).value,
                "klaviyo_profile_id": row.klaviyo_profile_id,
                "customer_id": row.customer_id,
                "label": row.email or row.phone or row.external_id or row.klaviyo_profile_id,
            }
            for row in rows
        ]


def _changed(whose: Whose, after: str) -> Executable:
    left = and_(
        _TABLE.c.seen_generation < whose.generation,
        _TABLE.c.seen_generation >= whose.shown,
        _TABLE.c.joined_generation <= whose.shown,
    )
    return (
        select(*_EXISTING, _TABLE.c.email, _TABLE.c.phone, _TABLE.c.external_id)
        .where(
            _TABLE.c.segment_id == whose.segment_id,
            _TABLE.c.klaviyo_profile_id > after,
            or_(_TABLE.c.joined_generation == whose.generation, left),
        )
        .order_by(_TABLE.c.klaviyo_profile_id)
        .limit(CHANGES_AT_ONCE)
    )


def record_changes(run_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """Harmless when repeated."""
    statement = insert_or_update(SegmentChange).on_conflict_do_nothing()
    run(statement, [{"run_id": run_id, **row} for row in rows])


def sweep(segment_id: int, generation: int) -> bool:
    """Remove a bounded number of rows that no set contains any more; whether any are left."""
    old = (
        select(_TABLE.c.klaviyo_profile_id)
        .where(_TABLE.c.segment_id == segment_id, _TABLE.c.seen_generation < generation)
        .limit(SWEEP_AT_ONCE)
    )
    ids = db.session.scalars(old).all()
    if ids:
        gone = delete(SegmentMember).where(
            SegmentMember.segment_id == segment_id,
            one_of(SegmentMember.klaviyo_profile_id, ids),
            SegmentMember.seen_generation < generation,
        )
        changed_rows(db.session.execute(gone.execution_options(synchronize_session=False)))
    return len(ids) == SWEEP_AT_ONCE
