"""The number on a card: read back as it was printed, and a slip of the finger is noticed."""

from __future__ import annotations

import pytest

from portal.models.card_number import ALPHABET, card_number, customer_id_of, in_groups


@pytest.mark.parametrize("customer_id", [1, 31, 32, 1_000_000, 383_712_345_678_901_234, 2**63 - 1])
def test_the_number_leads_back_to_the_customer(customer_id: int) -> None:
    number = card_number(customer_id)
    assert customer_id_of(number) == customer_id
    assert customer_id_of(f" {in_groups(number).lower()} ") == customer_id
    assert len(number) <= 14


def test_letters_that_look_like_digits_are_read_as_digits() -> None:
    number = next(number for number in map(card_number, range(10_000, 20_000)) if "0" in number and "1" in number)
    assert customer_id_of(number.replace("0", "O").replace("1", "l")) == customer_id_of(number)


def test_one_wrong_character_is_noticed_wherever_it_is() -> None:
    number = card_number(383_712_345_678_901_234)
    for place, right in enumerate(number):
        for wrong in set(ALPHABET) - {right}:
            assert customer_id_of(number[:place] + wrong + number[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "7", "ada@example.com", "+4520123456", "Z" * 14, "Z" * 200, "ÅÆØ"])
def test_what_is_no_card_number_is_nobodys(text: str) -> None:
    assert customer_id_of(text) is None
