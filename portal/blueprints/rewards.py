"""Loyalty > Rewards: what points can be exchanged for. One that is withdrawn can be offered again."""

from __future__ import annotations

import re

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from portal.db import transaction
from portal.errors import PortalError
from portal.models import Channel, Reward
from portal.services import auditing, programme
from portal.services.points import in_words
from portal.services.programme import RewardPlan
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page
from portal.web.fields import ChoiceField, PointsField, WholeField
from portal.web.words import CHANNELS

bp = Blueprint("rewards", __name__, url_prefix="/loyalty/rewards")

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


class RewardForm(FlaskForm):
    name = StringField("Name", [DataRequired("Enter what the customer gets."), Length(max=100)])
    code = StringField("Id", [DataRequired("Enter an id.")])
    cost = PointsField("Cost in points")
    channel = ChoiceField("Where it can be redeemed", choices=CHANNELS)
    most_per_customer = WholeField("Most per customer", most=1_000_000, what="a number")
    most_in_all = WholeField("Most in all", most=1_000_000_000, what="a number")

    def plan(self) -> RewardPlan | None:
        """None where something is wrong; it then stands beside its field."""
        self.validate()
        code = (self.code.data or "").strip()
        if code and not _CODE.fullmatch(code):
            self.code.errors = ["Use letters, digits, hyphens, dots and underscores, such as free-coffee."]
        if not self.cost.errors and (self.cost.data is None or self.cost.data <= 0):
            self.cost.errors = ["Enter how many points it costs; more than 0."]
        if self.errors:
            return None
        channel = Channel(self.channel.data)
        name = self.name.data.strip()
        return RewardPlan(code, name, self.cost.data, channel, self.most_per_customer.data, self.most_in_all.data)


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return render_template("rewards/index.html", rewards=programme.rewards_of(merchant_id()))


@bp.get("/new")
@owner_required
def new() -> ResponseReturnValue:
    return _form(RewardForm(), None)


@bp.post("/new")
@owner_required
def add() -> ResponseReturnValue:
    form = RewardForm()
    plan = form.plan()
    if plan is None:
        return _form(form, None), 422
    try:
        with transaction():
            reward = programme.add_reward(merchant_id(), plan)
            auditing.record(merchant_id(), member_id(), "reward added", _in_short(reward))
    except PortalError as error:
        refuse(form, error)
        return _form(form, None), error.status
    return to_page(url_for("rewards.index"), Feedback(f"{reward.name} can be redeemed from now on."))


@bp.get("/<int:reward_id>")
@owner_required
def edit(reward_id: int) -> ResponseReturnValue:
    reward = programme.reward_of(merchant_id(), reward_id)
    return _form(RewardForm(obj=reward), reward)


@bp.post("/<int:reward_id>")
@owner_required
def save(reward_id: int) -> ResponseReturnValue:
    form, reward = RewardForm(), programme.reward_of(merchant_id(), reward_id)
    plan = form.plan()
    if plan is None:
        return _form(form, reward), 422
    try:
        with transaction():
            reward = programme.change_reward(merchant_id(), reward_id, plan)
            auditing.record(merchant_id(), member_id(), "reward changed", _in_short(reward))
    except PortalError as error:
        refuse(form, error)
        return _form(form, programme.reward_of(merchant_id(), reward_id)), error.status
    return to_page(url_for("rewards.index"), Feedback(f"{reward.name} is saved."))


@bp.get("/<int:reward_id>/withdraw")
@owner_required
def withdraw(reward_id: int) -> ResponseReturnValue:
    return render_template("rewards/withdraw.html", reward=programme.reward_of(merchant_id(), reward_id))


@bp.post("/<int:reward_id>/withdraw")
@owner_required
def withdraw_now(reward_id: int) -> ResponseReturnValue:
    return _offer(reward_id, on_offer=False)


@bp.post("/<int:reward_id>/offer")
@owner_required
def offer(reward_id: int) -> ResponseReturnValue:
    return _offer(reward_id, on_offer=True)


def _offer(reward_id: int, *, on_offer: bool) -> ResponseReturnValue:
    with transaction():
        reward = programme.offer_reward(merchant_id(), reward_id, on_offer)
        deed = "reward offered again" if on_offer else "reward withdrawn"
        auditing.record(merchant_id(), member_id(), deed, _in_short(reward))
    told = "can be redeemed again" if on_offer else "is withdrawn. Nobody can redeem it from now on"
    return to_page(url_for("rewards.index"), Feedback(f"{reward.name} {told}."))


def _in_short(reward: Reward) -> str:
    return f"{reward.name} ({reward.code}), {in_words(reward.cost)} points"


def _form(form: RewardForm, reward: Reward | None) -> str:
    return render_template("rewards/form.html", form=form, reward=reward)
