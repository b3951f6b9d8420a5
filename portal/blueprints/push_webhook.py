"""Push > Webhook for Klaviyo: what to copy into a flow, a draft flow with it, when it was last called, and what was refused lately."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import StringField

from portal import beats
from portal.db import transaction
from portal.errors import InvalidError, PortalError
from portal.services import api_keys, auditing, catalogue, connecting, push_log, push_refusals, push_webhooks
from portal.services.push_webhooks import Wish
from portal.web import (
    Feedback,
    fragment,
    login_required,
    member_id,
    merchant_id,
    new_secret,
    owner_required,
    refuse,
    settings,
    to_page,
)
from portal.web.fields import ChoiceField

bp = Blueprint("push_webhook", __name__, url_prefix="/push/webhook")

KEY_NAME = "Klaviyo webhook"
SCOPE = "flows:write"
# What is wished for is kept in the address, also while a key is made or Klaviyo is asked for a permission.
FIELDS = ("message", "url", "flow", "starts", "event_type")
STARTS = {"event": "An event, such as Tier upgraded", "other": "A segment, a list or a date"}
# Not the outcome of a push: a flow that pushes because of a push would never end.
METRICS = {entry.type: entry.metric for entry in catalogue.EVENT_TYPES}


class WishForm(FlaskForm):
    """What the webhook says and what starts its flow. Of an address it changes nothing, so that it can be kept and shared."""

    class Meta:
        csrf = False  # of a POST, it is checked for all forms

    message = StringField("Message")
    url = StringField("Link")
    flow = StringField("Name of the flow")
    starts = ChoiceField("The flow starts with", choices=STARTS)
    event_type = ChoiceField("The draft starts with the event", choices=METRICS)

    @property
    def wish(self) -> Wish:
        return Wish(self.message.data or "", self.url.data or "", self.flow.data or "", self.starts.data != "other")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(_asked())


@bp.get("/body")
@login_required
def body() -> ResponseReturnValue:
    return fragment("push_webhook/_body.html", **_body(_asked().wish))


@bp.post("/key")
@owner_required
def make_key() -> ResponseReturnValue:
    with transaction():
        key, secret = api_keys.create(merchant_id(), KEY_NAME)
        auditing.record(merchant_id(), member_id(), "API key created", f"{key.name} ({key.prefix})")
    new_secret.keep(secret)
    return to_page(with_typed("headers"), Feedback("The new key is filled in. Copy it now."))


@bp.post("/flow")
@owner_required
def make_flow() -> ResponseReturnValue:
    form = WishForm()
    form.starts.data = "event"
    form.validate()
    if form.errors:
        return _show(form), 422
    try:
        wish = push_webhooks.checked(form.wish)
        flow_id = _draft(form.event_type.data, wish)
    except PortalError as error:
        refuse(form, error)
        return _show(form), error.status
    with transaction():
        auditing.record(merchant_id(), member_id(), "draft flow created in Klaviyo", f"{wish.flow} ({flow_id})")
    told = f"The draft flow {wish.flow} is in Klaviyo, with the webhook and a key of its own. Look at it there and switch it on."
    return to_page(with_typed(), Feedback(told))


def with_typed(anchor: str | None = None) -> str:
    typed: dict[str, Any] = {name: request.form[name] for name in FIELDS if name in request.form}
    return url_for("push_webhook.index", **typed, _anchor=anchor)


def _draft(event_type: str, wish: Wish) -> str:
    """The key is the flow's alone; it is revoked where the flow was not made."""
    with transaction():
        key, secret = api_keys.create(merchant_id(), f"Flow {wish.flow}"[:60])
        auditing.record(merchant_id(), member_id(), "API key created", f"{key.name} ({key.prefix})")
    address = f"{settings().public_url}/v1/push"
    create = partial(push_webhooks.create_draft, event_type=event_type, wish=wish, url=address, key=secret)
    try:
        return beats.create_flow(merchant_id(), create)
    except PortalError:
        with transaction():
            api_keys.revoke(merchant_id(), key.id)
            auditing.record(merchant_id(), member_id(), "API key revoked", f"{key.name} ({key.prefix})")
        raise


# --- what the page shows -------------------------------------------------------------------------


def _asked() -> WishForm:
    """What is asked for in the address, or the example."""
    if request.args.get("message") is None:
        example = Wish()
        return WishForm(
            formdata=None, message=example.message, url=example.url, flow=example.flow, event_type="tier_upgraded"
        )
    return WishForm(request.args)


def _show(form: WishForm) -> str:
    connection = connecting.connection_of(merchant_id())
    secret = new_secret.take()
    return render_template(
        "push_webhook/index.html",
        form=form,
        **_body(form.wish),
        secret=secret,
        headers=push_webhooks.headers(secret or push_webhooks.KEY_PLACE),
        keys=[key for key in api_keys.list_keys(merchant_id()) if key.revoked_at is None],
        explained=push_webhooks.EXPLAINED,
        public_url=settings().public_url,
        connected=connection is not None and connection.is_connected,
        may_draft=connection is not None and connection.is_connected and SCOPE in connection.granted_scopes,
        scope=SCOPE,
        is_owner=current_user.is_owner,
        called_at=push_log.last_called_at(merchant_id()),
        refusals=push_refusals.latest(merchant_id()),
        remedy=push_refusals.remedy,
    )


def _body(told: Wish) -> dict[str, Any]:
    """Where what is told makes no sense, the example and what is wrong."""
    wrong, wish = None, Wish()
    try:
        wish = push_webhooks.checked(told)
    except InvalidError as error:
        wrong = error.message
    return {"wish": wish, "wrong": wrong, "body": push_webhooks.body(wish)}
