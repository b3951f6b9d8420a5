"""What every page shows around its own content: navigation, the reconnect banner, the id of the request.

Computed when the layout asks for it, so that a fragment pays for none of it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from flask import Flask, g, request
from werkzeug.wrappers import Response

from portal.models import Connection, ConnectionState
from portal.services import connecting
from portal.web import chart
from portal.web.guards import merchant_id

REQUEST_ID = "X-Request-Id"


@dataclass(frozen=True)
class Entry:
    """One place in the navigation; it is current on every endpoint that begins with one of `covers`."""

    label: str
    endpoint: str
    icon: str
    covers: tuple[str, ...]
    owner_only: bool = False


@dataclass(frozen=True)
class LostAccess:
    """Klaviyo no longer takes our tokens, and so many events wait."""

    connection: Connection
    waiting: int


MAIN = (
    Entry("Home", "home.index", "house", ("home.",)),
    Entry("Customers", "customers.index", "person-lines-fill", ("customers.", "deeds.", "erasures.")),
    Entry("Segments", "segments.index", "people", ("segments.",)),
    Entry("Campaigns", "campaigns.index", "megaphone", ("campaigns.",)),
    Entry("Push", "pushes.index", "bell", ("pushes.", "push_", "suppressions.")),
    Entry("Activity", "activity.index", "activity", ("activity.",)),
    Entry("Loyalty", "tiers.index", "award", ("tiers.", "rewards.", "points.")),
    Entry("Card", "card_design.index", "credit-card-2-front", ("card_design.",)),
    Entry("Till", "till.index", "upc-scan", ("till.",)),
)
SETTINGS = (
    Entry("Programme", "settings.programme", "shop", ("settings.programme", "settings.save_programme")),
    Entry("Integrations", "integrations.index", "plug", ("integrations.", "history.", "oauth.")),
    Entry("Wallet cards", "wallet_cards.index", "wallet2", ("wallet_cards.",)),
    Entry("API keys", "api_keys.index", "key", ("api_keys.",), owner_only=True),
    Entry("Team", "team.index", "people", ("team.",)),
    Entry("Audit log", "settings.audit_log", "journal-text", ("settings.audit_log",)),
)


def init_app(app: Flask) -> None:
    app.before_request(_name_request)
    app.after_request(_tell_request_id)
    app.jinja_env.globals.update(
        main_entries=MAIN, settings_entries=SETTINGS, is_here=_is_here, lost_access=_lost_access, chart_of=chart.draw
    )


def _name_request() -> None:
    g.setdefault("request_id", secrets.token_hex(8))


def _tell_request_id(answer: Response) -> Response:
    if "request_id" in g:
        answer.headers.setdefault(REQUEST_ID, g.request_id)
    return answer


def _is_here(entry: Entry) -> bool:
    return (request.endpoint or "").startswith(entry.covers)


def _lost_access() -> LostAccess | None:
    connection = connecting.connection_of(merchant_id())
    if connection is None or connection.state != ConnectionState.RECONNECT:
        return None
    return LostAccess(connection, connecting.count_waiting(merchant_id()))
