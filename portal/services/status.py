"""What the status panel and the home page show. Reads rows and counters, never Redis, and never counts without a bound."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from portal.db import db, first_id_at
from portal.klaviyo import bodies, limits
from portal.klaviyo import profiles as wire
from portal.models import (
    Call,
    Connection,
    Customer,
    Delivery,
    DeliveryMinute,
    DeliveryState,
    Event,
    Heartbeat,
    Merchant,
    Module,
    Segment,
    in_state,
)
from portal.services import connecting, counting, identity, imports, last_hour, modules, profiles, sweeps, unerased
from portal.services.catalogue import EVENT_TYPES, EventType
from portal.services.import_progress import Progress, progress_of
from portal.services.last_hour import COUNT_UP_TO, Minute, Rates
from portal.services.segment_progress import Currency, currency

PROBLEMS_FROM = 500
ALIVE = timedelta(seconds=30)
# An event that has waited for longer is worth a word.
LONG_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Problem:
    """Failed deliveries with one and the same reason."""

    text: str
    remedy: str
    count: int
    filter: dict[str, str]


@dataclass(frozen=True)
class Panel:
    connection: Connection | None
    events_on: bool
    segments_on: bool
    delivered_today: int
    waiting: int
    waiting_more: bool  # at least `waiting`
    failed: int
    failed_more: bool
    rates: Rates
    lag_p50: float | None  # seconds, last hour; infinite beyond what is counted
    lag_p95: float | None
    minutes: Sequence[Minute]  # 60, oldest first
    oldest_waiting_seconds: float | None
    budget_free: float  # share of this minute's rate limit, 0 to 1
    paused_until: datetime | None
    pause_reason: str | None
    problems: Sequence[Problem]
    ticker_seen_seconds: float | None
    workers: int
    workers_seen_seconds: float | None
    importer_seen_seconds: float | None
    caught_up: tuple[datetime, datetime] | None
    running: bool
    segments_selected: int
    segments_total: int
    currency: Currency
    # The import of past events that is under way.
    history: Progress | None
    # The look at all customers that is under way.
    profiles: sweeps.Progress | None
    profiles_refused: int
    identity_open: int
    # Erasures that Klaviyo did not take at a first try.
    erasures_left: int

    @property
    def failing(self) -> bool:
        """The last calls to Klaviyo failed; true between two rests too, until one works again."""
        return self.connection is not None and self.connection.is_connected and self.connection.failures_in_a_row > 0

    @property
    def needs_a_person(self) -> bool:
        return bool(self.problems or self.profiles_refused or self.identity_open or self.erasures_left)

    @property
    def behind(self) -> bool:
        """Something has waited for long, whatever the cause."""
        return self.waiting > 0 and (self.oldest_waiting_seconds or 0) > LONG_WAIT_SECONDS


@dataclass(frozen=True)
class Home:
    panel: Panel
    today: Sequence[tuple[EventType, int]]
    today_more: bool  # the counts stop at COUNT_UP_TO events
    customers: int
    customers_more: bool


def panel(merchant_id: int, now: datetime) -> Panel:
    connection = connecting.connection_of(merchant_id)
    switched = modules.switches(merchant_id)
    waiting, failed = (_count(merchant_id, state) for state in (DeliveryState.PENDING, DeliveryState.DEAD))
    lags = counting.lags_since(merchant_id, now - timedelta(minutes=60))
    minutes = last_hour.minutes(merchant_id, now)
    workers, workers_seen = _alive("worker", now)
    selected, total = _segments(merchant_id)
    current = currency(merchant_id, now)
    swept = sweeps.progress(merchant_id, now)
    return Panel(
        connection=connection,
        events_on=switched[Module.EVENTS] is not None,
        segments_on=switched[Module.SEGMENTS] is not None,
        delivered_today=_delivered_since(merchant_id, _midnight(merchant_id, now)),
        waiting=waiting,
        waiting_more=waiting >= COUNT_UP_TO,
        failed=failed,
        failed_more=failed >= COUNT_UP_TO,
        rates=last_hour.rates(merchant_id, minutes, now),
        lag_p50=counting.quantile(lags, 0.5),
        lag_p95=counting.quantile(lags, 0.95),
        minutes=minutes,
        oldest_waiting_seconds=_oldest_waiting(merchant_id, now),
        budget_free=_budget_free(merchant_id, now),
        paused_until=connection.paused_until
        if connection and connection.paused_until and connection.paused_until > now
        else None,
        pause_reason=connection.pause_reason if connection else None,
        problems=_problems(merchant_id),
        ticker_seen_seconds=_alive("ticker", now)[1],
        workers=workers,
        workers_seen_seconds=workers_seen,
        importer_seen_seconds=_alive("importer", now)[1],
        caught_up=_caught_up(connection, now),
        running=bool(waiting or swept or current.under_way or any(minute.delivered for minute in minutes[-2:])),
        segments_selected=selected,
        segments_total=total,
        currency=current,
        profiles=swept,
        profiles_refused=profiles.count_refused(merchant_id, COUNT_UP_TO),
        identity_open=identity.count_open(merchant_id, COUNT_UP_TO),
        erasures_left=unerased.count_in_trouble(merchant_id, COUNT_UP_TO),
        history=progress_of(under_way) if (under_way := imports.running(merchant_id)) else None,
    )


def home(merchant_id: int, now: datetime) -> Home:
    counted, more = _today_by_type(merchant_id, _midnight(merchant_id, now))
    bounded = select(Customer.id).where(Customer.merchant_id == merchant_id).limit(COUNT_UP_TO)
    customers = db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0
    return Home(
        panel=panel(merchant_id, now),
        today=[(entry, counted[entry.type]) for entry in EVENT_TYPES if entry.type in counted],
        today_more=more,
        customers=customers,
        customers_more=customers >= COUNT_UP_TO,
    )


def _today_by_type(merchant_id: int, midnight: datetime) -> tuple[dict[str, int], bool]:
    """What happened today, by kind, and whether more came in than was looked at. History that comes in today is of its own day."""
    bounded = (
        select(Event.type, (Event.occurred_at >= midnight).label("is_today"))
        # By id too: without it a quiet day would make this look through all events there ever were.
        .where(Event.merchant_id == merchant_id, Event.id >= first_id_at(midnight), Event.received_at >= midnight)
        .order_by(Event.id.desc())
        .limit(COUNT_UP_TO)
        .subquery()
    )
    query = select(bounded.c.type, bounded.c.is_today, func.count()).group_by(bounded.c.type, bounded.c.is_today)
    rows = db.session.execute(query).all()
    return {kind: count for kind, is_today, count in rows if is_today}, sum(row[2] for row in rows) >= COUNT_UP_TO


def _count(merchant_id: int, state: DeliveryState) -> int:
    bounded = (
        select(Delivery.id).where(Delivery.merchant_id == merchant_id, in_state(Delivery, state)).limit(COUNT_UP_TO)
    )
    return db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0


def _midnight(merchant_id: int, now: datetime) -> datetime:
    """The beginning of today where the merchant is."""
    zone = zoneinfo.ZoneInfo(db.session.get_one(Merchant, merchant_id).timezone)
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _delivered_since(merchant_id: int, since: datetime) -> int:
    query = select(func.sum(DeliveryMinute.delivered)).where(
        DeliveryMinute.merchant_id == merchant_id, DeliveryMinute.minute >= since
    )
    return int(db.session.scalar(query) or 0)


def _oldest_waiting(merchant_id: int, now: datetime) -> float | None:
    query = (
        select(Delivery.created_at)
        .where(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.PENDING))
        .order_by(Delivery.id)
        .limit(1)
    )
    oldest = db.session.scalar(query)
    return None if oldest is None else max(0.0, (now - oldest).total_seconds())


def _budget_free(merchant_id: int, now: datetime) -> float:
    """What is left of the tightest minute limit, by the calls written down in the last 60 seconds."""
    query = (
        select(Call.path, func.count())
        .where(Call.merchant_id == merchant_id, Call.started_at > now - timedelta(seconds=60))
        .group_by(Call.path)
    )
    steady = {
        bodies.EVENT_PATH: limits.EVENT.steady,
        bodies.EVENT_BULK_PATH: limits.EVENT_BULK.steady,
        wire.PATH: limits.PROFILE.steady,
        wire.BULK_PATH: limits.PROFILE_BULK.steady,
    }
    shares = [calls / steady[path] for path, calls in db.session.execute(query) if path in steady]
    return max(0.0, 1 - max(shares, default=0.0))


def _problems(merchant_id: int) -> list[Problem]:
    """The reasons of the latest failures, most frequent first."""
    latest = (
        select(Delivery.reason)
        .where(Delivery.merchant_id == merchant_id, in_state(Delivery, DeliveryState.DEAD))
        .order_by(Delivery.id.desc())
        .limit(PROBLEMS_FROM)
        .subquery()
    )
    query = select(latest.c.reason, func.count()).group_by(latest.c.reason).order_by(func.count().desc()).limit(5)
    found = []
    for reason, count in db.session.execute(query):
        text, _, rest = (reason or "Klaviyo refused it").partition(". ")
        remedy = rest.split(". (")[0].split(" (")[0] or "Open one to see Klaviyo's answer"
        found.append(Problem(text.rstrip("."), remedy.rstrip(".") + ".", count, {"state": "failed"}))
    return found


def _alive(kind: str, now: datetime) -> tuple[int, float | None]:
    """(how many beat lately, seconds since the latest beat)."""
    query = select(Heartbeat.at).where(Heartbeat.kind == kind).order_by(Heartbeat.at.desc()).limit(100)
    beats = db.session.scalars(query).all()
    if not beats:
        return 0, None
    return sum(now - at < ALIVE for at in beats), max(0.0, (now - beats[0]).total_seconds())


def last_beat_seconds(kind: str, now: datetime) -> float | None:
    """Seconds since a process of this kind was last heard of."""
    return _alive(kind, now)[1]


def count_alive(kind: str, now: datetime) -> int:
    return _alive(kind, now)[0]


def _caught_up(connection: Connection | None, now: datetime) -> tuple[datetime, datetime] | None:
    if connection is None or connection.caught_up_from is None or connection.caught_up_until is None:
        return None
    recent = now - connection.caught_up_until < timedelta(days=1)
    return (connection.caught_up_from, connection.caught_up_until) if recent else None


def _segments(merchant_id: int) -> tuple[int, int]:
    query = select(func.count(Segment.selected_at), func.count()).where(Segment.merchant_id == merchant_id)
    selected, total = db.session.execute(query).one()
    return selected, total
