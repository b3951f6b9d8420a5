"""Variables in a campaign's message: filled in, fallen back on, and refused before anything is sent."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest

from portal.errors import InvalidError
from portal.models import Channel, Customer, TierBasis, TierLoss
from portal.services import personalising
from portal.services.push_orders import LONGEST_MESSAGE
from portal.services.rules import RewardRule, Rules, TierRule

GOLD = TierRule(7, "Gold", 100_00, None)
COFFEE = RewardRule(1, "coffee", "Free coffee", 200_00, Channel.BOTH, None, None)
RULES = Rules(TierBasis.EARNED_EVER, TierLoss.AT_ONCE, (GOLD,), (COFFEE,), 0, 0, ZoneInfo("UTC"))
ALL = "Hi {first_name|there}, {balance} points, {tier|member}, {points_to_next_reward|a few} to go"


@pytest.mark.parametrize(
    ("customer", "said"),
    [
        (Customer(first_name="Ada", balance=150_50, tier_id=7), "Hi Ada, 150.50 points, Gold, 49.50 to go"),
        (Customer(first_name=None, balance=1_250_00, tier_id=None), "Hi there, 1,250 points, member, a few to go"),
    ],
)
def test_each_customer_reads_their_own_values_or_the_words_instead(customer: Customer, said: str) -> None:
    assert personalising.render(personalising.check(ALL), customer, RULES) == said


def test_a_name_that_looks_like_a_variable_is_only_a_name() -> None:
    customer = Customer(first_name="{balance}", balance=0)
    assert personalising.render("Hi {first_name|there}", customer, RULES) == "Hi {balance}"


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("", "Enter what"),
        ("x" * (LONGEST_MESSAGE + 1), "characters"),
        ("Hi {nickname|you}", "{nickname|you} is not a variable"),
        ("Hi {first_name}", "{first_name|there}"),
        ("Hi {first_name|there", "stands alone"),
        ("Hi {{first_name|there}}", "stands alone"),
        ("{tier|}", "Add some words"),
    ],
)
def test_a_message_that_cannot_be_filled_in_is_refused_with_its_remedy(message: str, names: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(names)) as refused:
        personalising.check(message)
    assert refused.value.field == "message"


def test_a_message_is_never_longer_than_a_push_may_be() -> None:
    message = personalising.check("{first_name|there} " + "x" * (LONGEST_MESSAGE - 20))
    said = personalising.render(message, Customer(first_name="A" * 100, balance=0), RULES)
    assert len(said) == LONGEST_MESSAGE
    assert said.endswith("…")
