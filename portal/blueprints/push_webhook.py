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
# Two forms on one page: the names of this one's fields begin so.
DRAFT = "draft-"
# What is wished for is kept in the address, also while a key is made.
FIELDS = ("message", "url", "flow", "starts")
STARTS = {"event": "An event, such as Tier upgraded", "other": "A segment, a list or a date"}
METRICS = {entry.type: entry.metric for entry in catalogue.RECORDED.values()}


class BodyForm(FlaskForm):
    """Of an address: it changes nothing, so that it can be kept and shared."""

    class Meta:
        csrf = False

    message = StringField("Message")
    url = StringField("Link")
    flow = StringField("Name of the flow")
    starts = ChoiceField("The flow starts with", choices=STARTS)


class DraftForm(FlaskForm):
    event_type = ChoiceField("The flow starts with the event", choices=METRICS)
    message = StringField("Message")
    url = StringField("Link")
    flow = StringField("Name of the flow")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show()


@bp.get("/body")
@login_required
def body() -> ResponseReturnValue:
    return fragment("push_webhook/_body.html", **_body())


@bp.post("/key")
@owner_required
def make_key() -> ResponseReturnValue:
    with transaction():
        key, secret = api_keys.create(merchant_id(), KEY_NAME)
        auditing.record(merchant_id(), member_id(), "API key created", f"{key.name} ({key.prefix})")
    new_secret.keep(secret)
    typed: dict[str, Any] = {name: request.form[name] for name in FIELDS if name in request.form}
    address = url_for("push_webhook.index", **typed, _anchor="headers")
    return to_page(address, Feedback("The new key is filled in. Copy it now."))


@bp.post("/flow")
@owner_required
def make_flow() -> ResponseReturnValue:
    form = DraftForm(prefix=DRAFT)
    form.validate()
    if form.errors:
        return _show(form), 422
    try:
        wish = push_webhooks.checked(Wish(form.message.data or "", form.url.data or "", form.flow.data or ""))
        flow_id = _draft(form.event_type.data, wish)
    except PortalError as error:
        refuse(form, error)
        return _show(form), error.status
    with transaction():
        auditing.record(merchant_id(), member_id(), "draft flow created in Klaviyo", f"{wish.flow} ({flow_id})")
    told = f"The draft flow {wish.flow} is in Klaviyo, with the webhook and a key of its own. Look at it there and switch it on."
    return to_page(url_for("push_webhook.index"), Feedback(told))


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


def _show(draft: DraftForm | None = None) -> str:
    connection = connecting.connection_of(merchant_id())
    secret = new_secret.take()
    shown = _body()
    form: BodyForm = shown["form"]
    return render_template(
        "push_webhook/index.html",
        **shown,
        draft=draft or _draft_form(form),
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


def _draft_form(form: BodyForm) -> DraftForm:
    """As what was typed above says."""
    typed = {name: form[name].data for name in ("message", "url", "flow")}
    return DraftForm(formdata=None, prefix=DRAFT, event_type="tier_upgraded", **typed)


def _body() -> dict[str, Any]:
    """What is asked for in the address; where that makes no sense, the example and what is wrong."""
    asked = request.args.get("message") is not None and request.method == "GET"
    form = BodyForm(request.args) if asked else BodyForm(formdata=None)
    if not asked:
        example = Wish()
        form.message.data, form.url.data, form.flow.data = example.message, example.url, example.flow
        form.starts.data = "event"
    told = Wish(form.message.data or "", form.url.data or "", form.flow.data or "", form.starts.data != "other")
    wrong, wish = None, Wish()
    try:
        wish = push_webhooks.checked(told)
    except InvalidError as error:
        wrong = error.message
    return {"form": form, "wish": wish, "wrong": wrong, "body": push_webhooks.body(wish)}
