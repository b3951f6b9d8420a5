"""The till, for shop staff on a phone: find a customer by card, give points, redeem, check in.

Where the till stands is kept in a cookie of the device, so that it outlives a login.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import Length

from portal.blueprints.customer_forms import AmountForm, OnceForm, RedeemForm
from portal.db import repeat, transaction
from portal.errors import NotFoundError, PortalError
from portal.models import Channel
from portal.models.card_number import customer_id_of
from portal.services import auditing, directory, histories, portraying, programme, serving
from portal.services.points import in_words
from portal.services.rules import current_rules
from portal.web import Feedback, login_required, member_id, merchant_id, refuse, settings, to_page

bp = Blueprint("till", __name__, url_prefix="/till")

PLACE_COOKIE = "till-place"
PLACE = ("location", "device")
LONGEST = 60
YEAR_SECONDS = 31_536_000
FEW = 10


class PlaceForm(FlaskForm):
    location = StringField("Shop", [Length(max=LONGEST, message=f"Use at most {LONGEST} characters.")])
    device = StringField("Till", [Length(max=LONGEST, message=f"Use at most {LONGEST} characters.")])


class FindForm(OnceForm):
    code = StringField("Card number", [Length(max=200)])


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(FindForm(formdata=None, once=serving.new_once()), request.args.get("q", "").strip())


def _show(form: FindForm, sought: str = "", place: PlaceForm | None = None) -> str:
    found = directory.page(merchant_id(), sought=sought).customers[:FEW] if sought else ()
    place = place or PlaceForm(formdata=None, data=_place())
    rules = current_rules(merchant_id())
    return render_template(
        "till/index.html", form=form, sought=sought, found=found, place=place, here=_place(), rules=rules
    )


@bp.post("/find")
@login_required
def find() -> ResponseReturnValue:
    """A card's number is a scan of it; anything else is looked for."""
    form = FindForm()
    code = (form.code.data or "").strip()
    if not form.validate() or not code:
        form.code.errors = ["Scan a card, or type its number, an email address, a phone number or a name."]
        return _show(form), 422
    customer_id = customer_id_of(code)
    try:
        if customer_id is not None:
            found = directory.find(merchant_id(), customer_id)
            _do(lambda: serving.scan(_served(form, found.id)))
            return _back(found.id, "The card is scanned.")
    except NotFoundError:
        pass  # a number of the shop's own may look like a card's
    matches = directory.page(merchant_id(), sought=code).customers
    if len(matches) == 1:
        return to_page(url_for("till.customer", customer_id=matches[0].id))
    return to_page(url_for("till.index", q=code))


@bp.post("/place")
@login_required
def place() -> ResponseReturnValue:
    form = PlaceForm()
    if not form.validate():
        return _show(FindForm(formdata=None, once=serving.new_once()), place=form), 422
    kept = {name: value for name in PLACE if (value := (form[name].data or "").strip())}
    answer = to_page(url_for("till.index"), Feedback("This device remembers where it is."))
    answer.set_cookie(
        PLACE_COOKIE,
        json.dumps(kept),
        max_age=YEAR_SECONDS,
        path=url_for("till.index"),
        httponly=True,
        samesite="Lax",
        secure=settings().secure_cookies,
    )
    return answer


def _place() -> dict[str, str]:
    try:
        told = json.loads(request.cookies.get(PLACE_COOKIE, "{}"))
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    return {name: value[:LONGEST] for name in PLACE if isinstance(value := told.get(name), str) and value}


# --- one customer --------------------------------------------------------------------------------


@bp.get("/<int:customer_id>")
@login_required
def customer(customer_id: int) -> ResponseReturnValue:
    return _serve(customer_id)


def _serve(customer_id: int, *, giving: AmountForm | None = None, redeeming: RedeemForm | None = None) -> str:
    found = directory.find(merchant_id(), customer_id)
    portrait = portraying.portray(merchant_id(), customer_id)
    rewards = current_rules(merchant_id()).rewards
    blank = RedeemForm(formdata=None, once=serving.new_once())
    return render_template(
        "till/customer.html",
        customer=found,
        portrait=portrait,
        share=histories.share_of_way(portrait),
        rewards=rewards,
        currency=programme.programme_of(merchant_id()).currency,
        here=_place(),
        giving=giving or AmountForm(formdata=None, once=serving.new_once()),
        redeeming=(redeeming or blank).offer(rewards, Channel.IN_STORE),
        checking=OnceForm(formdata=None, once=serving.new_once()),
        refused=giving or redeeming,
    )


@bp.post("/<int:customer_id>/points")
@login_required
def give_points(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), AmountForm()
    if not form.fits():
        return _serve(customer_id, giving=form), 422
    given: list[int] = []

    def write() -> None:
        given[:] = [_give(form, found.id)]
        auditing.record(merchant_id(), member_id(), "points given", f"{found.public_id}: {in_words(given[0])} points")

    try:
        _do(write)
    except PortalError as error:
        refuse(form, error)
        return _serve(customer_id, giving=form), error.status
    return _back(customer_id, f"{in_words(given[0])} points added.")


def _give(form: AmountForm, customer_id: int) -> int:
    served = _served(form, customer_id)
    if isinstance(amount := form.amount.data, Decimal):
        return serving.change_points_for(served, amount, "Purchase in store")
    points: int = form.points.data
    serving.change_points(served, points, "Added at the till")
    return points


@bp.post("/<int:customer_id>/rewards")
@login_required
def redeem(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), RedeemForm()
    chosen = str(form.reward.data or "")
    told: list[str] = []

    def write() -> None:
        reward = serving.redeem(_served(form, found.id), int(chosen), Channel.IN_STORE)
        told[:] = [f"{reward.name} is redeemed. Hand it over."]
        auditing.record(merchant_id(), member_id(), "reward redeemed", f"{found.public_id}: {reward.name}")

    try:
        if not (chosen.isdecimal() and len(chosen) < 19):
            raise NotFoundError("Choose a reward.", field="reward")
        _do(write)
    except PortalError as error:
        refuse(form, error)
        return _serve(customer_id, redeeming=form), error.status
    return _back(customer_id, told[0])


@bp.post("/<int:customer_id>/check-in")
@login_required
def check_in(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), OnceForm()
    _do(lambda: serving.check_in(_served(form, found.id)))
    return _back(customer_id, f"{found.name} is checked in.")


def _served(form: OnceForm, customer_id: int) -> serving.Served:
    return form.served(merchant_id(), customer_id, serving.TILL, **_place())


def _do(write: Callable[[], object]) -> None:
    def once() -> None:
        with transaction():
            write()

    repeat(once)


def _back(customer_id: int, told: str) -> Response:
    return to_page(url_for("till.customer", customer_id=customer_id), Feedback(told))
