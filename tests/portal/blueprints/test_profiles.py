"""The Properties page and the identity page: what they show, what can be pressed there, and whose it is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction, utcnow
from portal.models import CaseKind, Customer, DriftCheck, IdentityCase, ProfileSweep, ProfileSync
from portal.services import profiles
from portal.services.customers import Identifiers
from portal.services.profile_contract import PROPERTIES
from tests import factories
from tests.factories import Shop, know
from tests.portal.blueprints.pages import HTMX, KLAVIYO, hx_post, post

PROPERTIES_PAGE, IDENTITY_PAGE = f"{KLAVIYO}/properties", f"{KLAVIYO}/identity"
ADA = "ada@example.com"


def _customer(app: Flask, shop: Shop, **who: str) -> int:
    with app.app_context():
        [person] = know(shop.id, [Identifiers(**who)])  # type: ignore[arg-type]
        assert person is not None
        return person.id


def _refuse(app: Flask, shop: Shop, customer_id: int, problem: str = "Phone number not valid for Klaviyo.") -> None:
    with app.app_context(), transaction():
        row = ProfileSync(customer_id=customer_id, merchant_id=shop.id, problem=problem, problem_at=utcnow())
        db.session.add(row)


def _open_case(
    app: Flask, shop: Shop, customer_id: int, other: int | None = None, kind: CaseKind = CaseKind.SHARED
) -> int:
    with app.app_context(), transaction():
        case = IdentityCase(
            merchant_id=shop.id,
            customer_id=customer_id,
            other_customer_id=other,
            kind=kind,
            klaviyo_profile_id="01ABC",
            found_at=utcnow(),
        )
        db.session.add(case)
        db.session.flush()
        return case.id


@pytest.mark.parametrize(
    ("fragment", "page"),
    [("drift", PROPERTIES_PAGE), ("refused", PROPERTIES_PAGE), ("cases", IDENTITY_PAGE)],
)
def test_a_fragment_stands_in_its_page_under_its_own_name(
    owner: FlaskClient, connected: Shop, fragment: str, page: str
) -> None:
    part = owner.get(f"/profiles/{fragment}", headers=HTMX)
    assert part.status_code == 200
    assert re.search(rf'^\s*<\w+ [^>]*id="profiles-{fragment}"', part.text)
    assert f'id="profiles-{fragment}"' in owner.get(page).text


def test_the_contract_has_every_property_with_a_tag_to_copy_and_what_was_sent_last(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    customer_id = _customer(app, connected, email=ADA)
    with app.app_context(), transaction():
        profiles.remember(
            connected.id, customer_id, '{"jericommerce_balance":1234.5,"jericommerce_tier":null}', utcnow()
        )
    page = owner.get(PROPERTIES_PAGE).text
    for entry in PROPERTIES:
        assert f"<code>{entry.name}</code>" in page
        assert f'data-copy="tag-{entry.name}"' in page
    assert "{{ person|lookup:&#39;jericommerce_tier&#39; }}" in page
    assert "1234.5" in page
    assert page.count(">not yet<") == len(PROPERTIES) - 1


def test_a_name_that_was_there_before_us_is_warned_of(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    assert "had properties of these names already" not in owner.get(PROPERTIES_PAGE).text
    with app.app_context(), transaction():
        sweep = ProfileSweep(
            merchant_id=connected.id,
            klaviyo_account_id="K9x2Lm",
            programme_version=1,
            slug="nordic",
            started_at=utcnow(),
            total=1200,
            done=300,
            found_before='["jericommerce_tier"]',
        )
        db.session.add(sweep)
    page = owner.get(PROPERTIES_PAGE).text
    assert "had properties of these names already: jericommerce_tier." in page
    assert page.count("Was in Klaviyo before") == 1


def test_the_panel_says_how_far_the_first_look_at_everybody_is_and_is_quiet_afterwards(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    with app.app_context(), transaction():
        sweep = ProfileSweep(
            merchant_id=connected.id,
            klaviyo_account_id="K9x2Lm",
            programme_version=1,
            slug="nordic",
            started_at=utcnow() - timedelta(seconds=60),
            total=1200,
            done=300,
        )
        db.session.add(sweep)
    panel = owner.get("/status/panel").text
    assert re.search(r"300 of 1,200 customers \(25 %\), about 3 min( \d s)? left", panel)
    with app.app_context(), transaction():
        db.session.get_one(ProfileSweep, connected.id).ended_at = utcnow()
    assert "Updating profiles" not in owner.get("/status/panel").text


def test_whom_klaviyo_refused_is_shown_with_the_remedy_and_can_be_sent_again(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    customer_id = _customer(app, connected, email=ADA)
    _refuse(app, connected, customer_id, "Phone number not valid for Klaviyo. Correct the customer's phone number.")
    page = owner.get(PROPERTIES_PAGE).text
    assert "Correct the customer&#39;s phone number." in page
    for address in ("/status/panel", "/home/today"):
        assert "Klaviyo did not take the properties of 1 customer" in owner.get(address).text
        assert "All is well" not in owner.get(address).text
    answer = hx_post(owner, "/profiles/refused", customer_id=str(customer_id))
    assert "1 profile will be sent again" in answer.headers["HX-Trigger"]
    with app.app_context():
        assert db.session.get_one(ProfileSync, customer_id).due_at is not None
    answer = post(owner, "/profiles/refused")
    assert answer.status_code == 303
    assert "nothing to send again" in owner.get(PROPERTIES_PAGE).text


def test_a_comparison_is_asked_for_once_and_its_results_stay(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    answer = hx_post(owner, "/profiles/drift")
    assert "hx-trigger" in answer.text, "it looks again by itself"
    assert post(owner, "/profiles/drift").status_code == 303
    with app.app_context(), transaction():
        [check] = db.session.scalars(db.select(DriftCheck))
        check.ended_at, check.compared, check.in_step, check.differing = utcnow(), 200, 197, 3
    page = owner.get(PROPERTIES_PAGE).text
    assert "197 of 200 (98.5 %)" in page
    assert "3, sent again" in page


def test_a_case_says_what_happened_and_is_decided_with_a_button(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    ada, bo = _customer(app, connected, email=ADA), _customer(app, connected, phone="+4530123456")
    case_id = _open_case(app, connected, bo, ada)
    page = owner.get(IDENTITY_PAGE).text
    assert "one profile for two of your customers" in page
    assert f"Keep showing {ADA}" in page
    assert "It is not certain whose 1 profile in Klaviyo is" in owner.get("/status/panel").text
    answer = hx_post(owner, "/profiles/cases", case_id=str(case_id), decision="use")
    assert "Nothing to decide" in answer.text
    with app.app_context():
        assert db.session.get_one(Customer, bo).klaviyo_profile_id == "01ABC"
    again = hx_post(owner, "/profiles/cases", case_id=str(case_id), decision="keep")
    assert again.status_code == 404


@pytest.mark.parametrize("kind", list(CaseKind))
def test_every_kind_of_case_has_words_and_buttons(
    app: Flask, owner: FlaskClient, connected: Shop, kind: CaseKind
) -> None:
    ada = _customer(app, connected, email=ADA)
    _open_case(app, connected, ada, None, kind)
    part = owner.get("/profiles/cases").text
    assert ADA in part
    assert part.count('name="decision"') >= 2


def test_cases_and_refusals_of_another_merchant_are_not_there(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    other = factories.make_shop(app, "Harbor Tea")
    foreign = _customer(app, other, email="eva@example.com")
    _refuse(app, other, foreign)
    case_id = _open_case(app, other, foreign, None, CaseKind.MERGED)
    assert "eva@example.com" not in owner.get(PROPERTIES_PAGE).text + owner.get(IDENTITY_PAGE).text
    assert hx_post(owner, "/profiles/cases", case_id=str(case_id), decision="use").status_code == 404
    hx_post(owner, "/profiles/refused", customer_id=str(foreign))
    with app.app_context():
        assert db.session.get_one(ProfileSync, foreign).problem is not None


def test_customers_whom_klaviyo_cannot_be_told_about_are_listed_with_what_would_change_that(
    app: Flask, owner: FlaskClient, connected: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.web.contexts.LISTED", 2)
    for number in range(3):
        _customer(app, connected, external_id=f"till-{number}")
    _customer(app, connected, email=ADA)
    page = owner.get(IDENTITY_PAGE).text
    assert "As soon as an email address or a phone number is known" in page
    assert [f"till-{number}" in page for number in range(3)] == [True, True, False]
    assert ADA not in page
    older = re.search(r'href="([^"]+)" rel="next"', page)
    assert older is not None
    assert "till-2" in owner.get(older[1]).text
