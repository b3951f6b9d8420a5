"""A restart keeps everything, also what was accepted and not yet recorded; a reset keeps nothing."""

from pathlib import Path

from sandbox.klaviyo.journal import Journal
from tests.sandbox.conftest import KEY, NORDIC, Running, bulk, event, until, upsert
from tests.sandbox.test_oauth import installed, refresh


def test_what_was_accepted_before_a_restart_is_recorded_after_it_once_and_in_order(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("0"))
    klaviyo.control("PUT", "/settings", {"visibility_seconds": 3600})
    klaviyo.api("POST", "/api/event-bulk-create-jobs", bulk(event("1"), event("2")))
    klaviyo.api("POST", "/api/events", event("3", time="2026-11-22T10:00:00Z"))
    klaviyo.api("POST", "/api/events", event(metric="Without id"))
    assert len(klaviyo.events()) == 1
    klaviyo.restart()
    klaviyo.control("PUT", "/settings", {"visibility_seconds": 0})
    until(lambda: klaviyo.control("GET", "/health")["waiting_events"] == 0)
    assert [each["unique_id"] for each in klaviyo.events()] == ["0", "1", "2", "3", None]
    klaviyo.restart()
    assert len(klaviyo.events()) == 5


def test_installs_profiles_and_settings_survive_a_restart(klaviyo: Running) -> None:
    tokens = installed(klaviyo)
    klaviyo.api("POST", "/api/profile-import", upsert(email="ann@example.com"))
    klaviyo.control("PUT", "/settings", {"access_ttl_seconds": 120})
    klaviyo.restart()
    assert klaviyo.api("GET", "/api/accounts", token=tokens["access_token"]).status_code == 200
    assert refresh(klaviyo, tokens["refresh_token"]).json()["expires_in"] == 120
    klaviyo.profile("ann@example.com")


def test_an_unfinished_import_is_finished_after_a_restart(klaviyo: Running) -> None:
    klaviyo.control("PUT", "/settings", {"import_step_seconds": 3600})
    body = {"data": {"type": "profile-bulk-import-job", "attributes": {
        "profiles": {"data": [upsert(email="late@example.com")["data"]]}}}}  # fmt: skip
    klaviyo.api("POST", "/api/profile-bulk-import-jobs", body)
    klaviyo.restart()
    klaviyo.control("PUT", "/settings", {"import_step_seconds": 0})
    klaviyo.app.extensions["klaviyo_stand_in"].importer.advance()
    klaviyo.profile("late@example.com")


def test_a_reset_goes_back_to_the_first_start_and_can_spare_all_but_events(klaviyo: Running) -> None:
    tokens = installed(klaviyo)
    klaviyo.api("POST", "/api/events", event("1"))
    klaviyo.control("POST", "/reset", {"only": "events"})
    assert klaviyo.events() == []
    assert klaviyo.api("GET", "/api/accounts", token=tokens["access_token"]).status_code == 200
    klaviyo.profile("ann@example.com")
    klaviyo.api("POST", "/api/events", event("1"))
    assert len(klaviyo.events()) == 1
    klaviyo.control("POST", "/reset")
    assert klaviyo.api("GET", "/api/accounts", token=tokens["access_token"]).status_code == 401
    assert klaviyo.control("GET", f"/ledger?account={NORDIC}")["profiles"] == 24
    assert klaviyo.api("GET", "/api/accounts", headers={"Authorization": f"Klaviyo-API-Key {KEY}"}).ok


def test_the_journal_gives_back_what_is_not_recorded_and_forgives_a_torn_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for body in (b"one", b"two\nlines", b""):
        journal.append(1, "api", "event", 5.0, body)
    journal.close()
    with next(tmp_path.glob("*.journal")).open("ab") as file:
        file.write(b'[4, 1, "api", "event", 5.0, 100]\nonly half')
    again = Journal(tmp_path, 1)
    assert [(frame.number, frame.body) for frame in again.unrecorded(1)] == [(2, b"two\nlines"), (3, b"")]
    # A new segment begins after a start, so that nothing is written behind the torn end.
    assert again.append(1, "api", "event", 5.0, b"four") == 4
    assert [frame.number for frame in again.unrecorded(2)] == [3, 4]
    again.settle(4)
    assert list(again.unrecorded(0)) == []
    again.close()


def test_a_journal_that_begins_with_a_torn_write_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "0000000000000001.journal").write_bytes(b'[1, 1, "api", "event", 5.0, 100]\nonly half')
    journal = Journal(tmp_path, 0)
    assert journal.append(1, "api", "event", 5.0, b"whole") == 1
    assert [frame.body for frame in journal.unrecorded(0)] == [b"whole"]
    journal.close()


def test_the_journal_numbers_on_after_everything_was_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    journal.append(1, "api", "event", 5.0, b"one")
    journal.settle(1)
    journal.close()
    again = Journal(tmp_path, 1)
    assert again.append(1, "api", "event", 5.0, b"two") == 2
    again.close()
