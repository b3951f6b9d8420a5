"""Taking a push in: who is meant, whether it can be shown at all, and one row that promises it. Nothing is called here.

A repeat within 48 hours is answered as the first time, whatever has become of it since: Klaviyo repeats for 24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from portal import queue
from portal.db import LARGEST_ID, db, new_id, on_commit
from portal.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, PortalError
from portal.models import Customer, Push, PushReason, PushRules, PushState, Wallet
from portal.models.customer import ID_PREFIX
from portal.models.push import PUSH_PREFIX
from portal.services import push_outcomes
from portal.services.push_orders import PushOrder, key_of

KEY_KEPT = timedelta(hours=48)
NO_PASS = (
    "This customer has no card on a phone, so there is nothing to push to. Send an email with the card's link instead."
)


@dataclass(frozen=True)
class Accepted:
    """`push` is None for what was only checked."""

    push: Push | None
    customer_id: int
    wallets: Sequence[Wallet]


def accept(merchant_id: int, order: PushOrder, now: datetime) -> Accepted | InvalidError:
    """Promise the push, answer a repeat as before, or give the reason why there is nothing to show it on, which is kept too.

    Raises a `PortalError` for what is about no customer, and `sqlalchemy.exc.IntegrityError` when the same is asked for at this
    moment: repeat the transaction.
    """
    accepted = _accept(merchant_id, order, now)
    on_commit(partial(queue.ring, merchant_id, queue.PUSHES))
    return accepted


def accept_each(merchant_id: int, orders: Sequence[PushOrder], now: datetime) -> list[Accepted | PortalError]:
    """The same for requests that came at one moment, each with an answer of its own. Ring for them once they have it."""
    return [_accept_or_refuse(merchant_id, order, now) for order in orders]


def _accept_or_refuse(merchant_id: int, order: PushOrder, now: datetime) -> Accepted | PortalError:
    try:
        return _accept(merchant_id, order, now)
    except PortalError as error:
        return error


def _accept(merchant_id: int, order: PushOrder, now: datetime) -> Accepted | InvalidError:
    if not order.dry_run and (known := _repeat(merchant_id, order, now)):
        return Accepted(known, known.customer_id, known.wallets)
    _check_not_paused(merchant_id)
    customer = find_customer(merchant_id, order.who)
    wallets = wallets_of(customer)
    if order.expires_at is not None and order.expires_at <= now:
        return _refuse(merchant_id, customer, order, PushReason.EXPIRED, now)
    if not wallets:
        return _refuse(merchant_id, customer, order, PushReason.NO_INSTALLED_PASS, now)
    if order.dry_run:
        return Accepted(None, customer.id, wallets)
    push = _row(merchant_id, customer, order, now)
    _promise(push, wallets, now)
    db.session.add(push)
    db.session.flush()
    return Accepted(push, customer.id, wallets)


def accept_all(merchant_id: int, orders: Sequence[tuple[Customer, PushOrder]], now: datetime) -> list[Push]:
    """The same for customers who are at hand, in a few statements, under keys that nobody has used: a push for each, skipped
    where there is nothing to show it on. Raises `ForbiddenError`, and `IntegrityError` as `accept` does.
    """
    _check_not_paused(merchant_id)
    pushes = []
    for customer, order in orders:
        push, wallets = _row(merchant_id, customer, order, now), wallets_of(customer)
        if wallets:
            _promise(push, wallets, now)
        else:
            _skip(push, order, PushReason.NO_INSTALLED_PASS, now)
        pushes.append(push)
    db.session.add_all(pushes)
    db.session.flush()
    push_outcomes.tell(merchant_id, [push for push in pushes if push.is_settled])
    on_commit(partial(queue.ring, merchant_id, queue.PUSHES))
    return pushes


def _check_not_paused(merchant_id: int) -> None:
    if (rules := db.session.get(PushRules, merchant_id)) and rules.paused:
        raise ForbiddenError("Pushes are paused. Resume them under Push > Settings.", code="pushes_paused")


def wallets_of(customer: Customer) -> list[Wallet]:
    return [wallet for wallet, on in ((Wallet.APPLE, customer.on_ios), (Wallet.GOOGLE, customer.on_android)) if on]


def _repeat(merchant_id: int, order: PushOrder, now: datetime) -> Push | None:
    known: Push | None = db.session.scalar(
        select(Push).where(Push.merchant_id == merchant_id, Push.dedupe_key == order.key)
    )
    if known is None:
        return None
    if known.created_at <= now - KEY_KEPT:
        known.dedupe_key = None
        db.session.flush()
        return None
    if known.digest != order.digest:
        raise ConflictError(
            "Another push was already taken under this idempotency key. Give each message a key of its own.",
            field="idempotency_key",
        )
    return known


def _row(merchant_id: int, customer: Customer, order: PushOrder, now: datetime) -> Push:
    return Push(
        id=new_id(),
        merchant_id=merchant_id,
        customer_id=customer.id,
        source=order.source,
        title=order.title,
        message=order.message,
        url=order.url,
        dedupe_key=order.key,
        digest=order.digest,
        channels="",
        created_at=now,
        expires_at=order.expires_at,
    )


def _promise(push: Push, wallets: Sequence[Wallet], now: datetime) -> None:
    push.channels = "".join(f"{wallet.value} " for wallet in wallets)
    push.state, push.due_at = PushState.WAITING, now


def _skip(push: Push, order: PushOrder, reason: PushReason, now: datetime) -> None:
    """Under a key of its own: the same may be tried again later."""
    push.dedupe_key = key_of("refused", reason, order.key)
    push.state, push.reason, push.settled_at = PushState.SKIPPED, reason, now


_REFUSALS = {
    PushReason.EXPIRED: InvalidError(
        "expires_at has passed, so this was not sent.", field="expires_at", code=PushReason.EXPIRED
    ),
    PushReason.NO_INSTALLED_PASS: InvalidError(NO_PASS, code=PushReason.NO_INSTALLED_PASS),
}


def _refuse(merchant_id: int, customer: Customer, order: PushOrder, reason: PushReason, now: datetime) -> InvalidError:
    """Kept as a push that was skipped: the log and Klaviyo hear of it once."""
    push = _row(merchant_id, customer, order, now)
    _skip(push, order, reason, now)
    said_before = select(Push).where(Push.merchant_id == merchant_id, Push.dedupe_key == push.dedupe_key)
    known = None if order.dry_run else db.session.scalar(said_before)
    if known is not None and known.created_at <= now - KEY_KEPT:
        known.dedupe_key, known = None, None
        db.session.flush()
    if not order.dry_run and known is None:
        db.session.add(push)
        db.session.flush()
        push_outcomes.tell(merchant_id, [push])
    return _REFUSALS[reason]


# --- who is meant --------------------------------------------------------------------------------


def find_customer(merchant_id: int, who: dict[str, str]) -> Customer:
    """The first identifier that somebody has, in their order. Raises `NotFoundError`."""
    tries = [each for name, value in who.items() for each in _readings(name, value)]
    query = select(Customer).where(
        Customer.merchant_id == merchant_id, or_(*(column == value for column, value in tries))
    )
    found = db.session.scalars(query).all()
    for column, value in tries:
        for customer in found:
            if getattr(customer, column.key) == value:
                return customer
    raise NotFoundError(
        "No customer has any of these identifiers. They join the programme with their first event, or through POST /v1/customers.",
        code="customer_not_found",
        field=next(iter(who), None),
    )


def _readings(name: str, value: str) -> list[tuple[Any, Any]]:
    """What one identifier may be: a merchant writes whichever id the flow has into `customer_id`."""
    if name == "email":
        return [(Customer.email, value)]
    if name == "phone_number":
        return [(Customer.phone, value)]
    if name == "klaviyo_profile_id":
        return [(Customer.klaviyo_profile_id, value)]
    digits = value.removeprefix(ID_PREFIX)
    ours = digits != value and digits.isascii() and digits.isdigit() and len(digits) <= 19
    own: list[tuple[Any, Any]] = [(Customer.id, int(digits))] if ours and int(digits) <= LARGEST_ID else []
    return [*own, (Customer.external_id, value), (Customer.klaviyo_profile_id, value)]


# --- looking one up ------------------------------------------------------------------------------


def find(merchant_id: int, push_id: int) -> Push:
    """Raises `NotFoundError`, also for another merchant's."""
    push: Push | None = db.session.scalar(_of(Push.id == push_id, merchant_id))
    if push is None:
        raise NotFoundError("There is no such push.", field="id")
    return push


def find_public(merchant_id: int, public_id: str) -> Push:
    """By the id that an answer gave. Raises `NotFoundError`."""
    digits = public_id.removeprefix(PUSH_PREFIX)
    if digits == public_id or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise NotFoundError(f"There is no push with this id. They begin with {PUSH_PREFIX}.", field="id")
    return find(merchant_id, int(digits))


def _of(which: ColumnElement[bool], merchant_id: int) -> Any:
    return select(Push).where(Push.merchant_id == merchant_id, which).execution_options(populate_existing=True)
