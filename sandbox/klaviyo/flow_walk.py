"""One profile's walk through the actions of a flow, as far as it gets: until it has to wait, or to the end.

What happened is collected and written at once, with where the run stands. A process that dies in between delivers
again, with the same body, as Klaviyo may.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.klaviyo import conditions, flow_subjects, templating, webhooks
from sandbox.klaviyo.incoming import Entry, Event
from sandbox.klaviyo.persons import Person
from sandbox.klaviyo.recording import Recording
from sandbox.klaviyo.switches import Switches, iso
from sandbox.klaviyo.webhook_orders import WebhookOrders
from sandbox.store import Row, Store

_DELAY_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400}
_SMALLER = {"days": "hours", "hours": "minutes"}
WAITING, FINISHED, REVIEW = "Waiting", "Finished", "Needs review"


@dataclass
class Step:
    action: str | None
    outcome: str
    told: str
    sent: str | None = None
    answered: str | None = None


@dataclass
class Walk:
    """Where a run stands, and what is to be written about it."""

    store: Store
    switches: Switches
    orders: WebhookOrders
    run: Row
    flow: Row
    definition: dict[str, Any]
    profile: Row
    steps: list[Step] = field(default_factory=list)
    subjects_sent: list[str] = field(default_factory=list)
    state: str = WAITING
    due: float | None = None
    action: str | None = None
    tries: int = 0
    body: str | None = None

    def go(self) -> None:
        self.action, self.tries, self.body = self.run["action"], self.run["tries"], self.run["body"]
        actions = {each["id"]: each for each in self.definition["actions"]}
        if self.action is None and not self._enters():
            self.action = None
        elif self.action is None:
            self.action = self.definition["entry_action_id"]
        while self.action is not None:
            self.due = None
            if not _TAKEN[actions[self.action]["type"]](self, actions[self.action]):
                break
        if self.action is None:
            self.state = FINISHED
        self._write()

    # --- on the way in ---------------------------------------------------------------------------

    def _enters(self) -> bool:
        now = self.switches.now()
        asked = flow_subjects.subject(self.store, self.run, self.profile, now)
        filters = [("trigger", each.get("trigger_filter")) for each in self.definition["triggers"]]
        for name, tested in [*filters, ("profile", self.definition.get("profile_filter"))]:
            if not conditions.holds(tested, asked):
                self.steps.append(Step(None, "Skipped", f"the {name} filter of the flow does not let this profile in"))
                return False
        return True

    # --- actions: each returns whether the walk goes on ------------------------------------------

    def _split(self, action: dict[str, Any]) -> bool:
        data = action["data"]
        asked = flow_subjects.subject(self.store, self.run, self.profile, self.switches.now())
        yes = conditions.holds(data.get("profile_filter") or data.get("trigger_filter"), asked)
        self.steps.append(
            Step(self.action, "Yes" if yes else "No", "the condition holds" if yes else "the condition does not hold")
        )
        return self._onwards(action, "next_if_true" if yes else "next_if_false")

    def _delay(self, action: dict[str, Any]) -> bool:
        data = action["data"]
        unit = data.get("unit", "days")
        seconds = data["value"] * _DELAY_SECONDS[unit]
        seconds += (data.get("secondary_value") or 0) * _DELAY_SECONDS[_SMALLER.get(unit, "minutes")]
        self.due = self._in_flow_time(seconds)
        self.steps.append(Step(self.action, "Waiting", f"until {_clock(self.due)}"))
        return self._onwards(action) and False

    def _email(self, action: dict[str, Any]) -> bool:
        subject_line = self._rendered(action["data"]["message"].get("subject_line") or "(no subject)")
        if subject_line is None or self._held_back():
            return subject_line is None and self._onwards(action)
        if self.profile["email"] is None:
            self.steps.append(Step(self.action, "Skipped", "the profile has no email address"))
        else:
            self.subjects_sent.append(subject_line)
            self.steps.append(Step(self.action, "Sent", f"email to {self.profile['email']}: {subject_line}"))
        return self._onwards(action)

    def _webhook(self, action: dict[str, Any]) -> bool:
        message = action["data"]["message"]
        body = self.body if self.body is not None else self._rendered(message.get("body") or "")
        if body is None or self._held_back():
            return body is None and self._onwards(action)
        self._keep(body)
        answer = webhooks.post(message, body)
        if self.orders.take("lose_answers"):
            answer = webhooks.Answer(None, "no answer (lost by order)")
        if answer.worth_a_retry and self.tries < webhooks.RETRIES:
            self._try_again(body, answer)
            return False
        self._log_delivery(body, answer)
        if answer.sent and self.orders.take("duplicate"):
            self._log_delivery(body, webhooks.post(message, body), "delivered twice by order; ")
        return self._onwards(action)

    def _try_again(self, body: str, answer: webhooks.Answer) -> None:
        self.tries += 1
        self.due = self._in_flow_time(webhooks.retry_after(self.tries))
        told = f"{_of(answer)}; retry {self.tries} of {webhooks.RETRIES} at {_clock(self.due)}"
        self.steps.append(Step(self.action, "Waiting", told, body, answer.told))

    def _log_delivery(self, body: str, answer: webhooks.Answer, why: str = "") -> None:
        told = _of(answer) + (
            "" if not self.tries else f" after {self.tries} {'retry' if self.tries == 1 else 'retries'}"
        )
        self.steps.append(Step(self.action, "Sent" if answer.sent else "Skipped", why + told, body, answer.told))

    def _rendered(self, text: str) -> str | None:
        try:
            return templating.render(text, flow_subjects.names(self.store, self.run, self.profile))
        except templating.TemplateError as error:
            self.steps.append(Step(self.action, "Skipped", f"the template cannot be rendered: {error}"))
            return None

    def _held_back(self) -> bool:
        """In a flow that is not live, messages wait for a person."""
        if self.flow["status"] == "live":
            return False
        self.state = REVIEW
        self.steps.append(Step(self.action, REVIEW, f"the flow is {self.flow['status']}; switching it live sends this"))
        return True

    def _onwards(self, action: dict[str, Any], link: str = "next") -> bool:
        self.action, self.tries, self.body = (action.get("links") or {}).get(link), 0, None
        return True

    def _in_flow_time(self, seconds: float) -> float:
        return self.switches.now() + seconds / 3600 * self.switches.flow_hour_seconds

    # --- writing ---------------------------------------------------------------------------------

    def _keep(self, body: str) -> None:
        if self.body is not None:
            return
        self.body = body
        with self.store.writing() as connection:
            connection.execute(
                "UPDATE flow_run SET body = ?, action = ? WHERE pk = ?", (body, self.action, self.run["pk"])
            )

    def _write(self) -> None:
        now = self.switches.now()
        with self.store.writing() as connection:
            connection.execute(
                "UPDATE flow_run SET state = ?, action = ?, due = ?, tries = ?, body = ? WHERE pk = ?",
                (self.state, self.action, self.due, self.tries, self.body, self.run["pk"]),
            )
            connection.executemany(
                "INSERT INTO flow_step (run, flow, profile, action, at, outcome, told, sent, answered)"
                " SELECT pk, flow, profile, ?, ?, ?, ?, ?, ? FROM flow_run WHERE pk = ?",
                [(each.action, now, each.outcome, each.told, each.sent, each.answered, self.run["pk"])
                 for each in self.steps],
            )  # fmt: skip
            if self.subjects_sent:
                self._record_emails(connection, now)

    def _record_emails(self, connection: Any, now: float) -> None:
        """A sent email is an event of Klaviyo's own on the profile's timeline."""
        resolving = self.switches.merged_ids_resolve_seconds
        recording = Recording(connection, self.store, self.run["account"], now, resolving)
        person = Person((("id", self.profile["id"]),), (), {}, None, None)
        events = [
            Event("Received Email", f"=flow-{self.run['pk']}-{line}", int(now), None, None, 0,
                  json.dumps({"Subject": line, "$flow": self.flow["id"], "Flow Name": self.flow["name"]}).encode())
            for line in self.subjects_sent
        ]  # fmt: skip
        recording.load([Entry(person, events, "")])
        recording.add("klaviyo", [Entry(person, events, "")])
        recording.finish()


def _of(answer: webhooks.Answer) -> str:
    return answer.told if answer.status is None else f"answered {answer.status}"


def _clock(seconds: float) -> str:
    return (iso(seconds) or "")[:19].replace("T", " ")


_TAKEN = {
    "send-webhook": Walk._webhook, "send-email": Walk._email, "time-delay": Walk._delay,
    "conditional-split": Walk._split, "trigger-split": Walk._split,
}  # fmt: skip
