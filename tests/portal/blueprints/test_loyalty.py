"""Loyalty: tiers with a look ahead, rewards, points; what is wrong stands beside its field, and nothing is stored of it."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.db import db
from portal.models import AuditEntry, Reward, Tier
from portal.services import programme
from portal.services.rules import current_rules
from tests.factories import Shop
from tests.portal.blueprints import pages
from tests.portal.services import programmes

TIERS = (("Bronze", "0"), ("Silver", "250"), ("Gold", "1,000"))


def _fields(app: Flask, shop: Shop, *rows: tuple[str, ...], **changes: str) -> dict[str, str]:
    """The form's fields: rows are name, points and, for one that is there, its id."""
    with app.app_context():
        version = programme.programme_of(shop.id).version
        ids = {tier.name: tier.id for tier in programme.tiers_of(shop.id)}
    fields = {"version": str(version), "basis": "earned_ever", "loss": "at_once"}
    for place, row in enumerate(rows):
        name, points, *more = row
        known = more[0] if more else name
        fields |= {f"tiers-{place}-name": name, f"tiers-{place}-threshold": points}
        fields[f"tiers-{place}-id"] = str(ids.get(known, ""))
    return {**fields, **changes}


def _names(app: Flask, shop: Shop) -> list[tuple[str, int]]:
    with app.app_context():
        query = select(Tier.name, Tier.threshold).where(Tier.merchant_id == shop.id).order_by(Tier.threshold)
        return [(name, threshold) for name, threshold in db.session.execute(query)]


def test_tiers_are_looked_ahead_and_then_saved(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    with app.app_context():
        programmes.customer_with(merchant.id, 300)
        programmes.customer_with(merchant.id, 10)
    fields = _fields(app, merchant, *TIERS, ("", ""))
    page = owner.get("/loyalty/tiers/preview", query_string=fields)
    assert "1 customer would move up, 0 down" in page.text
    assert _names(app, merchant) == []
    assert pages.post(owner, "/loyalty/tiers", **fields).status_code == 303
    assert _names(app, merchant) == [("Bronze", 0), ("Silver", 25_000), ("Gold", 100_000)]
    with app.app_context():
        programmes.review(merchant.id)
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "tiers changed")).one()
        assert entry.detail == "Bronze from 0, Silver from 250, Gold from 1,000"
    assert "1 customer</span>" in owner.get("/loyalty").text


WRONG_TIERS = [
    ((("Bronze", "-1"),), "Enter 0 or more points."),
    ((("Bronze", "0.125"),), "at most two decimals"),
    ((("Bronze", "many"),), "Enter a number"),
    ((("Bronze", ""),), "from how many points on"),
    ((("", "10"),), "Give the tier a name"),
    ((("Bronze", "0"), ("bronze ", "10")), "another tier called bronze"),
    ((("Bronze", "0"), ("Silver", "0")), "Bronze begins at 0 points too"),
]


def test_what_is_wrong_with_a_tier_stands_beside_its_field(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    for rows, said in WRONG_TIERS:
        fields = _fields(app, merchant, *rows)
        looked = owner.get("/loyalty/tiers/preview", query_string=fields)
        for answer in (looked, pages.post(owner, "/loyalty/tiers", **fields)):
            assert (answer.status_code, said in answer.text) == (422, True), said
            assert 'aria-invalid="true"' in answer.text
    assert _names(app, merchant) == []


def test_tiers_that_are_there_stay_in_their_order_and_a_new_one_finds_its_place(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    pages.post(owner, "/loyalty/tiers", **_fields(app, merchant, *TIERS))
    swapped = _fields(app, merchant, ("Bronze", "0"), ("Silver", "2000"), ("Gold", "1000"))
    refused = owner.get("/loyalty/tiers/preview", query_string=swapped)
    assert "Gold stands above Silver, which begins at 2,000 points." in refused.text
    between = _fields(app, merchant, *TIERS, ("Steel", "100"))
    assert pages.post(owner, "/loyalty/tiers", **between).status_code == 303
    assert [name for name, _ in _names(app, merchant)] == ["Bronze", "Steel", "Silver", "Gold"]


def test_a_form_that_was_opened_before_somebody_elses_change_saves_nothing(
    app: Flask, owner: FlaskClient, merchant: Shop
) -> None:
    old = _fields(app, merchant, ("Only", "0"))
    pages.post(owner, "/loyalty/tiers", **_fields(app, merchant, *TIERS))
    answer = pages.post(owner, "/loyalty/tiers", **old)
    assert (answer.status_code, "nothing was saved" in answer.text) == (409, True)
    assert len(_names(app, merchant)) == 3


def test_a_tier_that_is_removed_says_where_its_customers_go(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    pages.post(owner, "/loyalty/tiers", **_fields(app, merchant, *TIERS))
    with app.app_context():
        programmes.customer_with(merchant.id, 2000)
    fields = _fields(app, merchant, *TIERS, **{"tiers-2-remove": "y"})
    page = owner.get("/loyalty/tiers/preview", query_string=fields)
    assert "0 customers would move up, 1 down" in page.text
    assert "Will be removed" in page.text


def _reward(**changes: str) -> dict[str, str]:
    return {"name": "Free coffee", "code": "free-coffee", "cost": "50", "channel": "both", **changes}


def test_a_reward_is_added_changed_withdrawn_and_offered_again(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    pages.post(owner, "/loyalty/rewards/new", **_reward())
    with app.app_context():
        reward_id = db.session.scalars(select(Reward.id).where(Reward.merchant_id == merchant.id)).one()
    path = f"/loyalty/rewards/{reward_id}"
    pages.post(owner, path, **_reward(cost="60", most_in_all="5"))
    with app.app_context():
        (rule,) = current_rules(merchant.id).rewards
        assert (rule.cost, rule.most_in_all) == (6_000, 5)
    pages.post(owner, f"{path}/withdraw")
    with app.app_context():
        assert current_rules(merchant.id).rewards == ()
    assert "Offer again" in owner.get("/loyalty/rewards").text
    pages.post(owner, f"{path}/offer")
    with app.app_context():
        assert len(current_rules(merchant.id).rewards) == 1
        actions = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        assert actions[-4:] == ["reward added", "reward changed", "reward withdrawn", "reward offered again"]


WRONG_REWARDS = [
    ({"cost": "-5"}, "more than 0"),
    ({"cost": "0"}, "more than 0"),
    ({"cost": "1.005"}, "at most two decimals"),
    ({"cost": ""}, "how many points it costs"),
    ({"name": " "}, "Enter what the customer gets"),
    ({"code": "free coffee!"}, "Use letters, digits"),
    ({"channel": "moon"}, "Choose one of the list"),
    ({"most_in_all": "0"}, "from 1 to"),
    ({"code": "taken"}, "already belongs to another reward"),
]


def test_what_is_wrong_with_a_reward_stands_beside_its_field(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    pages.post(owner, "/loyalty/rewards/new", **_reward(code="taken"))
    for changes, said in WRONG_REWARDS:
        answer = pages.post(owner, "/loyalty/rewards/new", **_reward(**changes))
        assert (answer.status_code, said in answer.text) == (422, True), said
    with app.app_context():
        assert len(programme.rewards_of(merchant.id)) == 1


POINTS = {
    "points_per_unit": "2.5",
    "rounding": "down",
    "currency": "dkk",
    "welcome_points": "10",
    "referral_points": "",
}


def test_points_rules_are_saved_and_used_for_whoever_comes_next(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    assert pages.post(owner, "/loyalty/points", **POINTS).status_code == 303
    with app.app_context():
        rules = programme.programme_of(merchant.id)
        assert (rules.points_per_unit, rules.currency, rules.welcome_points) == (250, "DKK", 1_000)
        assert current_rules(merchant.id).welcome_points == 1_000
    assert "24.90 DKK gives 62 points" in owner.get("/loyalty/points").text


WRONG_POINTS = [
    ({"points_per_unit": "0"}, "more than 0"),
    ({"points_per_unit": "1000001"}, "at most 1,000,000"),
    ({"welcome_points": "-1"}, "0 or more"),
    ({"referral_points": "1.234"}, "at most two decimals"),
    ({"currency": "EURO"}, "three letters"),
    ({"rounding": "up"}, "Choose one of the list"),
]


def test_what_is_wrong_with_the_points_rules_stands_beside_its_field(owner: FlaskClient) -> None:
    for changes, said in WRONG_POINTS:
        answer = pages.post(owner, "/loyalty/points", **{**POINTS, **changes})
        assert (answer.status_code, said in answer.text) == (422, True), said


def test_a_member_sees_the_rules_and_cannot_change_them(app: Flask, owner: FlaskClient, merchant: Shop) -> None:
    pages.post(owner, "/loyalty/rewards/new", **_reward())
    member = pages.log_in_member(app, merchant)
    for path in ("/loyalty", "/loyalty/rewards", "/loyalty/points"):
        page = member.get(path)
        assert page.status_code == 200
        assert "btn-primary" not in page.text
    assert pages.post(member, "/loyalty/points", **POINTS).status_code == 403


def test_another_merchants_reward_does_not_exist(app: Flask, owner: FlaskClient) -> None:
    _, other = pages.log_in_stranger(app)
    with app.app_context():
        reward = programmes.add_reward(other.id)
    for path in (f"/loyalty/rewards/{reward.id}", f"/loyalty/rewards/{reward.id}/withdraw"):
        assert owner.get(path).status_code == 404
        assert pages.post(owner, path, **_reward()).status_code == 404
