"""`/phones`: the phones as one would hold them. Which screen is shown is in the address, so that reloading stays where one was.

Everything works without scripts; what is on a phone changes by itself, so its pages reload on request only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.phones import opening, showing, using
from sandbox.phones.calls import UnreachableError, exchange
from sandbox.phones.carried import ANDROID, IOS, phones
from sandbox.phones.passkit import ServiceError
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

bp = Blueprint("phones", __name__, url_prefix="/phones")
_SCREENS = ("lock", "wallet", "card", "back")
_SHOWN_HAPPENINGS = 12
# In place of an image that cannot be fetched, as Google's app leaves a grey spot.
_NO_IMAGE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path fill="#9aa0a6" d="M0 0h1v1H0z"/></svg>'
_IMAGES = ("image/png", "image/jpeg", "image/webp")


@bp.before_request
def _guard() -> None:
    if request.method == "POST":
        _same_origin()


@same_origin_only
def _same_origin() -> None:
    return None


@bp.app_template_global("now")
def _now() -> str:
    """The phones are in the zone that all of the sandbox is in."""
    return datetime.now(UTC).isoformat()


def _phone(phone_id: str) -> Row:
    return phones().find(phone_id) or abort(404)


def _card(phone: Row, key: str) -> dict[str, Any]:
    found = next((card for card in showing.cards_of(phones(), phone) if card["key"] == key), None)
    return found or abort(404)


def _back_to(phone_id: str, **where: Any) -> AnyResponse:
    return redirect(url_for("phones.show", phone_id=phone_id, **where), 303)


@bp.get("")
def listed() -> str:
    here = phones()
    carried = [
        {"phone": phone, "cards": showing.cards_of(here, phone), "notices": showing.notices_of(here, phone)}
        for phone in here.all()
    ]
    return render_template("phones/list.html", carried=carried)


@bp.post("")
def make() -> AnyResponse:
    kind = request.form.get("kind")
    if kind not in (IOS, ANDROID):
        abort(400)
    return _back_to(phones().make(kind))


@bp.get("/<phone_id>")
def show(phone_id: str) -> str:
    return _page(_phone(phone_id))


def _page(phone: Row, opened: opening.Opened | None = None, screen: str | None = None) -> str:
    here = phones()
    cards, notices = showing.cards_of(here, phone), showing.notices_of(here, phone)
    screen = screen or request.args.get("screen", "lock")
    key = request.args.get("card")
    card = next((card for card in cards if card["key"] == key), cards[0] if cards else None)
    if screen not in _SCREENS or (screen in ("card", "back") and card is None):
        screen = "wallet"
    return render_template(
        "phones/phone.html", phone=phone, cards=cards, notices=notices, screen=screen, card=card, opened=opened,
        url=request.form.get("url", ""), waiting=here.errands.waiting(phone["pk"]),
        happenings=showing.happenings(here, phone, _SHOWN_HAPPENINGS),
    )  # fmt: skip


@bp.post("/<phone_id>/open")
def open_link(phone_id: str) -> AnyResponse | str:
    """A card that was added is shown; anything else is told beside the link, which is kept."""
    phone = _phone(phone_id)
    opened = opening.open_link(phones(), phone, request.form.get("url", ""))
    if opened.result != "card":
        return _page(phone, opened, "lock")
    added = [card for card in showing.cards_of(phones(), phone) if card["serial"] in opened.cards]
    return _back_to(phone_id, screen="card", card=added[0]["key"] if added else None)


@bp.post("/<phone_id>/offline")
def go_offline(phone_id: str) -> AnyResponse:
    phones().set_offline(_phone(phone_id), request.form.get("offline") == "yes")
    return _back_to(phone_id)


@bp.post("/<phone_id>/clear")
def clear(phone_id: str) -> AnyResponse:
    phones().clear_notices(_phone(phone_id))
    return _back_to(phone_id)


@bp.post("/<phone_id>/lose")
def lose(phone_id: str) -> AnyResponse:
    phones().lose(_phone(phone_id))
    return redirect(url_for("phones.listed"), 303)


@bp.post("/<phone_id>/cards/<key>/remove")
def remove_card(phone_id: str, key: str) -> AnyResponse:
    phone = _phone(phone_id)
    using.remove(phones(), phone, _card(phone, key))
    return _back_to(phone_id, screen="wallet")


@bp.post("/<phone_id>/cards/<key>/switch")
def switch(phone_id: str, key: str) -> AnyResponse:
    phone, on = _phone(phone_id), request.form.get("on") == "yes"
    automatic, notify = (on, None) if request.form.get("switch") == "automatic_updates" else (None, on)
    using.switch(phones(), phone, _card(phone, key), automatic, notify)
    return _back_to(phone_id, screen="back", card=key)


@bp.post("/<phone_id>/cards/<key>/refresh")
def refresh(phone_id: str, key: str) -> AnyResponse:
    """What went wrong is in the phone's log."""
    phone = _phone(phone_id)
    try:
        using.refresh(phones(), phone, _card(phone, key))
    except ServiceError:
        return _back_to(phone_id, screen="card", card=key)
    return _back_to(phone_id, screen="card", card=key)


@bp.get("/<phone_id>/colours.css")
def colours(phone_id: str) -> Response:
    text = showing.stylesheet(showing.cards_of(phones(), _phone(phone_id)))
    return Response(text, mimetype="text/css", headers={"Cache-Control": "no-store"})


@bp.get("/<phone_id>/cards/<key>/<name>")
def picture(phone_id: str, key: str, name: str) -> Response:
    """An image of an Apple card from its package; one of a Google card from where Google would fetch it."""
    phone = _phone(phone_id)
    card = _card(phone, key)
    row = using.apple_row(phones(), phone, card)
    if row is not None:
        content, kind = showing.picture(row, name), "image/png"
    else:
        content, kind = _fetched(card["pictures"].get(name))
    if content is None:
        abort(404)
    return Response(content, mimetype=kind, headers={"Cache-Control": "no-store"})


def _fetched(url: str | None) -> tuple[bytes, str]:
    try:
        reply = exchange("GET", url, {}) if url else None
    except UnreachableError:
        reply = None
    if reply is None or reply.status != 200 or reply.media_type not in _IMAGES:
        return _NO_IMAGE, "image/svg+xml"
    return reply.body, reply.media_type
