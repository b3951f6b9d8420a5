"""The smart link: one address that gives a customer the card on whatever device it is opened. No login, no session.

Whoever only looks (a preview, a HEAD) is given nothing and counted nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.http import http_date
from werkzeug.wrappers import Response

from portal import wallet_beats
from portal.blueprints.limiting import limit_by_address
from portal.db import db, repeat, transaction, utcnow
from portal.errors import PortalError
from portal.models import Card
from portal.services import apple_cards, card_designs, card_links, card_page, cards
from portal.services.card_page import Holder
from portal.web.guards import public
from portal.web.qr import qr_code
from portal.web.visitors import ANDROID, IOS, Visitor, visitor

bp = Blueprint("smart_link", __name__)

PLATFORMS = {IOS: IOS, "apple": IOS, ANDROID: ANDROID, "google": ANDROID}


@bp.before_request
def _limit() -> None:
    limit_by_address("smart link", per_second=30)


@bp.after_request
def _keep_secret(answer: Response) -> Response:
    """The token stands in the address: no other site and no search engine may learn it."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


@bp.errorhandler(PortalError)
def _refuse(error: PortalError) -> Response:
    """In words for a customer."""
    page = render_template("smart_link/trouble.html", message=error.message, card_url=None)
    answer = make_response(page, error.status)
    if retry_after := getattr(error, "retry_after", None):
        answer.headers["Retry-After"] = str(retry_after)
    return answer


@bp.get("/<slug>/download")
@public
def download(slug: str) -> Response:
    """The card for this device, or a page that helps to get it."""
    holder = _holder(slug)
    if holder is None:
        return _missing()
    who, wanted = _visitor(), PLATFORMS.get(request.args.get("platform", "").lower())
    if request.method == "HEAD" or who.is_bot:
        return make_response(render_template("smart_link/preview.html", **_looks(holder)))
    platform = wanted or ("" if who.in_app else who.platform)
    if platform == IOS:
        return _apple(holder)
    if platform == ANDROID:
        return _google(holder)
    _note(lambda: card_page.note_requested(holder, "", utcnow()))
    return make_response(_choice(holder, who))


def _apple(holder: Holder) -> Response:
    def issue() -> Card:
        with transaction():
            card = cards.card_of(holder.customer)
            card.issued_version = card.version
            card_page.note_requested(holder, IOS, utcnow())
            return card

    card = repeat(issue)
    answer = make_response(apple_cards.pkpass(card))
    answer.headers["Content-Type"] = apple_cards.MEDIA_TYPE
    answer.headers["Content-Disposition"] = f'attachment; filename="{holder.merchant.slug}.pkpass"'
    answer.headers["Last-Modified"] = http_date(card.modified_at)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _google(holder: Holder) -> Response:
    def issue() -> Card:
        with transaction():
            card_page.note_requested(holder, ANDROID, utcnow())
            return cards.card_of(holder.customer)

    card = repeat(issue)
    url = wallet_beats.save_url(card)
    if url is not None:
        return redirect(url, 302)
    page = render_template(
        "smart_link/trouble.html",
        message="Google Wallet cannot be reached at the moment. Nothing is lost: try again in a few minutes.",
        card_url=card_links.page(holder.merchant, holder.customer),
    )
    answer = make_response(page, 503)
    answer.headers["Retry-After"] = "60"
    return answer


def _choice(holder: Holder, who: Visitor) -> str:
    merchant, customer = holder.merchant, holder.customer
    return render_template(
        "smart_link/choose.html",
        **_looks(holder),
        visitor=who,
        qr=None if who.platform else qr_code(card_links.download(merchant, customer)),
        apple_url=card_links.download(merchant, customer, IOS),
        google_url=card_links.download(merchant, customer, ANDROID),
        card_url=card_links.page(merchant, customer),
    )


def _looks(holder: Holder) -> dict[str, object]:
    return {"merchant": holder.merchant, "design": card_designs.current(holder.merchant)}


# --- the card as a page --------------------------------------------------------------------------


@bp.get("/<slug>/card")
@public
def page(slug: str) -> Response:
    """Balance, tier, rewards and the latest message, to whoever has the link."""
    holder = _holder(slug)
    if holder is None:
        return _missing()
    who = _visitor()
    if request.method != "HEAD" and not who.is_bot:
        _note(lambda: card_page.note_opened(holder, who.platform, utcnow()))
    shown = card_page.page_of(holder)
    return make_response(
        render_template(
            "smart_link/page.html",
            shown=shown,
            design=shown.design,
            merchant=holder.merchant,
            customer=holder.customer,
            qr=qr_code(holder.customer.card_number),
            links=card_links,
        )
    )


@bp.get("/<slug>/card/links/<int:link_id>")
@public
def follow_link(slug: str, link_id: int) -> Response:
    """On to where the merchant's link leads: what is stored, never what an address says."""
    holder = _holder(slug)
    link = card_page.link_of(holder, link_id) if holder else None
    if holder is None or link is None:
        return _missing()
    return _follow(link.url, lambda: card_page.note_link_followed(holder, link, utcnow()))


@bp.get("/<slug>/card/messages/<int:message_id>")
@public
def follow_message(slug: str, message_id: int) -> Response:
    holder = _holder(slug)
    message = card_page.message_of(holder, message_id) if holder else None
    if holder is None or message is None or not message.url:
        return _missing()
    url = message.url
    return _follow(url, lambda: card_page.note_message_followed(holder, message, url, utcnow()))


def _follow(url: str, event: Callable[[], None]) -> Response:
    if request.method != "HEAD" and not _visitor().is_bot:
        _note(event)
    return redirect(url, 302)


def _holder(slug: str) -> Holder | None:
    return card_page.holder_of(slug, request.args.get("token", ""))


def _missing() -> Response:
    return make_response(render_template("smart_link/missing.html"), 404)


def _visitor() -> Visitor:
    return visitor(request.headers.get("User-Agent", ""))


def _note(event: Callable[[], None]) -> None:
    def write() -> None:
        with transaction():
            event()

    db.session.rollback()
    repeat(write)
