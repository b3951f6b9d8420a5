"""`/v1/imports`: a file in, counted, started, paused, called off; and nothing of another shop's."""

from __future__ import annotations

import io
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.models import HistoryImport
from tests import factories
from tests.factories import Shop
from tests.portal.blueprints.api import stage
from tests.portal.blueprints.api.stage import bearer
from tests.portal.jobs import history
from tests.portal.jobs.history import CSV, json_lines, purchase


def _post(
    client: FlaskClient, shop: Shop, content: bytes, mimetype: str = "text/csv", path: str = "/v1/imports"
) -> TestResponse:
    return client.post(path, data=content, headers={**bearer(shop), "Content-Type": mimetype})


def _number(answer: TestResponse) -> int:
    assert answer.status_code == 202, answer.text
    return int(answer.get_json()["id"].removeprefix("imp_"))


def _checked(app: Flask, client: FlaskClient, shop: Shop, content: bytes = CSV) -> HistoryImport:
    return history.work_on(app, _number(_post(client, shop, content)))


def _deed(client: FlaskClient, shop: Shop, work: HistoryImport, deed: str) -> TestResponse:
    return client.post(f"/v1/imports/{work.public_id}/{deed}", headers=bearer(shop))


def test_a_file_is_taken_in_counted_started_and_finished(app: Flask, client: FlaskClient, connected: Shop) -> None:
    answer = _post(client, connected, CSV, path="/v1/imports?name=past.csv")
    taken = answer.get_json()
    assert (taken["state"], taken["name"], taken["events"]) == ("checking", "past.csv", 0)
    work = history.work_on(app, _number(answer))
    ready = client.get(f"/v1/imports/{work.public_id}", headers=bearer(connected)).get_json()
    assert (ready["state"], ready["events"], ready["refused"], ready["columns_ignored"]) == ("ready", 3, 2, ["colour"])
    assert (ready["first_at"], ready["seconds_left"]) == ("2025-01-01T09:00:00Z", 1)
    assert _deed(client, connected, work, "start").get_json()["state"] == "running"
    assert history.work_on(app, work.id).state == "finished"
    done = client.get(f"/v1/imports/{work.public_id}", headers=bearer(connected)).get_json()
    assert (done["done"], done["waiting"], done["delivered"]) == (3, 3, 0)


def test_json_lines_and_forms_are_taken_too(app: Flask, client: FlaskClient, connected: Shop) -> None:
    lines = json_lines([purchase(1, 1), purchase(2, 2)])
    assert history.work_on(app, _number(_post(client, connected, lines, "application/x-ndjson"))).found == 2
    form = client.post("/v1/imports", data={"file": (io.BytesIO(CSV), "a.csv")}, headers=bearer(connected))
    assert history.work_on(app, _number(form)).found == 3


def test_the_rows_that_were_refused_are_listed_by_line(app: Flask, client: FlaskClient, connected: Shop) -> None:
    work = _checked(app, client, connected)
    answer = client.get(f"/v1/imports/{work.public_id}/problems", headers=bearer(connected)).get_json()
    assert [(each["line"], each["id"]) for each in answer["problems"]] == [(4, "o3"), (5, "o1")]
    assert answer["next"] is None
    later = client.get(f"/v1/imports/{work.public_id}/problems?after=4", headers=bearer(connected)).get_json()
    assert [each["line"] for each in later["problems"]] == [5]


def test_an_import_can_be_paused_continued_and_cancelled_and_only_when_that_makes_sense(
    app: Flask, client: FlaskClient, connected: Shop
) -> None:
    work = _checked(app, client, connected)
    assert _deed(client, connected, work, "pause").status_code == 409
    for deed, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = _deed(client, connected, work, deed)
        assert (answer.status_code, answer.get_json()["state"]) == (200, state)
    refused = _deed(client, connected, work, "start")
    assert refused.status_code == 409
    assert stage.error_of(refused)["code"] == "wrong_state"


def test_without_klaviyo_nothing_is_started(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    refused = _deed(client, merchant, _checked(app, client, merchant), "start")
    assert refused.status_code == 409
    assert "Connect it first" in stage.error_of(refused)["message"]


def test_events_from_before_the_connection_are_asked_for_with_json(
    app: Flask, client: FlaskClient, merchant: Shop
) -> None:
    factories.tell_all(client, merchant, factories.events("early", 3))
    answer = client.post("/v1/imports", json={"from": "unsent"}, headers=bearer(merchant))
    assert history.work_on(app, _number(answer)).found == 3
    assert client.post("/v1/imports", json={"from": "all"}, headers=bearer(merchant)).status_code == 422


@pytest.mark.parametrize(
    ("content", "mimetype", "status", "said"),
    [
        (b"", "text/csv", 422, "empty"),
        (b"PK\x03\x04", "text/csv", 422, "Excel"),
        (b"x", "text/plain", 415, "text/csv"),
        (b"x", "multipart/form-data; boundary=x", 422, "field file"),
        (b"{", "application/json", 400, "not JSON"),
    ],
)
def test_what_is_no_file_of_events_is_refused(
    client: FlaskClient, merchant: Shop, content: bytes, mimetype: str, status: int, said: str
) -> None:
    answer = _post(client, merchant, content, mimetype)
    assert answer.status_code == status
    assert said in stage.error_of(answer)["message"]


def test_nothing_of_another_shop_and_no_made_up_id_is_found(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    work = _checked(app, client, merchant)
    other = factories.make_shop(app, "Harbor Books")
    for path in (work.public_id, f"{work.public_id}/problems"):
        assert client.get(f"/v1/imports/{path}", headers=bearer(other)).status_code == 404
    for deed in ("start", "pause", "resume", "cancel"):
        assert _deed(client, other, work, deed).status_code == 404
    for made_up in ("imp_1", "imp_99999999999999999999", "imp_x", "7", "imp_²"):
        assert client.get(f"/v1/imports/{made_up}", headers=bearer(merchant)).status_code == 404


def test_every_answer_is_as_described(app: Flask, client: FlaskClient, connected: Shop) -> None:
    described: dict[str, Any] = client.get("/v1/openapi.json").get_json()

    def check(answer: TestResponse, path: str, method: str) -> None:
        told = described["paths"][f"/v1/imports{path}"][method]["responses"][str(answer.status_code)]
        schema = {**told["content"]["application/json"]["schema"], "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.get_json())

    taken = _post(client, connected, CSV)
    check(taken, "", "post")
    check(_post(client, connected, b"", "text/plain"), "", "post")
    work = history.work_on(app, _number(taken))
    check(client.get(f"/v1/imports/{work.public_id}", headers=bearer(connected)), "/{id}", "get")
    check(client.get(f"/v1/imports/{work.public_id}/problems", headers=bearer(connected)), "/{id}/problems", "get")
    for deed in ("start", "pause", "pause", "resume", "cancel"):
        check(_deed(client, connected, work, deed), f"/{{id}}/{deed}", "post")
