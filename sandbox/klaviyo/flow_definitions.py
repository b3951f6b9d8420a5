"""Flow definitions as `POST /api/flows` takes them: checked, linked, and given real ids.

What the sandbox could not run is refused with a pointer instead of being kept and ignored.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any

from sandbox.klaviyo import conditions, shapes, templating, webhooks
from sandbox.klaviyo.errors import invalid
from sandbox.klaviyo.persons import Problems
from sandbox.store import Store

Action = dict[str, Any]
_LINK = shapes.nullable(shapes.record({}, {"next": shapes.nullable(shapes.text)}))
_BRANCHES = shapes.nullable(
    shapes.record({"next_if_true": shapes.nullable(shapes.text), "next_if_false": shapes.nullable(shapes.text)})
)
_STATUS = shapes.word("disabled", "draft", "live", "manual")
_EMAIL_TEXTS = (
    "from_email", "from_label", "reply_to_email", "cc_email", "bcc_email", "subject_line", "preview_text",
    "template_id", "name", "id",
)  # fmt: skip
_EMAIL_FLAGS = ("smart_sending_enabled", "transactional", "add_tracking_params")
_EMAIL = shapes.record(
    {},
    {**dict.fromkeys(_EMAIL_TEXTS, shapes.nullable(shapes.text)), **dict.fromkeys(_EMAIL_FLAGS, shapes.flag)},
)
_WEBHOOK = shapes.record(
    {"url": shapes.text},
    {
        "headers": shapes.nullable(shapes.object_),
        **dict.fromkeys(("body", "name", "id"), shapes.nullable(shapes.text)),
    },
)


def _action(data: shapes.Check, links: shapes.Check = _LINK) -> shapes.Check:
    named = {"id": shapes.nullable(shapes.text), "temporary_id": shapes.nullable(shapes.text), "links": links}
    return shapes.record({"data": data}, named)


_ACTION = shapes.by_type(
    {
        "send-webhook": _action(shapes.record({"message": _WEBHOOK}, {"status": _STATUS})),
        "send-email": _action(shapes.record({"message": _EMAIL}, {"status": _STATUS})),
        "time-delay": _action(shapes.record(
            {"value": shapes.whole},
            {"unit": shapes.word("days", "hours", "minutes"), "secondary_value": shapes.nullable(shapes.whole)},
        )),
        "conditional-split": _action(
            shapes.record({"profile_filter": shapes.nullable(conditions.PROFILE_FILTER)}), _BRANCHES
        ),
        "trigger-split": _action(
            shapes.record({"trigger_filter": shapes.nullable(conditions.EVENT_FILTER), "trigger_id": shapes.text,
                           "trigger_type": shapes.word("metric")}), _BRANCHES,
        ),
    },
    "The sandbox does not run actions of the type '{}'.",
)  # fmt: skip
_TRIGGER = shapes.by_type(
    {
        "metric": shapes.record({"id": shapes.text}, {"trigger_filter": shapes.nullable(conditions.EVENT_FILTER)}),
        "segment": shapes.record({"id": shapes.text}),
    },
    "The sandbox runs flows that a metric or a segment triggers, not '{}'.",
)
_DEFINITION = shapes.record(
    {
        "triggers": shapes.array(_TRIGGER, 1),
        "actions": shapes.array(_ACTION),
        "entry_action_id": shapes.nullable(shapes.text),
    },
    {
        "profile_filter": shapes.nullable(conditions.PROFILE_FILTER),
        "reentry_criteria": shapes.nullable(
            shapes.record({"duration": shapes.whole, "unit": shapes.word("alltime", "day", "hour", "week")})
        ),
    },
)
_QUERY = shapes.record(
    {"data": shapes.record({
        "type": shapes.word("flow"),
        "attributes": shapes.record({"name": shapes.text, "definition": _DEFINITION}),
    })}
)  # fmt: skip
POINTER = "/data/attributes/definition"


def read(body: Any, problems: Problems) -> tuple[str, dict[str, Any]]:
    """The name and the definition of a new flow, its actions with ids of their own."""
    _QUERY(body, "", problems)
    if problems:
        return "", {}
    attributes = body["data"]["attributes"]
    definition = attributes["definition"]
    _check_links(definition, problems)
    for place, action in enumerate(definition["actions"]):
        _check_messages(action, f"{POINTER}/actions/{place}/data/message", problems)
    if len(definition["triggers"]) > 1:
        problems.append(invalid("Only one trigger is supported.", f"{POINTER}/triggers"))
    return (attributes["name"], {} if problems else _with_ids(definition))


def _check_links(definition: dict[str, Any], problems: Problems) -> None:
    names = [action.get("temporary_id") for action in definition["actions"]]
    for place, name in enumerate(names):
        here = f"{POINTER}/actions/{place}"
        if not name or name in names[:place]:
            problems.append(invalid("Each action needs a temporary_id of its own.", f"{here}/temporary_id"))
        if definition["actions"][place].get("id") is not None:
            problems.append(invalid("The id of an action cannot be chosen.", f"{here}/id"))
        for link, target in (definition["actions"][place].get("links") or {}).items():
            if target is not None and target not in names:
                problems.append(invalid("A link must lead to an action of the flow.", f"{here}/links/{link}"))
    entry = definition["entry_action_id"]
    if entry is not None and entry not in names:
        problems.append(invalid("This must be the temporary_id of an action.", f"{POINTER}/entry_action_id"))
    if not problems and _runs_in_a_circle(definition):
        problems.append(invalid("The links of the actions must not run in a circle.", f"{POINTER}/actions"))


def _runs_in_a_circle(definition: dict[str, Any]) -> bool:
    after = {
        action["temporary_id"]: set((action.get("links") or {}).values()) - {None} for action in definition["actions"]
    }
    while ends := {name for name, targets in after.items() if not targets}:
        after = {name: targets - ends for name, targets in after.items() if name not in ends}
    return bool(after)


def _check_messages(action: Action, pointer: str, problems: Problems) -> None:
    message = action["data"].get("message", {})
    if action["type"] == "send-webhook":
        problems += [
            invalid(complaint, f"{pointer}/{field}") for field, complaint in webhooks.complaints(message).items()
        ]
    field = {"send-webhook": "body", "send-email": "subject_line"}.get(action["type"], "")
    try:
        templating.check(message.get(field) or "")
    except templating.TemplateError as error:
        problems.append(invalid(f"The template cannot be rendered: {error}.", f"{pointer}/{field}"))


def _with_ids(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition as it is kept: ids in place of temporary ones."""
    ids = {action["temporary_id"]: str(secrets.randbelow(90_000_000) + 10_000_000) for action in definition["actions"]}
    actions = []
    for action in definition["actions"]:
        kept = {name: value for name, value in action.items() if name != "temporary_id"}
        if kept.get("links"):
            kept["links"] = {name: ids.get(target) for name, target in kept["links"].items()}
        actions.append({"id": ids[action["temporary_id"]], **{k: v for k, v in kept.items() if k != "id"}})
    return {**definition, "actions": actions, "entry_action_id": ids.get(definition["entry_action_id"])}


def of(store: Store, flow: int) -> dict[str, Any]:
    """What a flow does; one made before definitions were kept does nothing."""
    row = store.row("SELECT definition FROM flow_definition WHERE flow = ?", (flow,))
    found: dict[str, Any] = (
        json.loads(row["definition"]) if row else {"triggers": [], "actions": [], "entry_action_id": None}
    )
    return found


def in_order(definition: dict[str, Any]) -> Iterator[tuple[int, str, Action]]:
    """The actions as a person reads them, each with how far it is indented and the branch it begins."""
    actions = {action["id"]: action for action in definition["actions"]}

    def walk(name: str | None, depth: int, branch: str) -> Iterator[tuple[int, str, Action]]:
        action = actions.get(name or "")
        if action is None:
            return
        yield depth, branch, action
        links = action.get("links") or {}
        if action["type"].endswith("-split"):
            yield from walk(links.get("next_if_true"), depth + 1, "Yes")
            yield from walk(links.get("next_if_false"), depth + 1, "No")
        else:
            yield from walk(links.get("next"), depth, "")

    yield from walk(definition["entry_action_id"], 0, "")
