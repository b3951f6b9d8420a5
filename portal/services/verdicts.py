"""What stopped a message on its way to one customer, in one sentence with the way on; the first that holds is said.

What is nearest to the phone comes first: whoever asks has waited for a message, and wants to know where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.db import db
from portal.models import (
    Connection,
    ConnectionState,
    Customer,
    ProfileSync,
    PushReason,
    PushRules,
    PushState,
    PushSuppression,
)
from portal.services import activity, connecting
from portal.services.campaign_results import Fate
from portal.services.catalogue import PUSH_OUTCOME, RECORDED
from portal.services.push_reports import REASONS, REMEDIES, Report

OUTCOME = PUSH_OUTCOME.type
OK, WAITS, STOPPED = "ok", "wait", "bad"
DELIVERED = "Nothing has stopped it: the last push was delivered. The phone has the message."
NO_CARD = (
    "The customer has no card on a phone, so there is nothing to push to. Send an email with the card's link instead."
)


@dataclass(frozen=True)
class Facts:
    """The newest of each; `event` is not one about a push."""

    customer: Customer
    event: activity.Row | None
    push: Report | None
    campaign: Fate | None
    profile: ProfileSync | None
    suppression: PushSuppression | None


@dataclass(frozen=True)
class Verdict:
    words: str
    kind: str

    def __str__(self) -> str:
        return self.words


def verdict(facts: Facts, now: datetime) -> Verdict:
    connection = connecting.connection_of(facts.customer.merchant_id)
    for look in (_of_pushes, _of_campaign, _of_klaviyo, _of_event):
        if (found := look(facts, connection, now)) is not None:
            return found
    if facts.push is None:
        return _nobody_asked(facts)
    return Verdict(DELIVERED, OK)


# --- pushes --------------------------------------------------------------------------------------


def _of_pushes(facts: Facts, connection: Connection | None, now: datetime) -> Verdict | None:
    rules = db.session.get(PushRules, facts.customer.merchant_id)
    if facts.push is not None and not facts.push.push.is_settled:
        return _under_way(facts.push, now)
    if rules is not None and rules.paused:
        return _stopped("Pushes are paused for everybody, so none is taken. Resume them under Push > Settings.")
    if facts.suppression is not None:
        return _stopped(
            "This customer gets no pushes: somebody of your team has said so. Lift it under Push > Suppressed."
        )
    if facts.push is None:
        return None
    push = facts.push.push
    if push.state in (PushState.SKIPPED, PushState.FAILED) and push.reason:
        return _stopped(f"The last push was not shown. {_why(PushReason(push.reason))}")
    return None


def _why(reason: PushReason) -> str:
    return f"{REASONS[reason]} {REMEDIES[reason]}"


def _under_way(report: Report, now: datetime) -> Verdict:
    push = report.push
    if push.due_at is not None and push.due_at > now:
        return _waits("The last push waits for the end of your quiet hours, and then goes out by itself.")
    if push.state == PushState.WAITING and push.due_at is None:
        return _waits("The last push waits until its campaign goes on. Resume it under Campaigns.")
    if push.state == PushState.WAITING:
        return _waits("The last push is about to be written on the card.")
    if any(phone.state == PushState.DELIVERED for phone in report.phones):
        return Verdict(DELIVERED, OK)
    if problem := next((step for step in report.steps if step.kind == "bad"), None):
        return _stopped(f"The last push cannot reach the phone: {problem.words}")
    if said := next((phone.words for phone in report.phones if phone.state == PushState.SENT), None):
        return _waits(f"The last push is on its way: {said[0].lower()}{said[1:]}.".replace("..", "."))
    return _waits("The last push is on its way to the phone.")


# --- campaigns -----------------------------------------------------------------------------------


def _of_campaign(facts: Facts, connection: Connection | None, now: datetime) -> Verdict | None:
    if facts.campaign is None:
        return None
    assignment, campaign = facts.campaign.assignment, facts.campaign.campaign
    newer = facts.push is None or assignment.assigned_at > facts.push.push.created_at
    if not newer or not assignment.refused:
        return None
    why = _why(PushReason(assignment.refused)) if assignment.refused in set(PushReason) else NO_CARD
    return _stopped(f"The campaign {campaign.name} reached the customer, but no push went out. {why}")


# --- Klaviyo -------------------------------------------------------------------------------------


def _of_klaviyo(facts: Facts, connection: Connection | None, now: datetime) -> Verdict | None:
    if connection is None or connection.state == ConnectionState.DISCONNECTED:
        return _stopped(
            "Klaviyo is not connected, so no flow hears of this customer. Connect it under Settings > Integrations."
        )
    if connection.state == ConnectionState.RECONNECT:
        return _stopped(
            "Klaviyo no longer accepts our access, so no flow hears of this customer. Events are kept and nothing is lost; "
            "reconnect under Settings > Integrations."
        )
    if not facts.customer.reachable:
        return _stopped(
            "Klaviyo cannot be told of this customer: there is neither an email address nor a phone number. Add one of them."
        )
    profile = facts.profile
    if profile is not None and profile.problem:
        return _stopped(f"Klaviyo refused the customer's profile: {profile.problem}")
    if profile is not None and profile.held:
        return _stopped(
            "The profile in Klaviyo is another customer's too, so nothing is sent for it. Decide whose it is under "
            "Integrations > Klaviyo > Properties."
        )
    return None


def _of_event(facts: Facts, connection: Connection | None, now: datetime) -> Verdict | None:
    row = facts.event
    if row is None:
        return None
    metric = RECORDED[row.event.type].metric if row.event.type in RECORDED else row.event.type
    if row.state == "failed":
        said = row.delivery.reason if row.delivery is not None and row.delivery.reason else "Klaviyo did not take it."
        return _stopped(f"The last event, {metric}, did not reach Klaviyo, so no flow started with it. {said}")
    if row.state == activity.NOT_SENT:
        return _stopped(f"Klaviyo was not told of the last event, {metric}. {activity.explain_unsent(row.event)}")
    if row.state != "waiting":
        return None
    if connection is not None and connection.paused_until is not None and connection.paused_until > now:
        rests = connection.pause_reason or "Klaviyo asked us to slow down"
        return _waits(f"The last event, {metric}, still waits: {rests}. It goes out by itself, and nothing is lost.")
    return _waits(f"The last event, {metric}, still waits for Klaviyo; it goes out by itself.")


def _nobody_asked(facts: Facts) -> Verdict:
    if facts.customer.card_status != "installed":
        return _stopped(NO_CARD)
    heard = (
        "Klaviyo has the last event, and has asked for no push since."
        if facts.event is not None
        else "Nothing has happened yet that Klaviyo could start a flow with."
    )
    return Verdict(
        f"Nothing has stopped it here: no push was asked for. {heard} See in Klaviyo, under the flow's activity, whether it "
        "took this customer in.",
        WAITS,
    )


def _stopped(words: str) -> Verdict:
    return Verdict(words, STOPPED)


def _waits(words: str) -> Verdict:
    return Verdict(words, WAITS)
