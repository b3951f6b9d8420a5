"""The card designer: every save is a version, what is wrong is told beside what was typed, and each merchant has its own."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import func, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from portal.db import db, transaction, utcnow
from portal.models import AuditEntry, CardDesign, CardLink, CardPicture
from portal.services import card_designs, card_sample, designing, google_face, wallet_accounts
from portal.services.apple_cards import dress, store_card
from portal.wallet.apple_pass import pass_json
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import card_cases

PAGE = "/card"
TYPED = {
    "based_on": "0",
    "background": "#102030",
    "foreground": "#ffffff",
    "label": "rgb(200, 220, 240)",
    "organisation": "Nordic Coffee",
    "logo_text": "Nordic",
    "balance_label": "Beans",
    "tier_label": "Level",
    "next_tier_label": "Next level",
    "next_reward_label": "Next treat",
    "balance_message": "You have %@ beans.",
    "links-0-label": "Our menu",
    "links-0-url": "https://nordiccoffee.example.com/menu",
}


def _picture(width: int, height: int, colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "PNG")
    return content.getvalue()


def _send(client: FlaskClient, to: str = PAGE, files: dict[str, bytes] | None = None, **changes: Any) -> TestResponse:
    """The whole form, as a browser sends it."""
    uploads = {slot: FileStorage(io.BytesIO(content), f"{slot}.png") for slot, content in (files or {}).items()}
    form = {**TYPED, **changes, **uploads, "csrf_token": pages.token(client)}
    # In memory: the client's own encoding leaves large forms in files that it never closes.
    boundary, body = encode_multipart(form)
    return client.post(to, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def _newest(app: Flask, shop: Shop) -> CardDesign:
    with app.app_context():
        return designing.newest(shop.id)


def _count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_what_is_saved_is_the_next_version_and_reaches_installed_cards(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    card = card_cases.card(app, merchant)
    card_cases.on_phone(app, card)
    assert "1 installed card" in owner.get(PAGE).text
    assert _send(owner).status_code == 303
    design = _newest(app, merchant)
    assert (design.number, design.made_by, design.label) == (1, merchant.email, "#c8dcf0")
    assert (design.balance_label, design.balance_message) == ("Beans", "You have %@ beans.")
    assert card_cases.publish(app, merchant) == 1
    assert card_cases.reload(app, card).face["design"] == design.id
    page = owner.get(PAGE).text
    assert 'value="Our menu"' in page
    assert merchant.email in page
    with app.app_context():
        deeds = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "card design changed")).all()
        assert [(entry.actor, entry.detail) for entry in deeds] == [(merchant.email, "version 1")]


def test_saving_the_same_again_makes_no_version(app: Flask, owner: FlaskClient) -> None:
    for _ in range(2):
        assert _send(owner).status_code == 303
    assert _count(app, CardDesign) == 1
    assert "look like this already" in owner.get(PAGE).text


def test_an_older_version_is_restored_as_the_newest_one(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    _send(owner)
    _send(owner, based_on="1", background="#550000", **{"links-0-label": "", "links-0-url": ""})
    assert pages.post(owner, f"{PAGE}/versions/1/restore").status_code == 303
    design = _newest(app, merchant)
    assert (design.number, design.background, len(design.link_ids)) == (3, "#102030", 1)
    assert _count(app, CardLink) == 1, "the same link stays the same row"
    assert pages.post(owner, f"{PAGE}/versions/9/restore").status_code == 404
    with app.app_context():
        newest = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        assert (newest.action, newest.detail) == ("card design restored", "version 3, as version 1 was")


def test_the_look_of_a_new_shop_can_be_had_again(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    _send(owner)
    assert 'Restore<span class="visually-hidden"> the usual look' in owner.get(PAGE).text
    assert pages.post(owner, f"{PAGE}/versions/0/restore").status_code == 303
    design = _newest(app, merchant)
    assert (design.number, design.background, design.organisation) == (2, card_designs.BACKGROUND, merchant.name)


def test_shops_on_the_map_are_told_to_both_wallets_and_can_be_removed(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    places = {
        "places-0-place": "55.6761, 12.5683",
        "places-0-text": "Coffee is near",
        "places-1-place": " -33.9,151.2 ",
    }
    assert _send(owner, **places).status_code == 303
    page = owner.get(PAGE).text
    assert 'value="55.6761, 12.5683"' in page
    assert 'name="places-2-place"' in page
    card = card_cases.card(app, merchant)
    with app.app_context():
        shown = pass_json(store_card(dress(card_cases.reload(app, card))), pass_type_id="pass.x", team_id="T")
        issuer = wallet_accounts.google_issuer(merchant.id)
        assert issuer is not None
        told = google_face.programme(issuer, designing.newest(merchant.id), "Club").for_insert()
    assert json.loads(shown)["locations"] == [
        {"latitude": 55.6761, "longitude": 12.5683, "relevantText": "Coffee is near"},
        {"latitude": -33.9, "longitude": 151.2},
    ]
    assert told["merchantLocations"] == [
        {"latitude": 55.6761, "longitude": 12.5683},
        {"latitude": -33.9, "longitude": 151.2},
    ]
    assert _send(owner, based_on="1", **{"places-0-place": "", "places-0-text": ""}).status_code == 303
    assert _newest(app, merchant).locations == []


def test_more_places_than_a_card_takes_are_not_taken(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    answer = _send(owner, **{f"places-{number}-place": f"{number}, {number}" for number in range(11)})
    assert answer.status_code == 303
    assert len(_newest(app, merchant).locations) == 10


def test_who_saves_after_somebody_else_is_told_and_may_save_again(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    _send(owner)
    answer = _send(owner, organisation="Nordic Coffee Roasters")
    assert answer.status_code == 409
    assert 'value="Nordic Coffee Roasters"' in answer.text
    assert 'name="based_on" value="1"' in answer.text
    assert _send(owner, organisation="Nordic Coffee Roasters", based_on="1").status_code == 303
    assert _newest(app, merchant).number == 2


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("background", "rather blue", "is not a colour"),
        ("label", "", "is not a colour"),
        ("organisation", " ", "must not be empty"),
        ("tier_label", "x" * 31, "at most 30 characters"),
        ("logo_text", "a\x00b", "control characters"),
        ("balance_message", "You have new beans.", "Write %@ once"),
        ("links-0-url", "http://nordiccoffee.example.com", "must begin with https://"),
        ("links-0-url", "javascript:alert(1)", "must begin with https://"),
        ("links-0-label", "", "Enter the text of the link"),
        ("logo_id", "12345", "no longer here"),
        ("places-0-place", "Vesterbrogade 1", "Enter latitude and longitude"),
        ("places-0-place", "55.6", "Enter latitude and longitude"),
        ("places-0-place", "91, 12.5", "outside the map"),
        ("places-0-place", "nan, nan", "outside the map"),
        ("places-0-text", "Coffee is near", "Where is it?"),
        ("places-0-text", "a\x00b", "control characters"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_typed_stays(
    app: Flask, owner: FlaskClient, field: str, typed: str, words: str
) -> None:
    answer = _send(owner, **{"next_tier_label": "Further up", field: typed})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="Further up"' in answer.text
    if field != "logo_id":
        assert f'value="{typed.strip()}"' in answer.text or "\x00" in typed
    assert _count(app, CardDesign) == 0


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG or JPEG picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * (5 << 20), "smaller than 5 MB"),
        (_picture(10, 10), "would be a blur"),
        (_picture(6000, 6000), "far more than a card shows"),
        (_picture(200, 200)[:60], "could not be read"),
    ],
    ids=["svg", "too large", "too small", "bomb", "cut short"],
)
def test_a_picture_that_cannot_be_used_is_refused_beside_its_field(
    app: Flask, owner: FlaskClient, upload: bytes, words: str
) -> None:
    answer = _send(owner, files={"icon": upload}, organisation="Typed already")
    assert answer.status_code == 422
    assert words in answer.text
    assert 'id="icon-error"' in answer.text
    assert 'value="Typed already"' in answer.text
    assert (_count(app, CardDesign), _count(app, CardPicture)) == (0, 0)


def test_a_preview_saves_nothing_and_keeps_the_picture(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    answer = _send(owner, f"{PAGE}/preview", {"logo": _picture(480, 150)})
    assert answer.status_code == 200
    assert _count(app, CardDesign) == 0
    assert "BEANS" in answer.text
    with app.app_context():
        picture_id = db.session.scalars(select(CardPicture.id)).one()
    assert f'name="logo_id" value="{picture_id}"' in answer.text
    _send(owner, logo_id=str(picture_id))
    assert _newest(app, merchant).logo_id == picture_id
    _send(owner, logo_id=str(picture_id), remove_logo="y", based_on="1")
    assert _newest(app, merchant).logo_id is None


def test_a_live_preview_is_a_fragment_that_warns_of_what_is_hard_to_read(owner: FlaskClient) -> None:
    typed = {**TYPED, "background": "#777777", "foreground": "#808080", "tier_label": ""}
    answer = pages.hx_post(owner, f"{PAGE}/preview", **typed)
    assert answer.status_code == 200
    assert answer.text.strip().startswith('<div id="card_design-preview">')
    assert "hardly to be read" in answer.text
    assert "Tier must not be empty." in answer.text


def test_pictures_that_no_version_took_are_forgotten_after_a_day(app: Flask, owner: FlaskClient) -> None:
    _send(owner, files={"icon": _picture(114, 114)})
    _send(owner, f"{PAGE}/preview", {"icon": _picture(114, 114, "blue")})
    with app.app_context(), transaction():
        db.session.execute(update(CardPicture).values(made_at=utcnow() - timedelta(days=2)))
    _send(owner, based_on="1", background="#222222")
    assert _count(app, CardPicture) == 1, "what the first version shows is kept"


@pytest.mark.parametrize(
    ("colour", "kind"), [("#767676", "ok"), ("#777777", "warn"), ("#949494", "warn"), ("#959595", "bad")]
)
def test_contrast_is_judged_as_wcag_has_it(colour: str, kind: str) -> None:
    draft = designing.Draft("#ffffff", colour, colour, *["x"] * 7)
    assert {each.kind for each in card_sample.readings(draft)} == {kind}


def test_another_merchant_has_neither_the_versions_nor_the_pictures(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    _send(owner, files={"icon": _picture(114, 114)})
    picture_id = _newest(app, merchant).icon_id
    stranger, other = pages.log_in_stranger(app)
    assert "Beans" not in stranger.get(PAGE).text
    assert pages.post(stranger, f"{PAGE}/versions/1/restore").status_code == 404
    answer = _send(stranger, icon_id=str(picture_id))
    assert answer.status_code == 422
    assert "no longer here" in answer.text
    assert _newest(app, other).number == 0


def test_a_member_looks_and_does_not_change(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    factories.log_in(client, factories.add_member(app, merchant))
    assert "Only an owner" in client.get(PAGE).text
    for path in (PAGE, f"{PAGE}/preview", f"{PAGE}/versions/1/restore"):
        assert _send(client, path).status_code == 403
