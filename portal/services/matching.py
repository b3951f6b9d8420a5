"""Which customer a Klaviyo profile is: by Klaviyo's id, the shop's id, the email address, the phone number, in this order.

Klaviyo has an address once. So a profile that bears a customer's own is that customer's, also where it took another's place in a merge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from portal.bulk import find_unique, update_rows
from portal.klaviyo.segments import Profile
from portal.models import Customer

_TABLE = Customer.__table__
# As the profile calls it, and the customer's column.
_NAMES = (("id", "klaviyo_profile_id"), ("external_id", "external_id"), ("email", "email"), ("phone", "phone"))
_COLUMNS = (_TABLE.c.id, *(_TABLE.c[column] for _, column in _NAMES))


def match(merchant_id: int, profiles: Sequence[Profile]) -> dict[str, int]:
    """The customers of those who have one, by profile id; customers learn the id where it is certain."""
    customers = _load(merchant_id, profiles)
    found: dict[str, int] = {}
    learnt: dict[int, str] = {}
    for profile in profiles:
        customer = _find(customers, profile)
        if customer is None:
            continue
        found[profile.id] = customer.id
        if customer.klaviyo_profile_id != profile.id and _is_certain(customer, profile):
            learnt[customer.id] = profile.id
    if learnt:
        # A customer whom two profiles call theirs is left alone: that is for a person.
        claims = Counter(found.values())
        rows = [{"id": each, "klaviyo_profile_id": learnt[each]} for each in learnt if claims[each] == 1]
        if rows:
            update_rows(Customer, rows)
    return found


def _load(merchant_id: int, profiles: Sequence[Profile]) -> dict[str, dict[str, Any]]:
    wanted = {
        _TABLE.c[column]: {value for profile in profiles if (value := getattr(profile, name))}
        for name, column in _NAMES
    }
    wanted = {column: values for column, values in wanted.items() if values}
    rows = find_unique(_COLUMNS, _TABLE.c.merchant_id, merchant_id, wanted) if wanted else []
    return {name: {value: row for row in rows if (value := getattr(row, column))} for name, column in _NAMES}


def _find(customers: dict[str, dict[str, Any]], profile: Profile) -> Any:
    for name, _ in _NAMES:
        if customer := customers[name].get(getattr(profile, name)):
            return customer
    return None


def _is_certain(customer: Any, profile: Profile) -> bool:
    """Matched by something else than Klaviyo's id, so nobody else has that id."""
    if customer.email and profile.email:
        return bool(customer.email == profile.email)
    if customer.phone and profile.phone:
        return bool(customer.phone == profile.phone)
    return customer.klaviyo_profile_id is None
