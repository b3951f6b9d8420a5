"""`/_sandbox/phones/*`: make phones, open links on them, flip their switches, read what they show; for tests and journeys.

A card is named by its serial number or Google's id; where a phone carries one card only, it need not be named.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.klaviyo.planting import ControlError
from sandbox.phones import opening, showing, using
from sandbox.phones.carried import ANDROID, IOS, phones
from sandbox.phones.passkit import ServiceError
from sandbox.sameorigin import same_origin_only
from sandbox.store import Row

bp = Blueprint("phones_control", __name__, url_prefix="/_sandbox/phones")


@bp.before_request
@same_origin_only
def _guard() -> None:
    return None


@bp.errorhandler(ControlError)
def _refuse(error: ControlError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


def _body(*known: str) -> dict[str, Any]:
    found = request.get_json(silent=True, force=True) if request.get_data() else {}
    if not isinstance(found, dict):
        raise ControlError("the body must be a JSON object")
    if unknown := set(found) - set(known):
        raise ControlError(f"unknown members: {', '.join(sorted(unknown))}")
    return found


def _text(wanted: dict[str, Any], name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ControlError(f"{name} must be a text")
    return value


def _flag(wanted: dict[str, Any], name: str) -> bool | None:
    value = wanted.get(name)
    if value is not None and not isinstance(value, bool):
        raise ControlError(f"{name} must be true or false")
    return value


def _phone(phone_id: str) -> Row:
    found = phones().find(phone_id)
    if found is None:
        raise ControlError(f"there is no phone {phone_id!r}", 404)
    return found


def _card(phone: Row, wanted: dict[str, Any]) -> dict[str, Any]:
    cards, named = showing.cards_of(phones(), phone), wanted.get("card")
    fitting = [card for card in cards if named in (None, card["serial"], card["key"])]
    if len(fitting) != 1:
        raise ControlError(f"card must name one of {[card['serial'] for card in cards]}", 404 if named else 400)
    return fitting[0]


def _shown(phone: Row) -> dict[str, Any]:
    here = phones()
    return {
        "id": phone["id"], "kind": phone["kind"], "name": phone["name"], "offline": bool(phone["offline"]),
        "device": phone["device"], "push_token": phone["token"],
        "cards": [card["serial"] for card in showing.cards_of(here, phone)],
        "notifications": len(showing.notices_of(here, phone)), "waiting": here.errands.waiting(phone["pk"]),
    }  # fmt: skip


@bp.get("")
def list_phones() -> Response:
    return jsonify(phones=[_shown(phone) for phone in phones().all()])


@bp.post("")
def make_phone() -> tuple[Response, int]:
    """`{"kind": "ios" | "android", "name"?}`."""
    wanted = _body("kind", "name")
    if wanted.get("kind") not in (IOS, ANDROID):
        raise ControlError(f"kind must be {IOS} or {ANDROID}")
    name = _text(wanted, "name") if "name" in wanted else None
    return jsonify(_shown(_phone(phones().make(wanted["kind"], name=name)))), 201


@bp.get("/<phone_id>")
def show_phone(phone_id: str) -> Response:
    """`waiting` counts what it still has to do over the network."""
    return jsonify(_shown(_phone(phone_id)))


@bp.delete("/<phone_id>")
def lose_phone(phone_id: str) -> Response:
    """It unregisters from nothing; pushes to it are answered 410 from now on."""
    phones().lose(_phone(phone_id))
    return jsonify(lost=phone_id)


@bp.post("/<phone_id>/open")
def open_link(phone_id: str) -> Response:
    """`{"url"}`: what came of it; `result` is card, page or nothing, and `problems` say why."""
    opened = opening.open_link(phones(), _phone(phone_id), _text(_body("url"), "url"))
    return jsonify(opened.as_dict())


@bp.get("/<phone_id>/cards")
def cards(phone_id: str) -> Response:
    return jsonify(cards=[showing.as_answer(card) for card in showing.cards_of(phones(), _phone(phone_id))])


@bp.get("/<phone_id>/notifications")
def notifications(phone_id: str) -> Response:
    """What is on the lock screen, newest first."""
    return jsonify(notifications=showing.notices_of(phones(), _phone(phone_id)))


@bp.delete("/<phone_id>/notifications")
def clear_notifications(phone_id: str) -> Response:
    phones().clear_notices(_phone(phone_id))
    return jsonify(cleared=True)


@bp.get("/<phone_id>/log")
def log(phone_id: str) -> Response:
    """What the phone did and complained of, newest first."""
    found = showing.happenings(phones(), _phone(phone_id))
    return jsonify(log=[{"at": row["at"], "text": row["text"]} for row in found])


@bp.post("/<phone_id>/remove")
def remove_card(phone_id: str) -> Response:
    """`{"card"?}`."""
    phone = _phone(phone_id)
    card = _card(phone, _body("card"))
    using.remove(phones(), phone, card)
    return jsonify(removed=card["serial"])


@bp.post("/<phone_id>/offline")
def go_offline(phone_id: str) -> Response:
    """`{"offline": true | false}`: while it is, pushes wait for it and nothing can be opened."""
    offline = _flag(_body("offline"), "offline")
    phones().set_offline(_phone(phone_id), offline is not False)
    return jsonify(_shown(_phone(phone_id)))


@bp.post("/<phone_id>/switches")
def flip_switches(phone_id: str) -> Response:
    """`{"card"?, "automatic_updates"?, "allow_notifications"?}`, as on the back of an Apple card."""
    phone = _phone(phone_id)
    wanted = _body("card", "automatic_updates", "allow_notifications")
    automatic, notify = _flag(wanted, "automatic_updates"), _flag(wanted, "allow_notifications")
    if not using.switch(phones(), phone, _card(phone, wanted), automatic, notify):
        raise ControlError("this phone's cards have no switches")
    return jsonify(showing.as_answer(_card(phone, wanted)))


@bp.post("/<phone_id>/refresh")
def refresh_card(phone_id: str) -> Response:
    """`{"card"?}`: the card is pulled down."""
    phone = _phone(phone_id)
    wanted = _body("card")
    try:
        using.refresh(phones(), phone, _card(phone, wanted))
    except ServiceError as error:
        raise ControlError(str(error), 502) from error
    return jsonify(showing.as_answer(_card(phone, wanted)))


@bp.post("/<phone_id>/follow")
def follow_link(phone_id: str) -> Response:
    """`{"card"?, "link"}`: tap the link with that label or address; the first answer, and where it leads."""
    phone = _phone(phone_id)
    wanted = _body("card", "link")
    links, named = _card(phone, wanted)["links"], _text(wanted, "link")
    found = next((link for link in links if named in (link["label"], link["url"])), None)
    if found is None:
        raise ControlError(f"link must be one of {[link['label'] for link in links]}", 404)
    return jsonify(opening.follow_link(phones(), phone, found["url"]).as_dict())


@bp.post("/<phone_id>/new-token")
def change_token(phone_id: str) -> Response:
    """Its push token changes, and every card is registered again."""
    phones().change_token(_phone(phone_id))
    return jsonify(_shown(_phone(phone_id)))
