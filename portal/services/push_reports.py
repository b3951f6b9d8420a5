"""What a push looks like to a person: each phone that it goes to, and step by step what has happened so far. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.db import db, one_of
from portal.models import (
    CardMessage,
    Device,
    Push,
    PushReason,
    PushState,
    PushTarget,
    Registration,
    Wallet,
)
from portal.services import wallet_health

REASONS: dict[PushReason, str] = {
    PushReason.EXPIRED: "It was too late: the time until which it may be shown had passed.",
    PushReason.NO_INSTALLED_PASS: "The customer has no card on a phone.",
    PushReason.SUPPRESSED: "This customer gets no pushes: somebody of your team has said so.",
    PushReason.FREQUENCY_CAP: "The customer has had as many pushes within 24 hours as you allow.",
    PushReason.NOT_FETCHED: "The phone did not fetch the card for three days. It may be off, or lost.",
    PushReason.REFUSED: "Google refused it.",
    PushReason.CANCELLED: "Its campaign was cancelled before it was sent.",
}
# What the merchant can do about it.
REMEDIES: dict[PushReason, str] = {
    PushReason.EXPIRED: "Choose a later expires_at in the webhook, or leave it out.",
    PushReason.NO_INSTALLED_PASS: "Send an email with the card's link instead.",
    PushReason.SUPPRESSED: "Lift it under Push > Suppressed if the customer wants pushes again.",
    PushReason.FREQUENCY_CAP: "The limit stands under Push > Settings.",
    PushReason.NOT_FETCHED: "Once the phone is on again, it can be woken once more.",
    PushReason.CANCELLED: "Write a new campaign to say it after all.",
    PushReason.REFUSED: "Look under Settings > Wallet cards whether Google accepts your account, then try again.",
}
ACCEPTED_BY_APPLE = "accepted"


@dataclass(frozen=True)
class PhoneReport:
    """Where it stands on one phone, or at Google for all Android phones of the customer; `state` is a `PushState`."""

    wallet: Wallet
    state: PushState
    words: str
    at: datetime | None


@dataclass(frozen=True)
class Step:
    words: str
    at: datetime | None
    # ok, wait or bad
    kind: str = "ok"


@dataclass(frozen=True)
class Report:
    push: Push
    phones: Sequence[PhoneReport]
    steps: Sequence[Step]

    @property
    def runs(self) -> bool:
        """Something may still change soon."""
        return not self.push.is_settled


def report(push: Push) -> Report:
    targets = db.session.scalars(
        select(PushTarget).where(PushTarget.push_id == push.id).order_by(PushTarget.wallet)
    ).all()
    message_ids = sorted({target.message_id for target in targets})
    messages = {
        each.id: each for each in db.session.scalars(select(CardMessage).where(one_of(CardMessage.id, message_ids)))
    }
    phones: list[PhoneReport] = []
    steps = [Step("Taken by the portal", push.created_at), *_before_the_card(push), *_again(push)]
    for target in targets:
        if target.wallet == Wallet.GOOGLE:
            phones.append(_google(target))
            steps.append(Step(phones[-1].words, phones[-1].at, _KINDS[phones[-1].state]))
        else:
            message = messages.get(target.message_id)
            found = [*_iphones(target, message)]
            phones += found
            steps += _apple_steps(target, message, found)
    return Report(push, phones, [*steps, *_end(push)])


_KINDS = {
    PushState.WAITING: "wait",
    PushState.SENT: "wait",
    PushState.DELIVERED: "ok",
    PushState.SKIPPED: "bad",
    PushState.FAILED: "bad",
}


def _before_the_card(push: Push) -> list[Step]:
    if push.sent_at is not None:
        return [Step("Written on the customer's card", push.sent_at)]
    if push.due_at is not None and push.due_at > (push.retried_at or push.created_at):
        return [Step("Waits until your quiet hours are over", push.due_at, "wait")]
    if push.due_at is None and push.state == PushState.WAITING:
        return [Step("Waits until its campaign goes on", None, "wait")]
    return [Step("Is being written on the customer's card", None, "wait")] if push.due_at is not None else []


def _again(push: Push) -> list[Step]:
    return [Step("Tried again by your team", push.retried_at)] if push.retried_at else []


def _end(push: Push) -> list[Step]:
    if push.state not in (PushState.SKIPPED, PushState.FAILED) or push.reason is None:
        return []
    return [Step(REASONS[PushReason(push.reason)], push.settled_at, "bad")]


def _google(target: PushTarget) -> PhoneReport:
    state = PushState(target.state)
    words = {
        PushState.DELIVERED: target.answer or "Google has the message and notifies the phone",
        PushState.SENT: target.answer or "Google is being told",
    }.get(state, target.answer or REASONS[PushReason(target.reason or PushReason.REFUSED)])
    return PhoneReport(Wallet.GOOGLE, state, words, target.settled_at)


def _iphones(target: PushTarget, message: CardMessage | None) -> list[PhoneReport]:
    query = (
        select(Registration, Device)
        .join(Device, Device.id == Registration.device_id)
        .where(Registration.card_id == target.card_id)
        .order_by(Registration.registered_at)
    )
    version = message.version if message else None
    return [_iphone(target, version, registration, device) for registration, device in db.session.execute(query)]


def _iphone(target: PushTarget, version: int | None, registration: Registration, device: Device) -> PhoneReport:
    state = PushState(target.state)
    if version is not None and registration.fetched_version >= version:
        return PhoneReport(
            Wallet.APPLE,
            PushState.DELIVERED,
            "The iPhone has fetched the card and shows the message",
            registration.fetched_at,
        )
    if state in (PushState.SKIPPED, PushState.FAILED):
        return PhoneReport(Wallet.APPLE, state, "The iPhone has not fetched the card", target.settled_at)
    told = device.pushed_at if device.pushed_at and device.pushed_at >= target.sent_at else None
    if told is None:
        return PhoneReport(Wallet.APPLE, PushState.SENT, "The iPhone is about to be woken", None)
    if device.outcome == ACCEPTED_BY_APPLE:
        words = "Apple has the wake-up call; the iPhone has not fetched the card yet and is woken again"
    else:
        words = f"Apple could not pass the wake-up call on ({device.reason or device.outcome}); it is tried again"
    return PhoneReport(Wallet.APPLE, PushState.SENT, words, told)


def _apple_steps(target: PushTarget, message: CardMessage | None, phones: Sequence[PhoneReport]) -> list[Step]:
    steps = []
    if message is not None and message.shown_at is not None:
        steps.append(Step("The card for iPhones has a new version", message.shown_at))
    elif target.state == PushState.SENT:
        steps.append(Step("The card for iPhones gets a new version", None, "wait"))
    if target.state == PushState.SENT:
        steps += [Step(each.problem, each.since, "bad") for each in _problems(target.merchant_id)]
    return [*steps, *(Step(phone.words, phone.at, _KINDS[phone.state]) for phone in phones)]


def _problems(merchant_id: int) -> list[Any]:
    return [each for each in wallet_health.problems(merchant_id) if each.wallet == Wallet.APPLE]
