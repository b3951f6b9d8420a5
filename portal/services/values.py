"""The kinds of values that more than one schema takes: identifiers, addresses, numbers to call, moments, days.

Blank ones count as absent: Klaviyo's templates render a missing variable as an empty text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from portal.models.customer import ID_PREFIX

EARLIEST = datetime(1991, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=364)


def blank_is_absent(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


# Addresses that need no second look: the full check takes twenty times as long, and most are like this.
_PLAIN_EMAIL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}")
LONGEST_PLAIN_NAME = 64
LONGEST_PLAIN_EMAIL = 200


def email_address(text: str) -> str:
    text = text.strip().lower()
    if len(text) <= LONGEST_PLAIN_EMAIL and text.find("@") <= LONGEST_PLAIN_NAME and _PLAIN_EMAIL.fullmatch(text):
        return text
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError("is not an email address") from error


def phone_number(text: str) -> str:
    compact = "".join(character for character in text.strip() if character not in " -().")
    try:
        number = phonenumbers.parse(compact)
    except phonenumbers.NumberParseException as error:
        raise ValueError("must begin with + and the country code, such as +4520123456") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is not a phone number with this country code")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def our_id(text: str) -> str:
    digits = text.removeprefix(ID_PREFIX)
    if digits == text or not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) >= 2**63:
        raise ValueError(f"must be an id of ours, such as {ID_PREFIX}123; send your own id as external_id")
    return text


_DAY = re.compile(r"(?:\d{4}-)?(\d{2})-(\d{2})")
# Every day there is has its birthdays.
_LEAP_YEAR = 2024


def _birthday(text: str) -> str:
    found = _DAY.fullmatch(text.strip())
    try:
        if found is None or not text.isascii():
            raise ValueError
        date(int(text[:4]) if len(text.strip()) > len("MM-DD") else _LEAP_YEAR, int(found[1]), int(found[2]))
    except ValueError:
        raise ValueError("must be a day such as 12-31 or 1990-12-31") from None
    return f"{found[1]}-{found[2]}"


Identifier = Annotated[str, Field(max_length=200), AfterValidator(plain)]
Name = Annotated[str, Field(max_length=100), AfterValidator(plain)]
Birthday = Annotated[str, AfterValidator(_birthday)]
Optional = BeforeValidator(blank_is_absent)
OurId = Annotated[str, AfterValidator(our_id)]
Email = Annotated[str, AfterValidator(email_address)]
Phone = Annotated[str, AfterValidator(phone_number)]


def _moment(value: datetime) -> datetime:
    # Compared before it is converted: at the ends of the calendar another zone's day does not exist.
    if value < EARLIEST:
        raise ValueError("must be after the year 1990")
    if value > datetime.now(UTC) + AHEAD:
        raise ValueError("must not be more than a year ahead")
    return value.astimezone(UTC)


def _text_moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 2026-11-23T09:30:00+01:00")
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise ValueError("must be a time with a zone, such as 2026-11-23T09:30:00+01:00") from error


Moment = Annotated[Annotated[AwareDatetime, AfterValidator(_moment)], BeforeValidator(_text_moment)]


def _past(value: datetime) -> datetime:
    # Clocks differ.
    if value > datetime.now(UTC) + timedelta(minutes=5):
        raise ValueError("must not be in the future")
    return value


Past = Annotated[Moment, AfterValidator(_past)]
