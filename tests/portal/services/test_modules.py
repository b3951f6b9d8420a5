"""The two switches and the choice of events."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db, transaction
from portal.errors import ConnectingError, InvalidError, NotFoundError
from portal.models import AuditEntry, ConnectionState, Module, Segment
from portal.services import auditing, modules, segments
from portal.services.catalogue import BY_TYPE, EVENT_TYPES
from portal.services.segments import RemoteSegment
from tests.portal.services import stage


def _switch(merchant_id: int, module: Module, on: bool) -> None:
    with transaction():
        modules.switch(merchant_id, module, on, stage.ACTOR)


def _deeds() -> list[str]:
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.mark.parametrize("module", Module)
def test_a_module_needs_a_connection(lone: int, module: Module) -> None:
    with pytest.raises(ConnectingError):
        _switch(lone, module, True)
    assert modules.switches(lone) == dict.fromkeys(Module)


@pytest.mark.parametrize("state", [ConnectionState.RECONNECT, ConnectionState.DISCONNECTED])
def test_without_access_a_module_can_be_switched_off_and_not_on(shop: int, state: ConnectionState) -> None:
    stage.change_connection(shop, state=state)
    _switch(shop, Module.EVENTS, False)
    with pytest.raises(ConnectingError):
        _switch(shop, Module.EVENTS, True)


def test_each_module_is_switched_by_itself_and_twice_is_once(shop: int) -> None:
    since = modules.switches(shop)[Module.EVENTS]
    _switch(shop, Module.EVENTS, True)
    assert modules.switches(shop) == {Module.EVENTS: since, Module.SEGMENTS: None}
    _switch(shop, Module.SEGMENTS, True)
    _switch(shop, Module.EVENTS, False)
    assert modules.switches(shop)[Module.EVENTS] is None
    assert modules.switches(shop)[Module.SEGMENTS] is not None
    assert _deeds()[-3:] == ["events switched on", "segments switched on", "events switched off"]


@pytest.mark.parametrize("module", Module)
@pytest.mark.parametrize("on", [True, False])
def test_every_switch_says_what_it_will_do(module: Module, on: bool) -> None:
    assert modules.effects(module, on).endswith(".")
    assert modules.effects(module, on) != modules.effects(module, not on)


def test_every_event_is_sent_until_it_is_switched_off(shop: int) -> None:
    assert modules.choices(shop) == dict.fromkeys(BY_TYPE, True)
    for _ in range(2):
        with transaction():
            modules.choose(shop, "card_opened", False, stage.ACTOR)
    assert modules.choices(shop) == {**dict.fromkeys(BY_TYPE, True), "card_opened": False}
    for _ in range(2):
        with transaction():
            modules.choose(shop, "card_opened", True, stage.ACTOR)
    assert modules.choices(shop) == dict.fromkeys(BY_TYPE, True)
    assert _deeds()[-2:] == ["event switched off", "event switched on"]


def test_an_event_that_does_not_exist_cannot_be_chosen(shop: int) -> None:
    with pytest.raises(InvalidError), transaction():
        modules.choose(shop, "nothing", False, stage.ACTOR)


def test_there_are_eighteen_events_with_names_klaviyo_takes() -> None:
    assert len(EVENT_TYPES) == len(BY_TYPE) == len({entry.metric for entry in EVENT_TYPES}) == 18
    assert all(0 < len(entry.metric) < 128 and entry.metric[0].isupper() for entry in EVENT_TYPES)


def test_the_audit_log_is_read_newest_first_in_pages(shop: int) -> None:
    with transaction():
        for number in range(5):
            auditing.record(shop, stage.ACTOR, f"deed {number}", "x" * 900)
    first = auditing.entries(shop, limit=2)
    second = auditing.entries(shop, before=first[-1].id, limit=2)
    assert [entry.action for entry in (*first, *second)] == ["deed 4", "deed 3", "deed 2", "deed 1"]
    assert len(first[0].detail) == 500
    assert len(auditing.entries(shop, before=10**40)) == 7
    assert auditing.entries(stage.make_merchant()) == []


# --- segments ------------------------------------------------------------------------------------


def _remote(*ids: str, name: str = "VIP") -> list[RemoteSegment]:
    return [RemoteSegment(segment_id, name, True, False, None) for segment_id in ids]


def _list(merchant_id: int, *ids: str, name: str = "VIP") -> dict[str, Segment]:
    with transaction():
        segments.save_list(merchant_id, _remote(*ids, name=name))
    return {segment.klaviyo_segment_id: segment for segment in segments.list_known(merchant_id)}


def test_a_list_is_taken_over_and_what_is_gone_goes_unless_it_was_chosen(shop: int) -> None:
    known = _list(shop, "A", "B", "C")
    with transaction():
        segments.select_segment(shop, known["B"].id, True, stage.ACTOR)
    known = _list(shop, "A", "D", name="Gold")
    assert sorted(known) == ["A", "B", "D"]
    assert (known["A"].name, known["A"].former_name) == ("Gold", "VIP")
    assert [known[each].gone_at is not None for each in "ABD"] == [False, True, False]


def test_a_segment_of_another_merchant_cannot_be_chosen(shop: int) -> None:
    other = stage.make_merchant()
    theirs = _list(other, "A")["A"]
    for segment_id in (theirs.id, 0, 10**40):
        with pytest.raises(NotFoundError), transaction():
            segments.select_segment(shop, segment_id, True, stage.ACTOR)
    assert _list(other, "A")["A"].selected_at is None
