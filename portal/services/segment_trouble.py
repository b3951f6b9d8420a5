"""What stands in the way of an import: one judge for whatever Klaviyo answers, in words for a shop owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.klaviyo import ForbiddenError, KlaviyoError, RefusedError, ThrottledError, UnauthorizedError
from portal.models import Connection
from portal.services import delivering, segment_schedule

KEPT = "The last complete set stays as it is."
NOT_FINAL = f"Klaviyo is still working out who belongs to this segment. {KEPT} We look again every minute."
GONE = f"Klaviyo says that this segment was deleted there. {KEPT} Choose another segment, or switch this one off."
NO_SCOPE = (
    f"Klaviyo says that this connection may not read segments and their profiles. {KEPT} "
    "Disconnect and connect again, and allow everything that is asked for."
)
LOST = f"Klaviyo no longer accepts our access. {KEPT} Reconnect to continue."


class Kind(StrEnum):
    # Go on in a while; it says nothing about the segment.
    LATER = "later"
    # Klaviyo has no such segment.
    GONE = "gone"
    # Only the merchant can mend it.
    BROKEN = "broken"


@dataclass(frozen=True)
class Trouble:
    kind: Kind
    words: str
    # When to go on, where Klaviyo or the case says so.
    due_at: datetime | None = None


def judge(error: KlaviyoError, now: datetime) -> Trouble:
    if isinstance(error, ThrottledError):
        rest = timedelta(seconds=max(1, error.retry_after or 1))
        return Trouble(
            Kind.LATER,
            f"Klaviyo asked us to slow down. {KEPT} We go on by ourselves.",
            now + min(rest, segment_schedule.LONGEST_THROTTLE),
        )
    if isinstance(error, UnauthorizedError):
        return Trouble(Kind.BROKEN, LOST, now)
    if isinstance(error, ForbiddenError):
        return Trouble(Kind.LATER, NO_SCOPE, now + segment_schedule.EVERY)
    if isinstance(error, RefusedError):
        if error.status == 404:
            return Trouble(Kind.GONE, GONE, now + segment_schedule.GONE_AGAIN)
        return Trouble(
            Kind.LATER, f"Klaviyo refused to list the members ({error.detail}). {KEPT} We try again by ourselves."
        )
    return Trouble(Kind.LATER, f"{delivering.explain_trouble(error)}. {KEPT} We try again by ourselves.")


def of_connection(connection: Connection | None, now: datetime) -> Trouble:
    """The connection is broken, gone or rests; when it is whole again, the run goes on."""
    if connection is None or not connection.is_connected:
        return Trouble(Kind.LATER, LOST, now)
    reason = connection.pause_reason or "Klaviyo asked us to slow down"
    return Trouble(Kind.LATER, f"{reason.rstrip('.')}. {KEPT} We go on by ourselves.", connection.paused_until)


def short(found: int, counted: int) -> str:
    return (
        f"Klaviyo counts {counted:,} members and listed {found:,}, so this list is not complete. "
        f"Nobody was removed. We read it once more, from the first to the last."
    )


def short_after_all(found: int, counted: int) -> str:
    return f"Klaviyo counts {counted:,} members and listed {found:,}, twice. Its list was taken."
