"""Settings > API keys: create, show once, revoke. Only owners see them.

The secret crosses one redirect, sealed for its user, and is forgotten when it has been shown.
"""

from __future__ import annotations

from secrets import token_hex

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.db import transaction
from portal.errors import NotFoundError, PortalError
from portal.models import ApiKey
from portal.services import api_keys, auditing
from portal.web import Feedback, member_id, merchant_id, new_secret, owner_required, refuse, settings, to_page

bp = Blueprint("api_keys", __name__, url_prefix="/settings/api-keys")


class KeyForm(FlaskForm):
    name = StringField("Name", [InputRequired("Name the key after what uses it."), Length(max=60)])


@bp.get("")
@owner_required
def index() -> ResponseReturnValue:
    return _show(KeyForm(), new_secret.take())


@bp.post("")
@owner_required
def create() -> ResponseReturnValue:
    form = KeyForm()
    if not form.validate():
        return _show(form), 422
    try:
        with transaction():
            key, secret = api_keys.create(merchant_id(), form.name.data or "")
            auditing.record(merchant_id(), member_id(), "API key created", f"{key.name} ({key.prefix})")
    except PortalError as error:
        refuse(form, error)
        return _show(form), 422
    new_secret.keep(secret)
    return to_page(url_for("api_keys.index"), Feedback(f"The key {key.name} is created."))


@bp.get("/<int:key_id>/revoke")
@owner_required
def revoke(key_id: int) -> ResponseReturnValue:
    return render_template("api_keys/revoke.html", key=_live_key(key_id))


@bp.post("/<int:key_id>/revoke")
@owner_required
def revoke_now(key_id: int) -> ResponseReturnValue:
    with transaction():
        key = api_keys.revoke(merchant_id(), key_id)
        auditing.record(merchant_id(), member_id(), "API key revoked", f"{key.name} ({key.prefix})")
    return to_page(url_for("api_keys.index"), Feedback(f"The key {key.name} is revoked. It is refused from now on."))


def _live_key(key_id: int) -> ApiKey:
    for key in api_keys.list_keys(merchant_id()):
        if key.id == key_id and key.revoked_at is None:
            return key
    raise NotFoundError("There is no such key, or it is revoked already.")


def _show(form: KeyForm, secret: str | None = None) -> str:
    return render_template(
        "api_keys/index.html",
        form=form,
        keys=api_keys.list_keys(merchant_id()),
        secret=secret,
        public_url=settings().public_url,
        # A new one each time: the command may be tried twice and shall send two events.
        example_id=f"first-event-{token_hex(3)}",
    )
