"""The number on a card, as its barcode holds it and a person can type it: the customer's id, and a check character.

Crockford's alphabet has no letters that look like digits; the check (Luhn's, over 32 characters) notices one wrong character.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans("OIL", "011", " -")
_LONGEST = 14


def card_number(customer_id: int) -> str:
    body = ""
    while customer_id:
        customer_id, digit = divmod(customer_id, len(ALPHABET))
        body = ALPHABET[digit] + body
    return body + _check(body)


def customer_id_of(number: str) -> int | None:
    """The id behind a number as it was scanned or typed; None for what is not a card's number."""
    compact = number.upper().translate(_LOOKALIKES)
    if not 2 <= len(compact) <= _LONGEST or any(character not in ALPHABET for character in compact):
        return None
    body, check = compact[:-1], compact[-1]
    if _check(body) != check:
        return None
    customer_id = 0
    for character in body:
        customer_id = customer_id * len(ALPHABET) + ALPHABET.index(character)
    return customer_id if customer_id < 2**63 else None


def in_groups(number: str) -> str:
    """Four by four, as it is read out."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _check(body: str) -> str:
    total = 0
    for place, character in enumerate(reversed(body)):
        value = ALPHABET.index(character) * (2 if place % 2 == 0 else 1)
        total += value // len(ALPHABET) + value % len(ALPHABET)
    return ALPHABET[-total % len(ALPHABET)]
