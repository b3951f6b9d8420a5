"""The form of a campaign: whom it is for, what it says, and when it starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from portal.errors import InvalidError
from portal.models import Campaign, CampaignStart, CardStatus
from portal.services import audiences, directory, personalising, segments
from portal.services.campaigns import GUARD_PERCENT, CampaignPlan, checked_url
from portal.services.values import plain
from portal.web.fields import ChoiceField, WholeField
from portal.web.guards import merchant_id
from portal.web.words import CARDS, zone

STARTS = {
    CampaignStart.NOW.value: "At once, to everybody who is in the audience then",
    CampaignStart.AT.value: "At a time that I choose",
    CampaignStart.ON_ENTERING.value: "On entering: from then on, to everybody who joins a segment",
}
_ALL_CARDS = {"": "With or without a card", **{name: words for name, (words, _, _) in CARDS.items()}}
_GONE = "One of these segments is gone. Choose again."


class CampaignForm(FlaskForm):
    name = StringField("Name", [DataRequired("Enter a name."), Length(max=100, message="Use at most 100 characters.")])
    include = SelectMultipleField("Segments", coerce=int)
    exclude = SelectMultipleField("Leave out", coerce=int)
    tier = ChoiceField("Tier")
    card = ChoiceField("Card", choices=_ALL_CARDS)
    message = TextAreaField("Message")
    url = StringField("Link")
    start = ChoiceField("Start", choices=STARTS)
    start_at = DateTimeLocalField("Time", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    guard = WholeField("Wait for me when the audience changes by more than (percent)", most=1_000, what="a number")

    def offer(self) -> CampaignForm:
        """What can be chosen: segments that are imported, and tiers."""
        known = [each for each in segments.list_known(merchant_id()) if each.selected_at is not None]
        choices = [(each.id, f"{each.name} ({each.members:,})") for each in known]
        self.include.choices = self.exclude.choices = choices
        tiers = {name: label for name, label in directory.tier_names(merchant_id()).items() if name.isdecimal()}
        self.tier.choices = [("", "Every tier"), *tiers.items()]
        return self

    def validate_message(self, field: TextAreaField) -> None:
        """Already here, so that all that is wrong is said at once."""
        _judge(personalising.check, field.data or "")

    def validate_url(self, field: StringField) -> None:
        _judge(checked_url, (field.data or "").strip())

    def plan(self) -> CampaignPlan | None:
        """None where something is wrong; it then stands beside its field."""
        self.validate()
        for field in (self.include, self.exclude):
            if field.errors:
                field.errors = [_GONE]
        if not self.include.data and not self.include.errors:
            self.include.errors = ["Choose at least one segment."]
        starts_at = self.start.data == CampaignStart.AT.value
        if starts_at and self.start_at.data is None and not self.start_at.errors:
            self.start_at.errors = ["Enter the day and time at which it starts."]
        elif self.start_at.errors:
            self.start_at.errors = ["Enter a day and a time, such as 2026-12-01 09:00."]
        if self.errors:
            return None
        local = self.start_at.data
        return CampaignPlan(
            name=_plain(self.name.data),
            include=self.include.data,
            exclude=self.exclude.data,
            tier_id=int(self.tier.data) if self.tier.data else None,
            card_status=CardStatus(self.card.data) if self.card.data else None,
            message=self.message.data or "",
            url=(self.url.data or "").strip() or None,
            start=CampaignStart(self.start.data),
            start_at=local.replace(tzinfo=zone()).astimezone(UTC) if local else None,
            guard_percent=self.guard.data or GUARD_PERCENT,
        )


def _judge(check: Callable[[str], object], text: str) -> None:
    try:
        check(text)
    except InvalidError as error:
        raise ValidationError(error.message) from error


def _plain(name: str) -> str:
    try:
        return plain(name)
    except ValueError as error:
        raise InvalidError(f"The name {error}.", field="name") from error


def form_of(campaign: Campaign) -> CampaignForm:
    """Filled with the campaign as it is."""
    parts = audiences.segments_of(campaign.id)
    form = CampaignForm(
        name=campaign.name,
        include=[part.segment_id for part in parts if part.included],
        exclude=[part.segment_id for part in parts if not part.included],
        tier=str(campaign.tier_id or ""),
        card=campaign.card_status or "",
        message=campaign.message,
        url=campaign.url,
        start=campaign.start,
        start_at=campaign.start_at.astimezone(zone()) if campaign.start_at else None,
        guard=campaign.guard_percent,
    )
    return form.offer()
