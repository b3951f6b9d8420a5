"""The demo merchant of `make run`: a shop with an owner, a programme and customers with a past, and nothing connected yet, so that the
wizard is there to be walked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select, text

from portal.db import db, new_id, utcnow
from portal.models import Channel, Customer, Merchant, Programme, Role, Tier, TierBasis, TierLoss, User
from portal.services import accounts, events, programme, registering
from portal.services.customers import Identifiers
from portal.services.programme import RewardPlan
from portal.services.recording import Told
from portal.services.registering import Entry

NAME = "Nordic Coffee"
SLUG = "nordic-coffee"
TIMEZONE = "Europe/Copenhagen"

TIERS = (("Bronze", 0), ("Silver", 250), ("Gold", 1_000))
REWARDS = (
    RewardPlan("free-coffee", "Free coffee", 5_000, Channel.IN_STORE, None, None),
    RewardPlan("bag-of-beans", "Bag of beans", 15_000, Channel.BOTH, None, None),
    RewardPlan("travel-mug", "Travel mug", 40_000, Channel.BOTH, 1, 200),
    RewardPlan("barista-class", "Barista class for two", 120_000, Channel.ONLINE, 1, 24),
)
FIRST_NAMES = (
    *("Alma", "Bo", "Clara", "Dan", "Esther", "Finn", "Gry", "Hugo", "Ida", "Jonas"),
    *("Karla", "Leo", "Maja", "Noah", "Olga", "Palle", "Rosa", "Storm", "Thea", "Villads"),
)
LAST_NAMES = ["Ager", "Bakke", "Dahl", "Eng", "Fjord", "Holm", "Kjær", "Lind"]

# Real purchases (see the file's first line); these of its customers bought often enough to have a past.
PURCHASES = Path(__file__).resolve().parent.parent / "examples" / "cdnow-6000.txt"
CUSTOMERS = 40
FEWEST_PURCHASES = 3
# The last purchase of the file is from the middle of 1998; it is told as if it were from these days.
LAST_DAY = datetime(1998, 7, 1, tzinfo=UTC)
REDEEMED_EVERY = 4


def seed(email: str, password: str) -> Merchant:
    """The demo merchant, made if it is not there."""
    merchant = db.session.scalar(select(Merchant).where(Merchant.slug == SLUG))
    if merchant is None:
        merchant = accounts.create_merchant(NAME, slug=SLUG, timezone=TIMEZONE)
    if db.session.scalar(select(User.id).where(User.email == email)) is None:
        accounts.add_member(merchant.id, email, "Demo owner", password, Role.OWNER)
    if db.session.scalar(select(Customer.id).where(Customer.merchant_id == merchant.id).limit(1)) is None:
        _seed_programme(merchant.id)
        _seed_customers(merchant.id)
        # Until it has statistics PostgreSQL looks customers up by the first index that comes; its own turn may be a minute away.
        db.session.execute(text("ANALYZE"))
    return merchant


def _seed_programme(merchant_id: int) -> None:
    if programme.tiers_of(merchant_id) or programme.rewards_of(merchant_id):
        return
    rules = db.session.get_one(Programme, merchant_id)
    rules.tier_basis, rules.tier_loss, rules.currency = TierBasis.EARNED_EVER, TierLoss.AT_ONCE, "EUR"
    db.session.add_all(
        Tier(id=new_id(), merchant_id=merchant_id, name=name, threshold=points * 100) for name, points in TIERS
    )
    for plan in REWARDS:
        programme.add_reward(merchant_id, plan)


def _seed_customers(merchant_id: int) -> None:
    """As history: nobody is welcomed, and no flow will be set off."""
    purchases = _purchases()
    entries = [_entry(place) for place in range(len(purchases))]
    told = [
        _told(entry.customer, f"{number}-{row}", "balance_changed", at, {"change": points, "reason": "Purchase"})
        for number, (entry, bought) in enumerate(zip(entries, purchases, strict=True))
        for row, (at, points) in enumerate(bought)
    ]
    last = [bought[-1][0] for bought in purchases]
    for number, entry in enumerate(entries):
        if number % REDEEMED_EVERY == 0:
            coffee = {"reward_id": REWARDS[0].code, "location": "Nørrebro"}
            later = last[number] + timedelta(minutes=5)
            told.append(_told(entry.customer, f"{number}-coffee", "reward_redeemed_in_store", later, coffee))
    events.record(merchant_id, sorted(told, key=lambda each: each.occurred_at), history=True)
    registering.register(merchant_id, entries, initial=True, source="demo")


def _entry(place: int) -> Entry:
    first, last = FIRST_NAMES[place % len(FIRST_NAMES)], LAST_NAMES[place % len(LAST_NAMES)]
    # example.com is reserved for examples (RFC 2606), and the digits for stories.
    email = f"{first}.{last}.{place + 1}@example.com".lower().replace("æ", "ae")
    birthday = (place * 5 % 12 + 1) * 100 + place * 7 % 28 + 1
    return Entry(
        Identifiers(email=email, external_id=f"{1001 + place}"),
        {"first_name": first, "last_name": last, "birthday": birthday},
    )


def _told(who: Identifiers, name: str, event_type: str, at: datetime, properties: Mapping[str, str | int]) -> Told:
    digest = events.digest_of({"demo": name})
    return Told(f"demo-{name}", event_type, who, at, dict(properties), digest, source="demo")


def _purchases() -> list[list[tuple[datetime, int]]]:
    """(when, points) of each customer's purchases, moved to these days; empty where the example is not installed."""
    if not PURCHASES.exists():
        return []
    moved = utcnow().replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=1) - LAST_DAY
    bought: dict[str, list[tuple[datetime, int]]] = {}
    with PURCHASES.open(encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            customer, day, _, amount = line.split()
            at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + moved
            if points := round(float(amount)):
                bought.setdefault(customer, []).append((at + timedelta(minutes=len(bought)), points))
    often = [rows for rows in bought.values() if len(rows) >= FEWEST_PURCHASES]
    return [sorted(rows) for rows in often[:CUSTOMERS]]
