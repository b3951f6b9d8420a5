"""The form of the card designer: what is typed becomes a draft, in which what is wrong gives way to what is in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage
from wtforms import BooleanField, FieldList, FileField, Form, FormField, HiddenField, StringField
from wtforms.fields import Field
from wtforms.validators import Length, StopValidation, ValidationError

from portal.db import LARGEST_ID
from portal.services import card_sample
from portal.services.designing import LONGEST_PLACE_TEXT, MOST_LINKS, MOST_PLACES, SLOTS, Draft
from portal.services.push_orders import public_address
from portal.services.values import plain

COLOURS = ("background", "foreground", "label")
LABELS = ("balance_label", "tier_label", "next_tier_label", "next_reward_label")
TEXTS = (*COLOURS, "organisation", "logo_text", *LABELS, "balance_message")
BLANK_ROWS = {"links": 3, "places": 1}
LONGEST_URL = 2_000
WHERE = "Enter latitude and longitude as a map shows them, such as 55.6761, 12.5683."


class ColourField(StringField):
    """`data` is #rrggbb, and what was typed stays in the field."""

    data: Any

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        self.data = card_sample.read_colour(valuelist[0] if valuelist else "")

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else str(self.data or "")


class PlaceField(StringField):
    """`data` is latitude and longitude, or None; what was typed stays in the field."""

    data: Any

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        typed = valuelist[0].strip() if valuelist else ""
        self.data = _place(typed) if typed else None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return ", ".join(str(number) for number in self.data or ())


def _place(typed: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in typed.split(","))
    except ValueError:
        raise ValueError(WHERE) from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"This lies outside the map. {WHERE}")
    return round(latitude, 6), round(longitude, 6)


def words_needed(_form: Form, field: Field) -> None:
    """Something to read, on one line."""
    try:
        plain(field.data or "")
    except ValueError as error:
        raise StopValidation(f"{field.label.text} {error}.") from error


def words_or_nothing(form: Form, field: Field) -> None:
    if field.data:
        words_needed(form, field)


def _text(label: str, longest: int, check: Any = words_needed) -> StringField:
    most = Length(max=longest, message=f"Use at most {longest} characters.")
    return StringField(label, [check, most], filters=[lambda text: (text or "").strip()])


class LinkRow(Form):
    label = _text("Text", 60, words_or_nothing)
    url = _text("Address", LONGEST_URL, words_or_nothing)

    def validate_url(self, field: Field) -> None:
        if self.label.data and not field.data:
            raise ValidationError("Enter where the link leads, or empty its text to remove it.")
        if field.data and not self.label.data:
            raise ValidationError("Enter the text of the link beside it, or empty the address to remove it.")
        try:
            if field.data:
                public_address(field.data)
        except ValueError as error:
            raise ValidationError(f"The address {error}.") from error


class PlaceRow(Form):
    place = PlaceField("Where")
    text = _text("Lock-screen text", LONGEST_PLACE_TEXT, words_or_nothing)

    def validate_place(self, field: Field) -> None:
        if self.text.data and not (field.raw_data and field.raw_data[0].strip()):
            raise ValidationError(f"Where is it? {WHERE} Or empty its text to remove it.")


class CardForm(FlaskForm):
    based_on = HiddenField()
    background = ColourField("Background")
    foreground = ColourField("Text")
    label = ColourField("Labels")
    organisation = _text("Organisation", 100)
    logo_text = _text("Text beside the logo", 40, words_or_nothing)
    balance_label = _text("Balance", 30)
    tier_label = _text("Tier", 30)
    next_tier_label = _text("Next tier", 30)
    next_reward_label = _text("Next reward", 30)
    balance_message = _text("When the balance changes, iPhones say", 100, words_or_nothing)
    icon = FileField("Icon")
    logo = FileField("Logo")
    strip = FileField("Picture across the card")
    icon_id, logo_id, strip_id = HiddenField(), HiddenField(), HiddenField()
    remove_icon, remove_logo, remove_strip = (BooleanField("Remove this picture") for _ in SLOTS)
    links = FieldList(FormField(LinkRow), max_entries=MOST_LINKS)
    places = FieldList(FormField(PlaceRow), max_entries=MOST_PLACES)

    def validate_balance_message(self, field: Field) -> None:
        if field.data and field.data.count("%@") != 1:
            raise ValidationError(
                "Write %@ once, where the new number of points goes, or leave it empty to say nothing."
            )

    def rows(self, name: str) -> Iterator[Form]:
        """Of `links` or of `places`."""
        for entry in self[name]:
            yield entry.form

    def wrong(self) -> list[Field]:
        """The fields that have something to say, in their order."""
        own = [field for field in self if field.name not in (*BLANK_ROWS, "csrf_token")]
        inside = [field for name in BLANK_ROWS for row in self.rows(name) for field in row]
        return [field for field in (*own, *inside) if field.errors]

    def add_blank(self) -> None:
        for name, blank in BLANK_ROWS.items():
            used = sum(1 for row in self.rows(name) if any(field.data or field.errors for field in row))
            while len(self[name]) < min(self[name].max_entries, used + blank):
                self[name].append_entry()

    # --- pictures ---

    def upload(self, slot: str) -> bytes:
        """Empty where none was chosen."""
        chosen = self[slot].data
        if not isinstance(chosen, FileStorage) or not chosen.filename:
            return b""
        with closing(chosen):
            content: bytes = chosen.read()
        return content

    def picture_id(self, slot: str) -> int | None:
        told = str(self[f"{slot}_id"].data or "")
        if self[f"remove_{slot}"].data or not (told.isascii() and told.isdigit()):
            return None
        return int(told) if len(told) < 20 and int(told) <= LARGEST_ID else None

    def show_picture(self, slot: str, picture_id: int | None) -> None:
        """What the form has from now on, whichever way it came."""
        self[f"{slot}_id"].data = str(picture_id or "")
        self[f"remove_{slot}"].data = False

    def draft(self, present: Draft) -> Draft:
        """What is right of what was typed; the rest is as it is at present."""
        wrong = {field.name for field in self.wrong()}
        texts: dict[str, Any] = {name: self[name].data for name in TEXTS if name not in wrong}
        pictures: dict[str, Any] = {f"{slot}_id": self.picture_id(slot) for slot in SLOTS}
        links = tuple((row["label"].data, row["url"].data) for row in self._filled("links", "label"))
        places = [_location(row["place"].data, row["text"].data) for row in self._filled("places", "place")]
        return replace(present, **texts, **pictures, links=links, locations=places)

    def _filled(self, name: str, main: str) -> list[Form]:
        return [row for row in self.rows(name) if row[main].data and not any(field.errors for field in row)]


def _location(place: tuple[float, float], text: str) -> dict[str, Any]:
    """As a design keeps it."""
    return {"latitude": place[0], "longitude": place[1], "text": text}


def form_of(draft: Draft, number: int) -> CardForm:
    """Filled with a design as it is."""
    names = (*TEXTS, *(f"{slot}_id" for slot in SLOTS))
    rows = {
        "links": [{"label": label, "url": url} for label, url in draft.links],
        "places": [{"place": (each["latitude"], each["longitude"]), "text": each["text"]} for each in draft.locations],
    }
    return CardForm(formdata=None, data={name: getattr(draft, name) for name in names} | rows | {"based_on": number})
