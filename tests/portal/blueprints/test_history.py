"""The pages of history: a file handed in, what was found, what can be done next, and the list of what was refused."""

from __future__ import annotations

import io
import re

from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, transaction
from portal.models import ImportProblem
from portal.services import modules
from tests import factories
from tests.factories import ACTOR, Shop
from tests.portal.blueprints.pages import HTMX, KLAVIYO, hx_post, log_in_stranger, post, token
from tests.portal.jobs import history
from tests.portal.jobs.history import CSV

TAB = f"{KLAVIYO}/history"


def _upload(owner: FlaskClient, content: bytes = CSV, name: str = "past.csv") -> str:
    """The address of its page."""
    answer = owner.post("/history/file", data={"csrf_token": token(owner), "file": (io.BytesIO(content), name)})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def _id(address: str) -> int:
    return int(address.rsplit("/", 1)[1])


def test_a_file_is_counted_first_and_says_how_long_it_will_take(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    address = _upload(owner)
    assert "0 % of the file is checked" in owner.get(address).text
    history.work_on(app, _id(address))
    page = owner.get(address).text
    for said in (
        "Ready to start",
        "2 rows: download the list",
        "1 Jan 2025",
        "15 Mar 2025",
        "colour",
        "Start the import",
        "1 s",
    ):
        assert said in page, said
    assert "hx-trigger" not in page.split('id="history-progress"')[1].split(">")[0], (
        "nothing moves, so nothing is asked again"
    )


def test_an_import_is_started_paused_and_continued_with_its_buttons(
    app: Flask, owner: FlaskClient, connected: Shop
) -> None:
    address = _upload(owner)
    history.work_on(app, _id(address))
    started = hx_post(owner, f"{address}/start")
    assert "Pause" in started.text
    assert 'hx-trigger="every 2s' in started.text
    assert "0 of 3 past events" in owner.get("/status/panel").text
    assert post(owner, f"{address}/pause").location == address
    assert "Go on" in owner.get(address).text
    assert "Pause" in hx_post(owner, f"{address}/resume").text
    history.work_on(app, _id(address))
    history.drain(app, connected)
    assert "Finished" in owner.get(f"/history/progress/{_id(address)}").text
    assert "past.csv" in owner.get(TAB).text


def test_what_stands_in_the_way_is_said_before_it_is_tried(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    factories.switch(app, connected, on=False)
    address = _upload(owner)
    history.work_on(app, _id(address))
    page = owner.get(address).text
    assert "Events is switched off" in page
    assert "Start the import" not in page
    assert post(owner, f"{address}/start").status_code == 409
    assert "Cancelled" in hx_post(owner, f"{address}/cancel").text


def test_events_from_before_are_offered_and_counted(
    app: Flask, client: FlaskClient, owner: FlaskClient, connected: Shop
) -> None:
    assert "There are none" in owner.get(TAB).text
    factories.switch(app, connected, on=False)
    factories.tell_all(app.test_client(), connected, factories.events("off", 4))
    factories.switch(app, connected)
    assert "4 events" in owner.get(TAB).text
    address = str(post(owner, "/history/unsent").location)
    history.work_on(app, _id(address))
    assert "Start the import" in owner.get(address).text


def test_the_list_of_refused_rows_is_harmless_in_a_spreadsheet(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    address = _upload(owner)
    history.work_on(app, _id(address))
    with app.app_context(), transaction():
        db.session.add(ImportProblem(import_id=_id(address), line=9, event_id="=1+1", reason="@evil"))
    answer = owner.get(f"{address}/problems.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = answer.text.splitlines()
    assert lines[0] == "\ufeffline,id,reason"
    assert lines[1].startswith("4,o3,")
    assert lines[3] == "9,'=1+1,'@evil"


def test_a_form_without_a_file_and_a_file_of_no_use_are_answered_in_words(owner: FlaskClient, connected: Shop) -> None:
    csrf = token(owner)
    assert "Choose a file first" in owner.post("/history/file", data={"csrf_token": csrf}).text
    workbook = {"csrf_token": csrf, "file": (io.BytesIO(b"PK\x03\x04"), "past.xlsx")}
    answer = owner.post("/history/file", data=workbook)
    assert answer.status_code == 422
    # Beside the field on the page where the file was chosen, so that another one can be.
    assert re.search(r'id="file-error".*save the sheet as CSV UTF-8', answer.text)
    assert "Check this file" in answer.text


def test_what_is_recorded_and_not_sent_is_explained(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    explained = "Not every event went to Klaviyo"
    with app.app_context(), transaction():
        modules.choose(connected.id, "balance_changed", False, ACTOR)
    address = _upload(owner)
    history.work_on(app, _id(address))
    owner.post(f"{address}/start", data={"csrf_token": token(owner)})
    assert explained not in owner.get(address).text
    history.work_on(app, _id(address))
    assert explained in owner.get(address).text


def test_only_a_file_may_be_larger_than_a_form(owner: FlaskClient, connected: Shop) -> None:
    rows = b"id,type,email,occurred_at\n" + b"x\n" * 3_600_000
    parts = (("csrf_token", token(owner).encode()), ('file"; filename="past.csv', rows))
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)
        for name, value in parts
    )
    for path, status in (("/history/file", 303), ("/modules/switches", 413)):
        answer = owner.post(path, data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x")
        assert answer.status_code == status, path


def test_another_shops_import_is_not_there(app: Flask, owner: FlaskClient, connected: Shop) -> None:
    address = _upload(owner)
    stranger, _ = log_in_stranger(app)
    for path in (address, f"{address}/problems.csv", f"/history/progress/{_id(address)}"):
        assert stranger.get(path).status_code == 404
    for deed in ("start", "pause", "resume", "cancel"):
        assert post(stranger, f"{address}/{deed}").status_code == 404


def test_without_a_connection_the_tab_leads_to_the_wizard(owner: FlaskClient) -> None:
    assert owner.get(TAB, headers=HTMX).location == KLAVIYO
