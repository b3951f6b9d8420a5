"""From the fields of the form on the flows page to the definition that the API would have been sent.

The form knows three ways through a flow: a webhook, a webhook if a condition holds, and a webhook with a look back later.
"""

from collections.abc import Mapping
from typing import Any

FIELDS = (
    "name", "trigger", "again", "url", "headers", "body", "check", "kind", "metric", "property", "operator", "value",
    "minutes", "subject",
)  # fmt: skip
OPERATORS = {
    "equals": "is", "not-equals": "is not", "contains": "contains", "greater-than": "is more than",
    "less-than": "is less than", "is-set": "is set", "not-set": "is not set",
}  # fmt: skip
KINDS = {
    "profile": "A property of the profile", "event": "A property of the event",
    "received": "An event that the profile has received",
}  # fmt: skip
CHECKS = {
    "": "Do not check anything", "before": "Before the webhook", "after": "After the webhook and a wait",
}  # fmt: skip
EXAMPLE_BODY = """{
  "customer_id": "{{ person.id }}",
  "klaviyo_profile_id": "{{ person.KlaviyoID }}",
  "email": "{{ email }}",
  "message": "Hello {{ first_name|default:'there' }}, your reward is ready!",
  "url": "https://yourstore.com/rewards"
}"""
EMPTY = dict.fromkeys(FIELDS, "") | {
    "body": EXAMPLE_BODY, "headers": "Authorization: Bearer YOUR_API_KEY", "minutes": "60", "kind": "profile",
}  # fmt: skip
_NUMERIC = {"greater-than", "less-than"}


class FormError(ValueError):
    """A field that makes no sense, in words for whoever filled the form in."""


def request_body(form: Mapping[str, str]) -> dict[str, Any]:
    """What `POST /api/flows` would be sent. Raises `FormError`."""
    kind, _, trigger = form["trigger"].partition(":")
    if kind not in ("metric", "segment") or not trigger:
        raise FormError("Choose what triggers the flow.")
    if not form["name"].strip():
        raise FormError("Give the flow a name.")
    actions = _actions(form, kind, trigger)
    definition = {
        "triggers": [{"type": kind, "id": trigger}],
        "profile_filter": None,
        "actions": actions,
        "entry_action_id": actions[0]["temporary_id"],
        "reentry_criteria": {"duration": 0, "unit": "alltime"} if form["again"] else None,
    }
    return {"data": {"type": "flow", "attributes": {"name": form["name"].strip(), "definition": definition}}}


def _actions(form: Mapping[str, str], kind: str, trigger: str) -> list[dict[str, Any]]:
    if not form["check"]:
        return [_webhook(form, None)]
    email = [_email(form["subject"])] if form["subject"].strip() else []
    otherwise = "email" if email else None
    if form["check"] == "before":
        return [_split(form, kind, trigger, "webhook", otherwise), _webhook(form, None), *email]
    return [_webhook(form, "wait"), _wait(form), _split(form, kind, trigger, None, otherwise), *email]


def _webhook(form: Mapping[str, str], after: str | None) -> dict[str, Any]:
    message = {
        "url": form["url"].strip(),
        "headers": _headers(form["headers"]),
        "body": form["body"],
        "name": "Webhook",
    }
    return _action("webhook", "send-webhook", {"message": message}, {"next": after})


def _headers(text: str) -> dict[str, str]:
    """One header a line, `Name: value`."""
    found = {}
    for line in filter(str.strip, text.splitlines()):
        name, colon, value = line.partition(":")
        if not colon:
            raise FormError(f"A header is written as Name: value, one a line; {line.strip()[:60]!r} is not.")
        found[name.strip()] = value.strip()
    return found


def _email(subject: str) -> dict[str, Any]:
    return _action("email", "send-email", {"message": {"subject_line": subject.strip()}}, {"next": None})


def _wait(form: Mapping[str, str]) -> dict[str, Any]:
    minutes = form["minutes"].strip()
    if not minutes.isascii() or not minutes.isdigit() or len(minutes) > 6:
        raise FormError("The minutes to wait must be a whole number.")
    return _action("wait", "time-delay", {"unit": "minutes", "value": int(minutes)}, {"next": "split"})


def _split(form: Mapping[str, str], kind: str, trigger: str, yes: str | None, no: str | None) -> dict[str, Any]:
    links = {"next_if_true": yes, "next_if_false": no}
    if form["kind"] == "event":
        if kind != "metric":
            raise FormError("A flow that a segment triggers has no event whose property could be looked at.")
        condition = {"type": "metric-property", "metric_id": trigger, "field": _name(form), "filter": tested(form)}
        data = {"trigger_filter": groups(condition), "trigger_id": trigger, "trigger_type": "metric"}
        return _action("split", "trigger-split", data, links)
    condition = _received(form) if form["kind"] == "received" else property_condition(form)
    return _action("split", "conditional-split", {"profile_filter": groups(condition)}, links)


def _received(form: Mapping[str, str]) -> dict[str, Any]:
    if not form["metric"]:
        raise FormError("Choose which event the profile must have received.")
    named = form["property"].strip()
    return {
        "type": "profile-metric", "metric_id": form["metric"], "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": 0},
        "timeframe_filter": {"type": "date", "operator": "flow-start" if form["check"] == "after" else "alltime"},
        "metric_filters": [{"property": named, "filter": tested(form)}] if named else None,
    }  # fmt: skip


def property_condition(form: Mapping[str, str]) -> dict[str, Any]:
    """A condition on a property of the profile, one of its own or a custom one."""
    name = _name(form)
    shown = name if name in ("email", "phone_number", "first_name", "last_name") else f"properties['{name}']"
    return {"type": "profile-property", "property": shown, "filter": tested(form)}


def _name(form: Mapping[str, str]) -> str:
    if not form["property"].strip():
        raise FormError("Name the property that is looked at.")
    return form["property"].strip()


def tested(form: Mapping[str, str]) -> dict[str, Any]:
    """The filter of an operator and a value."""
    operator, value = form["operator"], form["value"].strip()
    if operator in ("is-set", "not-set"):
        return {"type": "existence", "operator": operator}
    if operator in _NUMERIC:
        try:
            return {"type": "numeric", "operator": operator, "value": float(value)}
        except ValueError as error:
            raise FormError(f"{OPERATORS[operator].capitalize()} what? {value!r} is not a number.") from error
    if operator not in OPERATORS:
        raise FormError("Choose how the property is compared.")
    if operator == "equals" and value in ("true", "false"):
        return {"type": "boolean", "operator": "equals", "value": value == "true"}
    return {"type": "string", "operator": operator, "value": value}


def groups(condition: dict[str, Any]) -> dict[str, Any]:
    return {"condition_groups": [{"conditions": [condition]}]}


def _action(name: str, kind: str, data: dict[str, Any], links: dict[str, str | None]) -> dict[str, Any]:
    return {"temporary_id": name, "type": kind, "data": data, "links": links}
