"""*Send test push*: what is typed is on both lock screens, who would get it is told, and a code puts a card on one's own phone."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction
from portal.models import Customer, Push
from portal.services import suppressing
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import push_cases


def _send(owner: FlaskClient, customer: str, **changes: str) -> tuple[int, str]:
    form = {"customer": customer, "title": "", "message": "Hello", "url": "", **changes}
    answer = pages.post(owner, "/push/test", **form)
    return answer.status_code, answer.headers.get("Location", answer.text)


def test_a_test_push_is_sent_and_followed(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    status, address = _send(owner, "ada@example.com", title="Nordic")
    assert status == 303
    page = owner.get(address).text
    assert "Taken by the portal" in page
    assert "Test push" in page
    with app.app_context():
        (push,) = db.session.scalars(db.select(Push).where(Push.customer_id == ada)).all()
        assert (push.title, push.message) == ("Nordic", "Hello")


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    assert _send(owner, "nobody@example.com")[0] == 422
    status, page = _send(owner, "ada@example.com", url="http://localhost/")
    assert status == 422
    assert 'href="#url"' in page
    assert "http://localhost/" in page
    assert 'href="#message"' in _send(owner, "ada@example.com", message="")[1]
    for tag in ("{{ person.first_name }}", "{first_name|there}", "{% if event %}"):
        status, page = _send(owner, "ada@example.com", message=f"Hello {tag}")
        assert status == 422
        assert f"{tag} is filled in by a campaign or by Klaviyo" in page
    assert _send(owner, "ada@example.com", message="Roast {dark} today")[0] == 303


def test_the_preview_shows_both_lock_screens_and_who_it_is(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    push_cases.customer(app, merchant, "ada@example.com", on_android=True, card_status="installed")
    fields = {"customer": "ada@example.com", "title": "Nordic", "message": "Fresh <beans>", "url": ""}
    fragment = pages.hx_post(owner, "/push/test/preview", **fields).text
    assert fragment.strip().startswith('<div id="push_tests-preview"')
    assert fragment.count("Fresh &lt;beans&gt;") == 2
    assert "You have a new message. Tap to view it." in fragment
    assert "Google Wallet" in fragment
    whole = pages.post(owner, "/push/test/preview", **fields)
    assert whole.status_code == 200
    assert "<html" in whole.text
    assert "Fresh &lt;beans&gt;" in whole.text
    with app.app_context():
        assert db.session.scalars(db.select(Push)).all() == [], "a preview keeps nothing"


def test_without_a_card_there_is_a_code_and_the_page_notices_when_it_comes(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com")
    page = owner.get("/push/test?customer=ada@example.com").text
    assert "QR code that puts this customer" in page
    assert "/download?token=" in page
    address = f"/push/test/recipient/{ada}"
    assert f'hx-get="{address}"' in page
    with app.app_context(), transaction():
        db.session.get_one(Customer, ada).on_ios = True
    later = owner.get(address).text
    assert "QR code" not in later
    assert "hx-get" not in later


def test_a_card_of_one_s_own_begins_with_a_press(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    assert "You have no card of this programme yet" in owner.get("/push/test").text
    for _ in range(2):
        answer = pages.post(owner, "/push/test/own")
        assert answer.status_code == 303
    page = owner.get(answer.headers["Location"]).text
    assert "You have no card of this programme yet" not in page
    assert "QR code" in page
    assert "You are filled in." in page
    with app.app_context():
        assert db.session.scalars(db.select(Customer.email)).all() == [merchant.email]


def test_several_who_fit_are_offered_and_nothing_is_sent_to_the_first(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    for email in ("ada@example.com", "ada@example.org"):
        push_cases.customer(app, merchant, email, on_ios=True)
    assert "Several customers fit" in owner.get("/push/test?customer=ada").text
    assert _send(owner, "ada")[0] == 422


def test_who_is_suppressed_is_told_before_it_is_sent(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com", on_ios=True)
    with app.app_context(), transaction():
        suppressing.suppress(merchant.id, ada, "", merchant.email)
    assert "This customer gets no pushes" in owner.get("/push/test?customer=ada@example.com").text


def test_another_shop_s_customer_has_no_recipient(app: Flask, merchant: Shop) -> None:
    ada = push_cases.customer(app, merchant, "ada@example.com")
    stranger, _ = pages.log_in_stranger(app)
    assert stranger.get(f"/push/test/recipient/{ada}").status_code == 404
    assert "Nobody fits" in stranger.get("/push/test?customer=ada@example.com").text
