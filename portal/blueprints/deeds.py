"""What a person does to a customer on the customer's page: points, rewards, verification, the card's link, erasing.

Each deed is an event with an audit entry in the same transaction; a form that is sent twice does it once.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.blueprints import customers
from portal.blueprints.customer_forms import LONGEST, ChangePointsForm, RedeemForm, VerifyForm
from portal.db import repeat, transaction
from portal.errors import NotFoundError, PortalError
from portal.models import Channel
from portal.services import auditing, directory, editing, erasing, serving
from portal.services.points import in_words
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page

bp = Blueprint("deeds", __name__, url_prefix="/customers/<int:customer_id>")


@bp.post("/points")
@login_required
def change_points(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), ChangePointsForm()
    if not form.fits():
        return customers.show(found, points=form), 422
    change, reason = form.change, form.reason.data.strip()
    served = form.served(merchant_id(), customer_id, serving.PORTAL)
    signed = f"{'+' if change > 0 else ''}{in_words(change)} points"

    def write() -> None:
        serving.change_points(served, change, reason)

    try:
        _do(write, "points changed", f"{found.public_id}: {signed}, {reason}")
    except PortalError as error:
        refuse(form, error)
        return customers.show(directory.find(merchant_id(), customer_id), points=form), error.status
    return _back(customer_id, f"{signed.replace('+', '')} {'added' if change > 0 else 'taken away'}.".lstrip("-"))


@bp.post("/rewards")
@login_required
def redeem(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), RedeemForm()
    chosen = str(form.reward.data or "")
    served = form.served(merchant_id(), customer_id, serving.PORTAL)
    channel = Channel.ONLINE if form.channel.data == Channel.ONLINE else Channel.IN_STORE
    try:
        if not (chosen.isdecimal() and len(chosen) < 20):
            raise NotFoundError("Choose a reward.", field="reward")

        def write() -> None:
            reward = serving.redeem(served, int(chosen), channel, (form.code.data or "").strip()[:LONGEST])
            auditing.record(merchant_id(), member_id(), "reward redeemed", f"{found.public_id}: {reward.name}")

        _do(write)
    except PortalError as error:
        refuse(form, error)
        return customers.show(directory.find(merchant_id(), customer_id), redeeming=form), error.status
    return _back(customer_id, "The reward is redeemed.")


@bp.post("/verify")
@login_required
def verify(customer_id: int) -> ResponseReturnValue:
    found, form = directory.find(merchant_id(), customer_id), VerifyForm()
    if not form.validate():
        return customers.show(found, verifying=form), 422
    method = form.method.data.strip()
    served = form.served(merchant_id(), customer_id, serving.PORTAL)
    _do(lambda: serving.verify(served, method), "customer verified", f"{found.public_id}: {method}".rstrip(": "))
    return _back(customer_id, f"{found.name} is verified.")


@bp.get("/link")
@login_required
def link(customer_id: int) -> ResponseReturnValue:
    return render_template("customers/link.html", customer=directory.find(merchant_id(), customer_id))


@bp.post("/link")
@login_required
def renew_link(customer_id: int) -> ResponseReturnValue:
    found = directory.find(merchant_id(), customer_id)
    _do(lambda: editing.renew_link(merchant_id(), customer_id), "card link renewed", found.public_id)
    return _back(customer_id, "The old link no longer works. The new one is below, and goes to Klaviyo by itself.")


@bp.get("/erase")
@owner_required
def erase(customer_id: int) -> ResponseReturnValue:
    found = directory.find(merchant_id(), customer_id)
    return render_template("customers/erase.html", customer=found, told_to=erasing.told_to(found))


@bp.post("/erase")
@owner_required
def erase_now(customer_id: int) -> ResponseReturnValue:
    """Whoever is erased is named neither in the answer nor in the audit log."""

    def write() -> bool:
        with transaction():
            return erasing.erase(merchant_id(), directory.find(merchant_id(), customer_id).id, member_id())

    try:
        told = " Klaviyo is told to erase the profile there too." if repeat(write) else ""
    except NotFoundError:
        if not erasing.was_erased(merchant_id(), customer_id):
            raise
        return to_page(url_for("customers.index"), Feedback("This customer was erased already. Nothing is left to do."))
    return to_page(url_for("customers.index"), Feedback(f"The customer is erased.{told}"))


def _do(write: Callable[[], object], deed: str = "", detail: str = "") -> None:
    def once() -> None:
        with transaction():
            write()
            if deed:
                auditing.record(merchant_id(), member_id(), deed, detail)

    repeat(once)


def _back(customer_id: int, told: str) -> ResponseReturnValue:
    return to_page(url_for("customers.customer", customer_id=customer_id), Feedback(told))
