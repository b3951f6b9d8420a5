"""The webhook that a merchant copies into a Klaviyo flow, and a draft flow with it.

The body is a template of Klaviyo's: what is missing is rendered as an empty text, and nothing in it is escaped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from portal.errors import ConflictError, InvalidError
from portal.klaviyo import Client, NoAnswerError, UnavailableError, flows, metrics
from portal.services import catalogue
from portal.services.push_orders import LONGEST_MESSAGE, public_address

KEY_PLACE = "YOUR_API_KEY"
EXAMPLE_MESSAGE, EXAMPLE_URL = "Your reward is ready!", "https://yourstore.com/rewards"
EXAMPLE_FLOW = "Reward ready"
LONGEST_FLOW = 60
# By what is in the body: its tag, and what stands there.
IDENTIFIERS = {
    "customer_id": "{{ person.id|default:'' }}",
    "klaviyo_profile_id": "{{ person.KlaviyoID|default:'' }}",
    "email": "{{ person.email|default:'' }}",
    "phone_number": "{{ person.phone_number|default:'' }}",
}
EVENT_ID = "{{ event|lookup:'$event_id' }}"
EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (IDENTIFIERS["customer_id"], "Your own id of the customer, which Klaviyo calls the external id.", "Tried first."),
    (IDENTIFIERS["klaviyo_profile_id"], "The id of the profile in Klaviyo. It is always there.", "Tried second."),
    (IDENTIFIERS["email"], "The email address.", "Tried third."),
    (IDENTIFIERS["phone_number"], "The phone number, with its country: +4520123456.", "Tried last."),
    (
        EVENT_ID,
        "The id of the event that started the flow, so that each event brings one message and a repeat brings none.",
        "Empty in flows that a segment, a list or a date starts: there, a person gets the same flow's message once in 48 hours.",
    ),
    (
        "|default:''",
        "What stands there where a customer has none. Klaviyo leaves it empty anyway; written out, everybody sees that it is meant.",
        "An empty identifier is passed over.",
    ),
)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


@dataclass(frozen=True)
class Wish:
    """What the webhook shall say, and in which flow."""

    message: str = EXAMPLE_MESSAGE
    url: str = EXAMPLE_URL
    flow: str = EXAMPLE_FLOW
    # A metric starts the flow, so that there is an event.
    by_metric: bool = True

    @property
    def has_tags(self) -> bool:
        """What Klaviyo puts in there may break the JSON."""
        return bool(_TAG.search(self.message))


def checked(wish: Wish) -> Wish:
    """Raises `InvalidError` that names the field."""
    message, url, flow = (" ".join(text.split()) for text in (wish.message, wish.url, wish.flow))
    if not message or len(message) > LONGEST_MESSAGE or not message.isprintable():
        raise InvalidError(
            f"Enter what the lock screen shall say, in 1 to {LONGEST_MESSAGE} characters.", field="message"
        )
    if url:
        try:
            public_address(url)
        except ValueError as error:
            raise InvalidError(f"The link {error}.", field="url") from error
    if not flow or len(flow) > LONGEST_FLOW or not flow.isprintable() or _TAG.search(flow):
        raise InvalidError(f"Enter the flow's name, in 1 to {LONGEST_FLOW} plain characters.", field="flow")
    return Wish(message, url, flow, wish.by_metric)


def body(wish: Wish) -> str:
    """JSON once Klaviyo has rendered it."""
    # Inside of a tag a quotation mark would be escaped and no longer understood.
    message = _TAG.sub(lambda tag: tag[0].replace('"', "'"), wish.message)
    key = f"{_slug(wish.flow)} {{{{ person.KlaviyoID }}}}" + (f" {EVENT_ID}" if wish.by_metric else "")
    said = {**IDENTIFIERS, "message": message, "url": wish.url, "idempotency_key": key}
    return json.dumps({name: value for name, value in said.items() if value}, indent=2, ensure_ascii=False)


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _slug(flow: str) -> str:
    return "-".join(re.findall(r"\w+", flow.lower())) or "flow"


# --- a draft flow --------------------------------------------------------------------------------


def create_draft(client: Client, event_type: str, wish: Wish, url: str, key: str) -> str:
    """A draft flow with the webhook in it, started by this event; the flow's id.

    Raises a `KlaviyoError`, and `ConflictError` where Klaviyo does not know the metric yet. Where no answer came it is looked
    whether the flow is there.
    """
    metric = catalogue.RECORDED[event_type].metric
    found = metrics.metric_ids(client, metric)
    if not found:
        raise ConflictError(
            f"Klaviyo does not know the metric {metric} yet: it does from the first such event on. "
            "Send a test event under Integrations > Klaviyo > Events, then try again.",
            field="event_type",
        )
    if flows.find(client, wish.flow) is not None:
        raise ConflictError(
            f"There is a draft flow called {wish.flow} already. Give this one another name.", field="flow"
        )
    webhook = flows.Webhook(url, headers(key), body(wish))
    try:
        return flows.create(client, wish.flow, found[0], webhook)
    except (NoAnswerError, UnavailableError):
        if made := flows.find(client, wish.flow):
            return made
        raise
