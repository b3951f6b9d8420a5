"""The frame of every page: the blueprint they belong to, the account in the address, how things are written.

Everything is read from the store as it is; the account is in the address as `?account=`.
"""

import json
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.klaviyo import conditions, showing
from sandbox.klaviyo.switches import iso
from sandbox.klaviyo.world import world
from sandbox.store import Row

bp = Blueprint("sandbox_pages", __name__)
PER_PAGE = 50


@bp.app_template_filter("at")
def _at(seconds: float | None) -> str:
    return (iso(seconds) or "")[:19].replace("T", " ")


@bp.app_template_filter("grouped")
def _grouped(number: int) -> str:
    return f"{number:,}"


bp.add_app_template_filter(showing.laid_out)
bp.add_app_template_filter(showing.readable)
bp.add_app_template_filter(showing.scope_in_words)


@bp.app_template_filter("condition_in_words")
def _condition_in_words(tested: dict[str, Any] | None) -> str:
    return conditions.told(
        tested, {row["id"]: row["name"] for row in world().store.rows("SELECT id, name FROM metric")}
    )


@bp.app_template_filter("pretty")
def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def chosen_account() -> Row:
    here = world()
    chosen = request.args.get("account") or request.form.get("account") or here.accounts()[0]["id"]
    found = here.account(chosen)
    if found is None:
        abort(404)
    return found


def page(template: str, account: Row, **context: Any) -> str:
    return render_template(f"klaviyo/{template}", account=account, accounts=world().accounts(), **context)


def asked_before() -> int | None:
    given = request.args.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None


def back_to(endpoint: str, **values: Any) -> AnyResponse:
    """Where a form leads when it is done."""
    return redirect(url_for(f"sandbox_pages.{endpoint}", account=chosen_account()["id"], **values), 303)
