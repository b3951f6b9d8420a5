"""The forms about one customer: what is known of them, and what a person does to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from portal.errors import InvalidError
from portal.models import Channel, Customer
from portal.services import editing, serving
from portal.services.customers import NAMES
from portal.services.rules import RewardRule
from portal.services.values import email_address, phone_number, plain
from portal.web.fields import AmountField, ChoiceField, PointsField
from portal.web.words import MONTHS

LONGEST = 200
_NOT_SAID = {"": "Not known"}
_DAYS = {**_NOT_SAID, **{str(day): str(day) for day in range(1, 32)}}
_MONTHS = {**_NOT_SAID, **{str(number): name for number, name in enumerate(MONTHS, start=1)}}
ADD, TAKE = "add", "take"


class CustomerForm(FlaskForm):
    first_name = StringField("First name", [Length(max=100, message="Use at most 100 characters.")])
    last_name = StringField("Last name", [Length(max=100, message="Use at most 100 characters.")])
    email = StringField("Email address")
    phone = StringField("Phone number")
    external_id = StringField("Your own id")
    klaviyo_profile_id = StringField("Profile id in Klaviyo")
    birth_day = ChoiceField("Birthday, day", choices=_DAYS)
    birth_month = ChoiceField("Birthday, month", choices=_MONTHS)

    @classmethod
    def of(cls, customer: Customer) -> CustomerForm:
        month, day = divmod(customer.birthday or 0, 100)
        return cls(obj=customer, birth_day=str(day or ""), birth_month=str(month or ""))

    def values(self) -> dict[str, str | int | None] | None:
        """In normal form; None where something is wrong, which then stands beside its field."""
        self.validate()
        values: dict[str, str | int | None] = {
            "email": self._read("email", email_address),
            "phone": self._read("phone", phone_number),
            **{name: self._read(name, plain) for name in ("first_name", "last_name", *_OTHER_IDS)},
        }
        try:
            values["birthday"] = editing.birthday_of(_number(self.birth_day.data), _number(self.birth_month.data))
        except InvalidError as error:
            self.birth_day.errors = [error.message]
        if not self.errors and not any(values[name] for name in ("first_name", "last_name", *NAMES)):
            self.email.errors = ["Enter at least one of name, email address, phone number or id."]
        return None if self.errors else values

    def _read(self, name: str, read: Callable[[str], str]) -> str | None:
        field = self[name]
        text = (field.data or "").strip()
        if not text or field.errors:
            return None
        if len(text) > LONGEST:
            field.errors = [f"Use at most {LONGEST} characters."]
            return None
        try:
            return read(text)
        except ValueError as error:
            field.errors = [f"This {error}."]
            return None


_OTHER_IDS = ("external_id", "klaviyo_profile_id")


def _number(text: str) -> int | None:
    return int(text) if text else None


class OnceForm(FlaskForm):
    """Sent twice, it does once what it does."""

    once = HiddenField()

    def served(self, merchant_id: int, customer_id: int, source: str, **place: str) -> serving.Served:
        return serving.Served(merchant_id, customer_id, self.once.data or serving.new_once(), source, place)


class ChangePointsForm(OnceForm):
    direction = ChoiceField("Add or take away", choices={ADD: "Add", TAKE: "Take away"})
    points = PointsField("Points")
    reason = StringField("Reason", [Length(max=LONGEST)])

    def fits(self) -> bool:
        self.validate()
        if not self.points.errors and (self.points.data is None or self.points.data <= 0):
            self.points.errors = ["Enter how many points; more than 0."]
        if not (self.reason.data or "").strip():
            self.reason.errors = ["Say why: the customer's history and the audit log show it."]
        return not self.errors

    @property
    def change(self) -> int:
        points: int = self.points.data
        return -points if self.direction.data == TAKE else points


class RedeemForm(OnceForm):
    reward = ChoiceField("Reward")
    channel = ChoiceField("Where", choices={Channel.IN_STORE.value: "In store", Channel.ONLINE.value: "Online"})
    code = StringField("Code handed out, if any", [Length(max=LONGEST)])

    def offer(self, rewards: Sequence[RewardRule], channel: Channel | None = None) -> RedeemForm:
        """What can be had; a reward that is no longer there is told of by whoever redeems it, not by the list."""
        offered = [each for each in rewards if channel is None or each.channel in (Channel.BOTH, channel)]
        self.reward.choices = {str(each.id): each.name for each in offered}
        return self


class VerifyForm(OnceForm):
    method = StringField("How it was verified", [Length(max=LONGEST)])


class AmountForm(OnceForm):
    amount = AmountField("Amount paid")
    points = PointsField("or points")

    def fits(self) -> bool:
        self.validate()
        if self.errors:
            return False
        if (self.amount.data is None) == (self.points.data is None):
            self.amount.errors = ["Enter the amount paid, or points; one of them."]
        elif self.points.data is not None and self.points.data <= 0:
            self.points.errors = ["Enter how many points to add; more than 0."]
        return not self.errors
