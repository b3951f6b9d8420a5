"""Turns that bring a merchant's pushes on their way."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import Flask

from portal.jobs import pushes
from portal.services import push_outcomes, push_sending
from tests.factories import Shop


def test_pushes_that_keep_coming_do_not_hold_up_the_rest_of_a_turn(
    app: Flask, merchant: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def always_one_more(_merchant_id: int, _now: datetime) -> int:
        done.append("sent")
        return 1

    def look(_merchant_id: int, _now: datetime) -> int:
        done.append("looked")
        return 0

    monkeypatch.setattr(push_sending, "send_due", always_one_more)
    monkeypatch.setattr(push_outcomes, "look", look)
    with app.app_context():
        pushes.take_turn(merchant.id)
    assert done == ["sent", "looked"]
