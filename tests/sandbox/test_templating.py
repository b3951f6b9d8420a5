"""The templates of webhook bodies: what is filled in, what stays empty, and what is refused."""

from typing import Any

import pytest

from sandbox.klaviyo.templating import TemplateError, render

NAMES: dict[str, Any] = {
    "email": "ann@example.com",
    "first_name": None,
    "person": {"id": "shop-7", "KlaviyoID": "01ABC", "My Prop": "x y", "tier": "Gold", "points": 12.5, "vip": True},
    "event": {"$event_id": "e-1", "balance": 0, "items": [{"name": "Beans"}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ person.id }}", "shop-7"),
        ("{{ person.KlaviyoID }}", "01ABC"),
        ("{{email}} {{ email }}", "ann@example.com ann@example.com"),
        ("{{ person|lookup:'My Prop' }}", "x y"),
        ('{{ person|lookup:"My Prop"|upper }}', "X Y"),
        ("{{ event|lookup:'$event_id' }}", "e-1"),
        ("{{ event.items.0.name }}", "Beans"),
        ("{{ event.balance }}", "0"),
        ("{{ person.points }} {{ person.vip }}", "12.5 True"),
        ("{{ first_name|default:'you' }}", "you"),
        ("{{ first_name|default:email }}", "ann@example.com"),
        ("{{ person.tier|default:'none' }}", "Gold"),
        ("{{ event.balance|default:'nothing' }}", "nothing"),
        ("{{ person.tier|lower|title }}", "Gold"),
        ("{# a note #}a{b}c", "a{b}c"),
        ("{{ email|urlencode }}", "ann%40example.com"),
    ],
)
def test_what_is_known_is_filled_in(text: str, expected: str) -> None:
    assert render(text, NAMES) == expected


@pytest.mark.parametrize(
    "text", ["{{ first_name }}", "{{ nobody }}", "{{ person.no.such.thing }}", "{{ event|lookup:'x'|lookup:'y' }}"]
)
def test_what_is_missing_is_an_empty_text(text: str) -> None:
    assert render(f"<{text}>", NAMES) == "<>"


def test_a_quote_goes_in_as_it_is_and_breaks_the_json_around_it() -> None:
    assert render('{"name": "{{ first_name }}"}', {"first_name": 'Ann "A"'}) == '{"name": "Ann "A""}'


def test_a_value_is_never_rendered_again() -> None:
    assert render("{{ first_name }}", {"first_name": "{{ email }}", "email": "secret"}) == "{{ email }}"


@pytest.mark.parametrize(
    "text",
    ["{{ }}", "{{ person. }}", "{{ email| }}", "{{ email|nonsense }}", "{% if email %}x{% endif %}", "{{ 1 + 1 }}",
     "{{ email|default: }}", "{{ __import__('os') }}", "{{ email email }}"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text, NAMES)


def test_python_attributes_are_out_of_reach() -> None:
    assert render("{{ email.__class__ }}{{ person.__class__.__mro__ }}", NAMES) == ""
