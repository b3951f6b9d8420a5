"""The pages a person looks at: they show what arrived, search, page, and act."""

import re

import pytest
import requests

from sandbox.klaviyo.operations import ALL_SCOPES
from sandbox.klaviyo.showing import scope_in_words
from tests.sandbox.conftest import HARBOR, NORDIC, Running, event, upsert
from tests.sandbox.test_oauth import installed

PAGES = ("/", "/profiles", "/metrics", "/metrics/Kmtr00", "/segments", "/segments/Kseg00", "/segments/new", "/flows",
         "/flows/new", "/flows/Kflw00", "/requests", "/apps", "/faults")  # fmt: skip


def get(klaviyo: Running, path: str) -> requests.Response:
    return klaviyo.session.get(klaviyo.url + path, timeout=10)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_what_it_is_and_runs_no_script(klaviyo: Running, path: str) -> None:
    page = get(klaviyo, path)
    assert page.status_code == 200
    assert "stands in for Klaviyo" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "style-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.text.count("<h1") == 1


def test_a_profile_shows_its_properties_and_its_events_newest_first(klaviyo: Running) -> None:
    body = upsert(
        email="ann@example.com", first_name="<Ann>", properties={"tier": "gold", "platforms": ["ios", "android"]}
    )
    profile = klaviyo.api("POST", "/api/profile-import", body).json()["data"]["id"]
    for number, hour in (("1", "08"), ("2", "10"), ("3", "09")):
        klaviyo.api("POST", "/api/events", event(number, time=f"2026-11-22T{hour}:00:00Z", metric=f"Metric {number}"))
    page = get(klaviyo, f"/profiles/{profile}?account={NORDIC}").text
    assert re.findall(r"Metric (\d)", page) == ["2", "3", "1"]
    assert "&lt;Ann&gt;" in page
    assert "<dt>tier</dt><dd>gold</dd>" in page
    assert "<dd>ios, android</dd>" in page
    assert get(klaviyo, f"/profiles/{profile}?account={HARBOR}").status_code == 404


def test_events_that_came_in_another_order_than_they_happened_are_paged_without_a_gap(klaviyo: Running) -> None:
    # The latest to happen come in first: by arrival and by time, the order is opposite.
    for minute in reversed(range(60)):
        klaviyo.api("POST", "/api/events", event(f"m{minute:02d}", time=f"2026-11-22T10:{minute:02d}:00Z"))
    metric = klaviyo.api("GET", "/api/metrics").json()["data"]
    mine = next(each["id"] for each in metric if each["attributes"]["name"] == "Balance changed")
    profile = klaviyo.profile("ann@example.com")["id"]
    for path in (f"/metrics/{mine}", f"/profiles/{profile}"):
        first = get(klaviyo, path).text
        older = re.search(r'href="([^"]+before=[^"]+)"', first)
        assert older is not None
        both = first + get(klaviyo, older.group(1).replace("&amp;", "&")).text
        assert re.findall(r">2026-11-22 10:(\d\d):00<", both) == [f"{minute:02d}" for minute in reversed(range(60))]


def test_profiles_are_searched_and_paged(klaviyo: Running) -> None:
    klaviyo.control("POST", "/profiles", {"account": NORDIC, "count": 60, "prefix": "paged"})
    first = get(klaviyo, "/profiles?q=paged")
    assert first.text.count("@shop.example.com") == 50
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older is not None
    assert get(klaviyo, older.group(1).replace("&amp;", "&")).text.count("@shop.example.com") == 10
    assert "No profile matches" in get(klaviyo, "/profiles?q=nobody").text


def test_the_account_is_switched_in_the_address(klaviyo: Running) -> None:
    assert "<h1>Harbor Books" in get(klaviyo, f"/?account={HARBOR}").text
    assert get(klaviyo, "/?account=nope").status_code == 404


def test_the_app_is_offered_shown_and_uninstalled(klaviyo: Running) -> None:
    assert 'href="http://127.0.0.1:9/install"' in get(klaviyo, "/apps").text
    tokens = installed(klaviyo)
    page = get(klaviyo, "/apps").text
    assert "profiles:read" in page
    form = {"account": NORDIC}
    other = klaviyo.session.post(
        klaviyo.url + "/apps/uninstall", data=form, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10
    )
    assert other.status_code == 403
    done = klaviyo.session.post(klaviyo.url + "/apps/uninstall", data=form, timeout=10)
    assert "Not installed" in done.text
    assert klaviyo.api("GET", "/api/accounts", token=tokens["access_token"]).status_code == 401


def test_requests_are_listed_with_their_bodies_and_filtered(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("look-for-me"))
    klaviyo.api("GET", "/api/profiles/unknown")
    assert "look-for-me" in get(klaviyo, "/requests").text
    only = get(klaviyo, "/requests?status=4&path=/api/profiles").text
    assert "/api/profiles/unknown" in only
    assert "look-for-me" not in only


def test_bodies_are_laid_out_also_where_they_were_cut(klaviyo: Running) -> None:
    klaviyo.api("POST", "/api/events", event("short"))
    assert "&#34;data&#34;: {\n    &#34;type&#34;: &#34;event&#34;" in get(klaviyo, "/requests").text
    klaviyo.api("POST", "/api/events", event("long", properties={f"number{at}": at for at in range(300)}))
    page = get(klaviyo, "/requests").text
    assert re.search(r"\n +&#34;number20&#34;: 20,\n", page)
    assert "(the rest was not kept)" in page


def test_an_address_with_nothing_behind_it_is_a_page_with_a_way_on(klaviyo: Running) -> None:
    for path in ("/nothing", "/profiles/nobody", "/?account=nope"):
        answer = get(klaviyo, path)
        assert answer.status_code == 404
        assert "There is nothing at this address" in answer.text
        assert 'href="/"' in answer.text
    refused = klaviyo.session.delete(klaviyo.url + "/profiles", timeout=10)
    assert refused.status_code == 405
    assert "It takes no DELETE request." in refused.text
    assert get(klaviyo, "/api/nothing").headers["Content-Type"].startswith("application/vnd.api+json")


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        ("/profiles", ("page", "Profiles")),
        ("/metrics/Kmtr00", ("true", "Metrics")),
        ("/segments/Kseg00", ("true", "Segments")),
    ],
)
def test_the_navigation_marks_where_one_is(klaviyo: Running, path: str, marked: tuple[str, str]) -> None:
    assert re.findall(r'aria-current="(\w+)">([^<]+)<', get(klaviyo, path).text) == [marked]


def test_permissions_are_told_in_words_beside_their_names(klaviyo: Running) -> None:
    installed(klaviyo)
    page = get(klaviyo, "/apps").text
    assert "See profiles <code>profiles:read</code>" in page
    told = [scope_in_words(scope) for scope in ALL_SCOPES]
    assert len(set(told)) == len(ALL_SCOPES)
    assert not [words for words in told if ":" in words or words.startswith("Use ")]


def test_a_fault_is_ordered_and_cleared_with_buttons(klaviyo: Running) -> None:
    page = klaviyo.session.post(klaviyo.url + "/faults", data={"ready": "down", "account": NORDIC}, timeout=10)
    assert "used 0 of unlimited" in page.text
    assert klaviyo.api("POST", "/api/events", event("1")).status_code == 503
    klaviyo.session.post(klaviyo.url + "/faults/clear", data={"account": NORDIC}, timeout=10)
    assert klaviyo.api("POST", "/api/events", event("1")).status_code == 202
    unknown = klaviyo.session.post(klaviyo.url + "/faults", data={"ready": "x", "account": NORDIC}, timeout=10)
    assert unknown.status_code == 400
