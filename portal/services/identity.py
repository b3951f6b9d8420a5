"""Which profile at Klaviyo is a customer's: learnt from Klaviyo's answers, and a case for a person where that is not certain.

Nothing is ever merged here or there. The shop's own id is read and matched, and never written to Klaviyo.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from portal.db import LARGEST_ID, db, insert_or_update, new_id
from portal.errors import InvalidError, NotFoundError
from portal.klaviyo.profiles import Profile
from portal.models import CaseKind, Customer, IdentityCase, ProfileSync
from portal.services import auditing
from portal.services.ledger import COALESCE

USE, KEEP, LOOK_AGAIN = "use", "keep", "look_again"
_DECISIONS = {
    CaseKind.SHARED: (KEEP, USE, LOOK_AGAIN),
    CaseKind.MERGED: (USE, LOOK_AGAIN),
    CaseKind.GONE: (LOOK_AGAIN, KEEP),
    CaseKind.DUPLICATE: (USE, LOOK_AGAIN),
}


def decisions(case: IdentityCase) -> tuple[str, ...]:
    """What a person may decide, the proposal first."""
    return tuple(each for each in _DECISIONS[CaseKind(case.kind)] if each != USE or case.klaviyo_profile_id)


# --- what answers tell ---------------------------------------------------------------------------


def learn(customer_id: int, profile: Profile, now: datetime) -> None:
    """Klaviyo took the customer's properties into this profile."""
    customer = _lock(customer_id)
    if customer is None:
        return
    _match_external_id(customer, profile)
    if customer.klaviyo_profile_id == profile.id:
        return
    if customer.klaviyo_profile_id is not None and not _is_theirs(customer, profile):
        _open(customer, CaseKind.MERGED, profile, now)
        return
    owner = _owner(customer, Customer.klaviyo_profile_id == profile.id)
    if owner is None:
        customer.klaviyo_profile_id = profile.id
        return
    customer.klaviyo_profile_id = None
    _open(customer, CaseKind.SHARED, profile, now, owner.id)
    _change_sync(customer.id, held=True, due_at=None)
    # The profile shows what was just sent; it is to show again what it showed before.
    _change_sync(owner.id, sent=None, due_at=now + COALESCE, revision=ProfileSync.revision + 1)


def gone(customer_id: int, now: datetime) -> None:
    """Klaviyo no longer has the profile: it is looked up by email or phone, or a person is asked."""
    customer = _lock(customer_id)
    if customer is None:
        return
    if customer.email or customer.phone:
        customer.klaviyo_profile_id = None
        _change_sync(customer.id, lease=None, attempts=0, sent=None, due_at=now)
    else:
        _open(customer, CaseKind.GONE, Profile(customer.klaviyo_profile_id or ""), now)


def duplicate(customer_id: int, profile_id: str | None, now: datetime) -> None:
    """Klaviyo says that what we call the customer by belongs to another profile too."""
    customer = _lock(customer_id)
    if customer is not None:
        _open(customer, CaseKind.DUPLICATE, Profile(profile_id or ""), now)


def _lock(customer_id: int) -> Customer | None:
    # The weaker lock, as in `ledger`: two that refer to the customer and then both want it would wait for each other.
    query = select(Customer).where(Customer.id == customer_id).with_for_update(key_share=True)
    return db.session.scalar(query.execution_options(populate_existing=True))


def _owner(customer: Customer, match: object) -> Customer | None:
    query = select(Customer).where(Customer.merchant_id == customer.merchant_id, Customer.id != customer.id, match)  # type: ignore[arg-type]
    return db.session.scalar(query)


def _match_external_id(customer: Customer, profile: Profile) -> None:
    external_id = (profile.external_id or "").strip()
    if customer.external_id is not None or not external_id or len(external_id) > 200:
        return
    if _owner(customer, Customer.external_id == external_id) is None:
        customer.external_id = external_id


def _is_theirs(customer: Customer, profile: Profile) -> bool:
    """The profile bears the customer's own email address or phone number."""
    if customer.email and profile.email:
        return customer.email == profile.email.lower()
    return bool(customer.phone and customer.phone == profile.phone)


def _open(
    customer: Customer, kind: CaseKind, profile: Profile, now: datetime, other_customer_id: int | None = None
) -> None:
    """A case is open once, however often an answer tells of it."""
    case = insert_or_update(IdentityCase).values(
        id=new_id(),
        merchant_id=customer.merchant_id,
        customer_id=customer.id,
        other_customer_id=other_customer_id,
        kind=kind.value,
        klaviyo_profile_id=profile.id or None,
        profile_label=(profile.email or profile.phone or "")[:254] or None,
        found_at=now,
    )
    db.session.execute(
        case.on_conflict_do_nothing(
            index_elements=["customer_id", "kind"], index_where=IdentityCase.decided_at.is_(None)
        )
    )


def _change_sync(customer_id: int, **values: object) -> None:
    query = update(ProfileSync).where(ProfileSync.customer_id == customer_id).values(**values)
    db.session.execute(query.execution_options(synchronize_session=False))


# --- what a person sees and decides --------------------------------------------------------------


def count_open(merchant_id: int, at_most: int) -> int:
    bounded = (
        select(IdentityCase.id)
        .where(IdentityCase.merchant_id == merchant_id, IdentityCase.decided_at.is_(None))
        .limit(at_most)
    )
    return db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0


def open_cases(merchant_id: int, limit: int) -> Sequence[tuple[IdentityCase, Customer, Customer | None]]:
    """(the case, its customer, the other customer) each, the oldest first."""
    other = aliased(Customer)
    query = (
        select(IdentityCase, Customer, other)
        .join(Customer, Customer.id == IdentityCase.customer_id)
        .outerjoin(other, other.id == IdentityCase.other_customer_id)
        .where(IdentityCase.merchant_id == merchant_id, IdentityCase.decided_at.is_(None))
        .order_by(IdentityCase.id)
        .limit(limit)
    )
    return [(case, customer, second) for case, customer, second in db.session.execute(query)]


def decide(merchant_id: int, case_id: int, decision: str, actor: str, now: datetime) -> None:
    """Raises `NotFoundError`, also where somebody else has decided already, and `InvalidError`."""
    query = select(IdentityCase).where(
        IdentityCase.merchant_id == merchant_id, IdentityCase.id == min(case_id, LARGEST_ID)
    )
    case = db.session.scalar(query.with_for_update())
    if case is None or case.decided_at is not None:
        raise NotFoundError("This has been decided already, or never was. The list shows what is left.")
    if decision not in decisions(case):
        raise InvalidError("Choose one of the proposals.", field="decision")
    customer = _lock(case.customer_id)
    if customer is not None:
        _carry_out(customer, case, decision, now)
    case.decided_at, case.decision = now, decision
    auditing.record(merchant_id, actor, "identity decided", f"{customer.label if customer else ''}: {decision}")


def _carry_out(customer: Customer, case: IdentityCase, decision: str, now: datetime) -> None:
    if decision == USE:
        _hand_profile_over(customer, case.klaviyo_profile_id)
    elif customer.email or customer.phone or decision == KEEP:
        # Without an id the profile is looked up anew; a customer who is known by nothing else is let go of.
        customer.klaviyo_profile_id = None
    db.session.flush()
    if decision != KEEP:
        again = ProfileSync.revision + 1
        _change_sync(customer.id, held=False, sent=None, due_at=now, problem=None, problem_at=None, revision=again)


def _hand_profile_over(customer: Customer, profile_id: str | None) -> None:
    """The profile is this customer's from now on; who had it before shows nothing there any more."""
    before = _owner(customer, Customer.klaviyo_profile_id == profile_id) if profile_id else None
    if before is not None:
        before.klaviyo_profile_id = None
        db.session.flush()
        _change_sync(before.id, held=True, due_at=None)
    customer.klaviyo_profile_id = profile_id


# --- customers without a way to reach them --------------------------------------------------------


def unreachable(merchant_id: int, limit: int, after: int = 0) -> Sequence[Customer]:
    """Customers with neither email nor phone nor profile: Klaviyo cannot be told of them."""
    nameless = (Customer.email.is_(None), Customer.phone.is_(None), Customer.klaviyo_profile_id.is_(None))
    query = select(Customer).where(Customer.merchant_id == merchant_id, Customer.id > min(after, LARGEST_ID), *nameless)
    return db.session.scalars(query.order_by(Customer.id).limit(limit)).all()
