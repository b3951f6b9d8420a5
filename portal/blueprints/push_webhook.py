"""Push > Webhook for Klaviyo: what to copy into a flow, when it was last called, and what was refused lately."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.services import push_log, push_refusals
from portal.web import login_required, merchant_id, settings

bp = Blueprint("push_webhook", __name__, url_prefix="/push/webhook")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return render_template(
        "push_webhook/index.html",
        public_url=settings().public_url,
        called_at=push_log.last_called_at(merchant_id()),
        refusals=push_refusals.latest(merchant_id()),
        remedy=push_refusals.remedy,
    )
