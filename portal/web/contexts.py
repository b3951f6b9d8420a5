"""What a fragment shows, and the page that includes it: both call the same function here.

Read-only, and only of the merchant who is logged in.
"""

from __future__ import annotations

from typing import Any

from flask_login import current_user

from portal.db import utcnow
from portal.models import ConnectionState, ImportState, Module, Segment
from portal.services import (
    activity,
    catalogue,
    connecting,
    drift,
    identity,
    imports,
    modules,
    profile_contract,
    profiles,
    segment_counts,
    segments,
    status,
    sweeps,
    trying,
    unerased,
    unsent,
    wallet_setup,
)
from portal.services.history_rows import ENCODINGS
from portal.services.import_progress import KLAVIYO_RATE, progress_of
from portal.services.segment_progress import under_way as segments_under_way
from portal.web.guards import merchant_id

# Of a list that is there to be emptied, so many at once.
LISTED = 50


def home_today() -> dict[str, Any]:
    now = utcnow()
    return {"home": status.home(merchant_id(), now), "wallet": wallet_setup.warnings(merchant_id(), now), "now": now}


def status_panel() -> dict[str, Any]:
    return {"panel": status.panel(merchant_id(), utcnow()), "now": utcnow()}


def module_switches() -> dict[str, Any]:
    connection = connecting.connection_of(merchant_id())
    return {
        "switches": modules.switches(merchant_id()),
        "effects": modules.effects,
        # Without a connection a module can be switched off and not on.
        "may_switch_on": connection is not None and connection.is_connected,
    }


def event_choices(said: tuple[str, str] | None = None) -> dict[str, Any]:
    """`said`: the event that was just changed, and what its row says of it."""
    return {
        "said": said,
        "event_types": catalogue.EVENT_TYPES,
        "choices": modules.choices(merchant_id()),
        "events_on": modules.switches(merchant_id())[Module.EVENTS] is not None,
    }


def trial_panel(refused: str | None = None) -> dict[str, Any]:
    """`refused`: why no test event was sent."""
    return {"trial": trying.latest(merchant_id(), utcnow()), "refused": refused}


def segment_table(said: tuple[int, str] | None = None) -> dict[str, Any]:
    """`said`: the segment that was just changed, and what its row says of it."""
    listed = segments.list_known(merchant_id())
    chosen = [segment for segment in listed if segment.selected_at]
    switched_on = modules.switches(merchant_id())[Module.SEGMENTS] is not None
    return {
        "said": said,
        "segments": listed,
        "segments_on": switched_on,
        "counting": switched_on and segment_counts.are_open(merchant_id()),
        "is_too_large": segment_counts.is_too_large,
        "seconds_for": segment_counts.seconds_for_all,
        "all_members": sum(segment_counts.size_of(segment) for segment in chosen),
        "seconds_for_all": segment_counts.seconds_for_all(chosen),
        "promised_seconds": segment_counts.PROMISED.total_seconds(),
    }


def segment_progress(segment: Segment, *, asked_again: bool = False) -> dict[str, Any]:
    """`asked_again`: by a page that has been open since before."""
    now = utcnow()
    under_way = segments_under_way([segment], now)
    return {"segment": segment, "under_way": under_way, "now": now, "asked_again": asked_again}


def history_list() -> dict[str, Any]:
    return {
        "imports": imports.latest(merchant_id()),
        "held_back": unsent.count(merchant_id()),
        "count_up_to": unsent.COUNT_UP_TO,
    }


def history_progress(import_id: int) -> dict[str, Any]:
    """Raises `NotFoundError`, also for another merchant's import."""
    work = imports.find(merchant_id(), import_id)
    return {
        "work": work,
        "progress": progress_of(work),
        "encodings": ENCODINGS,
        "klaviyo_rate": KLAVIYO_RATE,
        # What would have to be put right before it can start.
        "hindrance": imports.hindrance_of(merchant_id()) if work.state == ImportState.READY else None,
    }


def delivery(event_id: int) -> dict[str, Any]:
    """Raises `NotFoundError`, also for another merchant's event."""
    detail = activity.detail(merchant_id(), event_id)
    return {"detail": detail, "connection": connecting.connection_of(merchant_id()), "now": utcnow()}


def profile_properties() -> dict[str, Any]:
    """The contract with Klaviyo, and what was sent last under each name."""
    return {
        "properties": profile_contract.PROPERTIES,
        "last_values": profiles.last_values(merchant_id()),
        "found_before": sweeps.found_before(merchant_id()),
        "open_cases": identity.count_open(merchant_id(), LISTED),
        "events_on": modules.switches(merchant_id())[Module.EVENTS] is not None,
    }


def profiles_refused() -> dict[str, Any]:
    found = profiles.refused(merchant_id(), LISTED + 1)
    return {"refused": found[:LISTED], "refused_count": len(found[:LISTED]), "refused_more": len(found) > LISTED}


def erasures_left() -> dict[str, Any]:
    found = unerased.outstanding(merchant_id(), LISTED + 1)
    return {"outstanding": found[:LISTED], "outstanding_more": len(found) > LISTED}


def profile_drift() -> dict[str, Any]:
    checks = drift.latest(merchant_id())
    return {"checks": checks, "running": any(check.ended_at is None for check in checks), "sample": drift.SAMPLE}


def identity_cases() -> dict[str, Any]:
    found = identity.open_cases(merchant_id(), LISTED + 1)
    return {"cases": found[:LISTED], "cases_more": len(found) > LISTED, "decisions": identity.decisions}


def unreachable(after: int) -> dict[str, Any]:
    """Customers whom Klaviyo cannot be told about, a page of them; `after` is the last one seen."""
    found = identity.unreachable(merchant_id(), LISTED + 1, after)
    more = found[LISTED - 1].id if len(found) > LISTED else None
    return {"unreachable": found[:LISTED], "after": after, "more_after": more}


def klaviyo() -> dict[str, Any]:
    """The connection and where in the wizard it stands; the step is derived, never stored."""
    connection = connecting.connection_of(merchant_id())
    switches = modules.switches(merchant_id())
    return {
        "connection": connection,
        "step": connecting.wizard_step(connection, switches),
        "setting_up": not any(switches.values()),
        "asked_scopes": connecting.SCOPES,
        "scopes": connecting.SCOPES | connecting.OPTIONAL_SCOPES,
        "lost": connection is not None and connection.state == ConnectionState.RECONNECT,
        "may_connect": current_user.is_owner,
    }
