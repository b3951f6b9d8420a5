"""Card: how cards look in both wallets, with a preview of what is typed, and every version that there was.

A preview saves no version; pictures that come with it are kept, so that they need not be chosen again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.blueprints.card_forms import CardForm, form_of
from portal.db import repeat, transaction
from portal.errors import InvalidError, PortalError
from portal.models import CardDesign
from portal.models.card_number import in_groups
from portal.services import auditing, card_sample, designing
from portal.services.designing import Draft
from portal.web import (
    Feedback,
    fragment,
    is_htmx,
    login_required,
    member_id,
    merchant_id,
    owner_required,
    refuse,
    takes_file,
    to_page,
)
from portal.web.qr import qr_code

bp = Blueprint("card_design", __name__, url_prefix="/card")

# Three photographs as cameras make them: each is then told what is too large about it, and nothing typed is lost.
MOST_BYTES = 40 << 20
GONE = "This picture is no longer here. Choose the file again."


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    last = designing.newest(merchant_id())
    draft = designing.draft_of(last)
    return _show(form_of(draft, last.number), draft)


@bp.post("/preview")
@owner_required
@takes_file(MOST_BYTES)
def preview() -> ResponseReturnValue:
    form = CardForm()
    advice = _check(form)
    draft = form.draft(designing.draft_of(designing.newest(merchant_id())))
    wrong = form.wrong()
    if is_htmx():
        return fragment("card_design/_preview.html", wrong=wrong, is_draft=True, **_drawn(draft))
    return _show(form, draft, advice, is_draft=True), 422 if wrong else 200


@bp.post("")
@owner_required
@takes_file(MOST_BYTES)
def save() -> ResponseReturnValue:
    form = CardForm()
    advice = _check(form)
    last = designing.newest(merchant_id())
    draft = form.draft(designing.draft_of(last))
    if form.wrong():
        return _show(form, draft, advice, is_draft=True), 422
    told = str(form.based_on.data or "")
    based_on = int(told) if told.isdecimal() and len(told) < 10 else 0
    try:
        made = _write(partial(designing.save, merchant_id(), draft, based_on), "card design changed")
    except PortalError as error:
        refuse(form, error)
        # Whoever saves again has read what happened.
        form.based_on.data = designing.newest(merchant_id()).number
        return _show(form, draft, advice, is_draft=True), error.status
    return _to_index(made, advice)


@bp.post("/versions/<int:number>/restore")
@owner_required
def restore(number: int) -> ResponseReturnValue:
    """Number 0 is the look of a new shop."""
    change = partial(designing.restore, merchant_id(), number)
    as_it_was = f", as version {number} was" if number else ", as for a new shop"
    return _to_index(_write(change, "card design restored", as_it_was))


def _write(change: Callable[..., CardDesign | None], deed: str, detail: str = "") -> CardDesign | None:
    def once() -> CardDesign | None:
        with transaction():
            made = change(by=member_id())
            if made is not None:
                auditing.record(merchant_id(), member_id(), deed, f"version {made.number}{detail}")
        return made

    return repeat(once)


def _to_index(made: CardDesign | None, advice: dict[str, str] | None = None) -> ResponseReturnValue:
    if made is None:
        return to_page(url_for("card_design.index"), Feedback("Cards look like this already, so nothing was changed."))
    reached = designing.rollout(merchant_id()).cards
    waiting = "Cards in wallets follow in the background." if reached else "Every new card looks like this."
    words = " ".join((f"Version {made.number} is in use. {waiting}", *(advice or {}).values()))
    return to_page(url_for("card_design.index"), Feedback(words, "warn" if advice else "ok"))


# --- the form ------------------------------------------------------------------------------------


def _check(form: CardForm) -> dict[str, str]:
    """What is wrong stands beside its field afterwards; by slot, what could be better about a new picture."""
    form.validate()
    advice = {}
    for slot in designing.SLOTS:
        try:
            if told := _take_picture(form, slot):
                advice[slot] = told
        except InvalidError as error:
            refuse(form, error)
    return advice


def _take_picture(form: CardForm, slot: str) -> str:
    upload = form.upload(slot)
    if not upload:
        picture_id = form.picture_id(slot)
        known = picture_id is None or designing.is_picture(merchant_id(), slot, picture_id)
        form.show_picture(slot, picture_id if known else None)
        if not known:
            raise InvalidError(GONE, field=slot)
        return ""
    drawn = designing.draw(slot, upload)
    with transaction():
        picture_id = designing.keep(merchant_id(), slot, drawn)
    form.show_picture(slot, picture_id)
    return " ".join(drawn.advice)


def _show(form: CardForm, draft: Draft, advice: dict[str, str] | None = None, *, is_draft: bool = False) -> str:
    form.add_blank()
    return render_template(
        "card_design/index.html",
        form=form,
        advice=advice or {},
        versions=designing.versions(merchant_id()),
        rollout=designing.rollout(merchant_id()),
        wrong=[],
        is_draft=is_draft,
        **_drawn(draft),
    )


def _drawn(draft: Draft) -> dict[str, Any]:
    return {
        "draft": draft,
        "face": card_sample.face(merchant_id()),
        "readings": card_sample.readings(draft),
        "google_text": card_sample.google_text(draft.background),
        "programme_name": current_user.merchant.programme_name,
        "number": in_groups(card_sample.NUMBER),
        "qr": qr_code(card_sample.NUMBER),
    }
