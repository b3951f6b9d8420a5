"""The pages of segments: made, renamed, frozen, deleted, and changed in who is in them, with forms."""

import pytest
import requests

from tests.sandbox.conftest import NORDIC, Running, upsert
from tests.sandbox.test_computed_segments import members

EMAIL = "ann@example.com"


@pytest.fixture
def ann(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/profile-import", upsert(email=EMAIL, properties={"tier": "Gold", "points": 7}))


def submit(klaviyo: Running, path: str, **fields: str) -> requests.Response:
    return klaviyo.session.post(klaviyo.url + path, data={"account": NORDIC, **fields}, timeout=10)


def made(klaviyo: Running, **fields: str) -> str:
    answer = submit(klaviyo, "/segments", **{"name": "Made here", "kind": "hand", "days": "30", **fields})
    assert answer.status_code == 200, answer.text
    return answer.url.rpartition("/")[2].partition("?")[0]


@pytest.mark.usefixtures("ann")
def test_a_segment_is_put_together_by_hand(klaviyo: Running) -> None:
    segment = made(klaviyo, emails=f"{EMAIL}, nobody@example.com")
    assert members(klaviyo, segment) == {EMAIL}
    page = submit(klaviyo, f"/segments/{segment}/members", emails=EMAIL, remove="1")
    assert "Nobody is in it." in page.text
    page = submit(klaviyo, f"/segments/{segment}/members", emails=f"{EMAIL.upper()} nobody@example.com")
    assert page.status_code == 400
    assert "No profile has the email nobody@example.com." in page.text
    assert members(klaviyo, segment) == {EMAIL}


@pytest.mark.usefixtures("ann")
def test_a_computed_segment_says_what_it_asks_and_takes_no_members(klaviyo: Running) -> None:
    segment = made(klaviyo, kind="computed", property="points", operator="greater-than", value="5")
    page = klaviyo.session.get(f"{klaviyo.url}/segments/{segment}", timeout=10).text
    assert "points is more than 5.0" in page
    assert 'name="emails"' not in page
    assert members(klaviyo, segment) == {EMAIL}


def test_a_condition_on_relative_time_is_marked_and_in_the_definition(klaviyo: Running) -> None:
    segment = made(klaviyo, kind="relative", days="7")
    assert (
        "count of Placed Order in the last 7 days is more than 0"
        in klaviyo.session.get(f"{klaviyo.url}/segments/{segment}", timeout=10).text
    )
    definition = klaviyo.api("GET", f"/api/segments/{segment}").json()["data"]["attributes"]["definition"]
    asked = definition["condition_groups"][0]["conditions"][0]["timeframe_filter"]
    assert asked == {"type": "date", "operator": "in-the-last", "quantity": 7, "unit": "day"}
    listed = klaviyo.session.get(f"{klaviyo.url}/segments", timeout=10).text
    assert listed.count("relative time") == 2  # this one, and one of the seeded


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "name is required"),
        ({"kind": "computed"}, "Name the property"),
        ({"kind": "computed", "property": "a", "operator": "less-than", "value": "b"}, "is not a number"),
        ({"kind": "relative", "days": "some"}, "must be a whole number"),
    ],
)
def test_a_form_that_makes_no_sense_comes_back_with_the_reason(
    klaviyo: Running, fields: dict[str, str], words: str
) -> None:
    answer = submit(klaviyo, "/segments", **{"name": "Kept", "kind": "hand", "operator": "equals", **fields})
    assert answer.status_code == 400
    assert words in answer.text
    assert len(klaviyo.api("GET", "/api/segments").json()["data"]) == 4


def test_a_segment_is_renamed_frozen_marked_and_deleted(klaviyo: Running) -> None:
    path = "/segments/Kseg00"
    assert "<h1>VIP Platinum" in submit(klaviyo, path, name="VIP Platinum").text
    assert "A segment needs a name." in submit(klaviyo, path, name=" ").text
    submit(klaviyo, path, flag="is_active")
    submit(klaviyo, path, flag="is_processing", on="1")
    found = klaviyo.api("GET", "/api/segments/Kseg00").json()["data"]["attributes"]
    assert (found["name"], found["is_active"], found["is_processing"]) == ("VIP Platinum", False, True)
    assert submit(klaviyo, path, flag="is_anything").status_code == 400
    assert "VIP Platinum" not in submit(klaviyo, f"{path}/delete").text
    assert klaviyo.api("GET", "/api/segments/Kseg00").status_code == 404
    assert "something that is gone" in klaviyo.session.get(f"{klaviyo.url}/flows/Kflw01", timeout=10).text
