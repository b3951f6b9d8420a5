"""`POST /v1/customers`, `GET /v1/customers/{id}` and `DELETE /v1/customers/{id}`."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, request

from portal.blueprints.api.customer_schemas import CardOut, CustomerOut, ErasedOut, RewardsOut, TierOut
from portal.blueprints.api.reading import read_json
from portal.blueprints.api.routes import api_key_required, bp, describe, write
from portal.errors import InvalidError, NotFoundError, PortalError
from portal.models.customer import ID_PREFIX
from portal.services import api_keys, erasing, portraying, registering
from portal.services.hearing import hear_customer
from portal.services.points import to_number
from portal.services.portraying import Portrait
from portal.services.registering import Entry, Registered
from portal.services.values import our_id

MOST_CUSTOMERS = 1_000
BATCH, INITIAL = "customers", "initial_import"


@bp.post("/customers")
@api_key_required
def register_customers() -> Response:
    """One customer, or `{"customers": [...]}`. A single one that is wrong is answered as an error; in a batch each has its result."""
    document = read_json(request)
    initial = _initial(document)
    if BATCH not in document:
        result = _register([{name: value for name, value in document.items() if name != INITIAL}], initial)[0]
        if isinstance(result, PortalError):
            raise result
        return jsonify(results=[_result(result)])
    return jsonify(results=[_result(each) for each in _register(_batch(document), initial)])


def _initial(document: dict[str, Any]) -> bool:
    initial = document.get(INITIAL, False)
    if not isinstance(initial, bool):
        raise InvalidError(f"{INITIAL} must be true or false.", field=INITIAL)
    return initial


def _batch(document: dict[str, Any]) -> list[Any]:
    told = document[BATCH]
    if not isinstance(told, list) or not told:
        raise InvalidError("customers must be a list with at least one customer.", field=BATCH)
    if len(told) > MOST_CUSTOMERS:
        raise InvalidError(
            f"customers must not hold more than {MOST_CUSTOMERS:,} customers. Send several requests.", field=BATCH
        )
    if extra := sorted(set(document) - {BATCH, INITIAL}):
        raise InvalidError(f"{extra[0]} is not known beside customers.", field=extra[0][:60])
    return told


def _register(documents: list[Any], initial: bool) -> list[Registered | PortalError]:
    """A result or the reason of rejection for each, in order; what is right is stored whatever the others are."""
    checked: list[Entry | PortalError] = []
    for document in documents:
        try:
            checked.append(hear_customer(document))
        except InvalidError as error:
            checked.append(error)
    right = [each for each in checked if isinstance(each, Entry)]
    merchant_id = g.merchant_id
    done = iter(write(lambda: registering.register(merchant_id, right, initial=initial)) if right else ())
    return [each if isinstance(each, PortalError) else next(done) for each in checked]


def _result(outcome: Registered | PortalError) -> dict[str, Any]:
    if isinstance(outcome, PortalError):
        return {"id": None, "status": "rejected", "error": describe(outcome)}
    result: dict[str, Any] = {"id": f"{ID_PREFIX}{outcome.customer_id}", "status": outcome.status}
    if outcome.kept:
        result["kept"] = ["phone_number" if name == "phone" else name for name in outcome.kept]
    return result


@bp.get("/customers/<customer_id>")
@api_key_required
def show_customer(customer_id: str) -> Response:
    return jsonify(_shown(portraying.portray(g.merchant_id, _number(customer_id))).model_dump(mode="json"))


@bp.delete("/customers/<customer_id>")
@api_key_required
def erase_customer(customer_id: str) -> tuple[Response, int]:
    """Erased here when this is answered; Klaviyo is told by a job."""
    number, merchant_id = _number(customer_id), g.merchant_id
    actor = f"API key {api_keys.name_of(g.api_key.id)}"
    told = write(lambda: erasing.erase(merchant_id, number, actor))
    erased = ErasedOut(id=f"{ID_PREFIX}{number}", status="erased", klaviyo="will_be_told" if told else "does_not_know")
    return jsonify(erased.model_dump(mode="json")), 202


def _number(customer_id: str) -> int:
    try:
        return int(our_id(customer_id).removeprefix(ID_PREFIX))
    except ValueError as error:
        raise NotFoundError("There is no customer with this id. Ours begin with cus_.", field="id") from error


def _shown(portrait: Portrait) -> CustomerOut:
    customer = portrait.customer
    platforms = (("ios", customer.on_ios), ("android", customer.on_android))
    return CustomerOut(
        id=customer.public_id,
        external_id=customer.external_id,
        klaviyo_profile_id=customer.klaviyo_profile_id,
        email=customer.email,
        phone_number=customer.phone,
        first_name=customer.first_name,
        last_name=customer.last_name,
        birthday=f"{customer.birthday // 100:02}-{customer.birthday % 100:02}" if customer.birthday else None,
        joined_at=customer.member_since,
        created_at=customer.created_at,
        verified_at=customer.verified_at,
        balance=to_number(customer.balance),
        tier=TierOut(
            name=portrait.tier.name if portrait.tier else None,
            entered_at=customer.tier_entered_at,
            expires_at=customer.tier_expires_at,
            points=portrait.points,
            next=portrait.next_tier.name if portrait.next_tier else None,
            points_to_next=portrait.points_to_next_tier,
        ),
        rewards=RewardsOut(
            available=portrait.rewards_available,
            next=portrait.next_reward.name if portrait.next_reward else None,
            points_to_next=portrait.points_to_next_reward,
        ),
        card=CardOut(
            status=customer.card_status,
            platforms=[name for name, on in platforms if on],  # type: ignore[misc]
            link=portrait.link,
        ),
        properties=portrait.properties,
        properties_sent_at=portrait.properties_sent_at,
    )
