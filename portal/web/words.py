"""How times, numbers and states read on a page: plain words, grouped figures, the merchant's zone.

Everything here is a plain function of its arguments; `init_app` offers them to templates as filters.
"""

from __future__ import annotations

import json
import math
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

from flask import Flask
from flask_login import current_user
from markupsafe import Markup, escape

from portal.db import utcnow
from portal.models import AuditEntry, Delivery, DeliveryState, Event
from portal.models.card_number import in_groups
from portal.models.delivery import LAG_BUCKETS
from portal.services import points

MINUTE, HOUR, DAY = 60, 3600, 86_400
# The look of a state: what a template needs to draw icon, word and colour together.
STATES = {
    "waiting": ("Waiting", "clock", "wait"),
    "delivered": ("Delivered", "check-circle-fill", "ok"),
    "failed": ("Could not be delivered", "x-octagon-fill", "bad"),
    "not_sent": ("Not sent", "dash-circle", "off"),
}
# Likewise of a customer's card.
CARDS = {
    "installed": ("On a phone", "phone-fill", "ok"),
    "uninstalled": ("Removed", "phone", "warn"),
    "not_installed": ("Not on a phone yet", "dash-circle", "off"),
}
# What is listed behind each number of a segment's reach.
REACH_STAGES = {
    "members": "Members",
    "matched": "Members who are customers of yours",
    "unmatched": "Members who are not customers yet",
    "installed": "Members with the card on a phone",
    "apple": "Members with the card in Apple Wallet",
    "google": "Members with the card in Google Wallet",
    "removed": "Members who removed the card",
    "never": "Members who never had the card on a phone",
    "notifiable": "Members who can be notified now",
    "silent": "Members whose card is no longer valid",
}
CHANNELS = {"both": "Online and in store", "online": "Online only", "in_store": "In store only"}
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

PUSH_STATES = {
    "waiting": ("Waiting", "clock", "wait"),
    "sent": ("On its way", "hourglass-split", "wait"),
    "delivered": ("Delivered", "check-circle-fill", "ok"),
    "skipped": ("Skipped", "dash-circle", "off"),
    "failed": ("Not shown", "x-octagon-fill", "bad"),
}

PUSH_SOURCES = {"api": "Webhook or API", "test": "Test push", "campaign": "Campaign"}
PUSH_REASONS = {
    "no_installed_pass": "No card on a phone",
    "suppressed": "Suppressed",
    "frequency_cap": "Enough for a day",
    "expired": "Too late",
    "not_fetched": "Phone did not fetch it",
    "refused": "Refused by Google",
    "cancelled": "Campaign cancelled",
}

IMPORT_STATES = {
    "checking": ("Being checked", "hourglass-split", "wait"),
    "ready": ("Ready to start", "hand-index", "warn"),
    "running": ("Running", "arrow-repeat", "ok"),
    "paused": ("Paused", "pause-circle-fill", "off"),
    "finished": ("Finished", "check-circle-fill", "ok"),
    "cancelled": ("Cancelled", "dash-circle", "off"),
    "failed": ("Cannot be imported", "x-octagon-fill", "bad"),
}
CAMPAIGN_STATES = {
    "draft": ("Draft", "pencil", "off"),
    "scheduled": ("Scheduled", "clock", "wait"),
    "running": ("Running", "arrow-repeat", "ok"),
    "paused": ("Paused", "pause-circle-fill", "off"),
    "needs_person": ("Waits for you", "hand-index", "warn"),
    "finished": ("Finished", "check-circle-fill", "ok"),
    "cancelled": ("Cancelled", "dash-circle", "off"),
}
# What became of a campaign for one customer.
CAMPAIGN_OUTCOMES = {
    "assigned": ("Assigned", "person-check", "off"),
    "sent": ("Sent", "send", "ok"),
    "fetched": ("Fetched by the phone", "check-circle-fill", "ok"),
    "opened": ("Opened", "hand-index-thumb", "ok"),
    "waiting": ("Waiting", "clock", "wait"),
    "on_its_way": ("On its way", "hourglass-split", "wait"),
    "not_sent": ("Not sent", "dash-circle", "off"),
    "failed": ("Not shown", "x-octagon-fill", "bad"),
}
OPENINGS = {"link": "followed the link", "card": "opened the card"}


def init_app(app: Flask) -> None:
    app.jinja_env.filters.update(
        points=points.in_words,
        in_groups=in_groups,
        birthday=birthday,
        told=told,
        grouped=grouped,
        plural=plural,
        iso=iso,
        ago=lambda at: ago(at, utcnow()),
        exact=lambda at: exact(at, zone()),
        clock=lambda at: clock(at, zone()),
        day=lambda at: day(at, zone()),
        duration=duration,
        delay=delay,
        deed=deed,
        marked=marked,
    )
    app.jinja_env.tests.update(endless=endless)
    app.jinja_env.globals.update(
        state_of=state_of,
        states=STATES,
        import_states=IMPORT_STATES,
        push_states=PUSH_STATES,
        push_sources=PUSH_SOURCES,
        push_reasons=PUSH_REASONS,
        campaign_states=CAMPAIGN_STATES,
        campaign_outcomes=CAMPAIGN_OUTCOMES,
        openings=OPENINGS,
        cards=CARDS,
        stages=REACH_STAGES,
        channels=CHANNELS,
    )


def zone() -> tzinfo:
    """The time zone of the merchant who is logged in."""
    return zone_called(current_user.merchant.timezone) if current_user.is_authenticated else UTC


@cache
def zone_called(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return UTC


def grouped(number: float) -> str:
    """18,204; a fraction keeps one digit while it is small."""
    if isinstance(number, float) and number < 10 and number != int(number):
        return f"{number:.1f}"
    return f"{round(number):,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `1,204 events`."""
    return f"{grouped(number)} {one if number == 1 else many or one + 's'}"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def exact(at: datetime, where: tzinfo) -> str:
    local = at.astimezone(where)
    return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"


def day(at: datetime, where: tzinfo) -> str:
    local = at.astimezone(where)
    return f"{local.day} {local:%b %Y}"


def birthday(month_and_day: int) -> str:
    """4 May, from 504."""
    month, number = divmod(month_and_day, 100)
    return f"{number} {MONTHS[month - 1]}"


def told(event: Event) -> str:
    """What an event says beyond its name, in a few words."""
    properties = json.loads(event.properties)
    parts: list[str] = []
    if isinstance(change := properties.get("change"), int | float):
        sign = "-" if properties.get("direction") == "decrease" and change > 0 else "+" if change > 0 else ""
        parts.append(f"{sign}{points.in_words(round(change * 100))} points")
    if "tier" in properties or "previous_tier" in properties:
        parts.append(" to ".join(str(properties.get(name, "no tier")) for name in ("previous_tier", "tier")))
    for name in ("reason", "reward_name", "location", "device", "method", "platform", "campaign_name", "link_label"):
        if isinstance(value := properties.get(name), str):
            parts.append(value)
    return ", ".join(parts)[:200]


def clock(at: datetime, where: tzinfo) -> str:
    return f"{at.astimezone(where):%H:%M}"


def ago(at: datetime, now: datetime) -> str:
    """`3 min ago`, or `in 4 min` for what is to come."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 3:
        return "just now"
    span = _rough(abs(seconds))
    return f"{span} ago" if seconds > 0 else f"in {span}"


def _rough(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{int(seconds)} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min"
    if seconds < 2 * DAY:
        return f"{int(seconds // HOUR)} h"
    days = int(seconds // DAY)
    if days < 60:
        return f"{days} days"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"


def duration(seconds: float | timedelta | None) -> str:
    """`0.8 s`, `2 min 5 s`, `3 h 20 min`; a dash where there is nothing to tell."""
    if seconds is None:
        return "\N{EN DASH}"
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    if minutes < MINUTE:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def delay(seconds: float | None) -> str:
    """A delay that was counted up to an hour: `0.8 s`, or `over 1 h`."""
    return f"over {duration(LAG_BUCKETS[-1])}" if endless(seconds) else duration(seconds)


def endless(seconds: float | None) -> bool:
    """How long it was is not known, but longer than is counted."""
    return seconds == math.inf


def state_of(delivery: Delivery | None) -> str:
    """The state as a filter calls it: waiting, delivered, failed or not_sent."""
    if delivery is None:
        return "not_sent"
    return {DeliveryState.PENDING: "waiting", DeliveryState.DELIVERED: "delivered"}.get(
        DeliveryState(delivery.state), "failed"
    )


def marked(text: str) -> Markup:
    """Plain text in which `code` is set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


def deed(entry: AuditEntry) -> str:
    """An audit entry's action as the start of a sentence."""
    return entry.action[:1].upper() + entry.action[1:].replace("_", " ")
