"""The notification that an update makes on the lock screen, or none: the rule that phones follow, as far as anybody has seen.

Only a changed `value` of a field with a `changeMessage` is shown. What the push itself says never is.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.apple.package import Package
from sandbox.apple.values import written

GENERIC = "Store card changed"


def notice(before: Package, after: Package) -> str | None:
    """The text, or None where the phone stays silent."""
    if _is_over(after):
        return None
    values = {field["key"]: field["value"] for field in before.fields()}
    changed = [
        field
        for field in after.fields()
        if field.get("changeMessage") and field["key"] in values and values[field["key"]] != field["value"]
    ]
    if not changed:
        return None
    # Of several changes the phone does not choose one, and without %@ it does not know where the value belongs.
    if len(changed) > 1 or "%@" not in changed[0]["changeMessage"]:
        return GENERIC
    return str(changed[0]["changeMessage"]).replace("%@", written(changed[0]))


def _is_over(package: Package) -> bool:
    expires = package.card.get("expirationDate")
    return bool(package.card.get("voided")) or (
        expires is not None and datetime.fromisoformat(expires) < datetime.now(UTC)
    )
