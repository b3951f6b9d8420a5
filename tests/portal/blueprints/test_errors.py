"""What people see when something goes wrong, and what they never see."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient

from portal.errors import UnavailableError
from portal.web.failures import CSRF_PAGE, PAGES
from tests.portal.blueprints.pages import HTMX

TEMPLATES = Path(__file__).parents[3] / "portal" / "templates" / "errors"


@pytest.fixture
def breaking(app: Flask) -> FlaskClient:
    """A browser on an application with a view that fails as its address says."""

    @app.get("/break/<how>")
    def fail(how: str) -> str:
        if how == "crash":
            raise RuntimeError("a secret detail")
        if how == "busy":
            raise UnavailableError("Klaviyo did not answer.", retry_after=7)
        return abort(int(how))

    fail.guard = "public"  # type: ignore[attr-defined]
    return app.test_client()


@pytest.mark.parametrize("name", [*map(str, PAGES), CSRF_PAGE])
def test_every_error_page_has_a_twin_for_htmx(name: str) -> None:
    assert (TEMPLATES / f"{name}.html").is_file()
    assert f'id="errors-{name}"' in (TEMPLATES / f"_{name}.html").read_text()


def test_an_error_is_a_page_for_a_browser_and_a_fragment_for_htmx(breaking: FlaskClient) -> None:
    for code in (*PAGES, 418, 502):
        page = breaking.get(f"/break/{code}")
        assert page.status_code == code
        assert page.text.count("<h1") == 1
        assert "Request <code>" in page.text
        fragment = breaking.get(f"/break/{code}", headers=HTMX)
        assert fragment.status_code == code
        assert "<html" not in fragment.text
        assert "<h1" not in fragment.text
        assert fragment.headers["HX-Retarget"] == "#feedback"


def test_a_crash_tells_its_number_and_nothing_else(breaking: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = breaking.get("/break/crash")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "secret detail" in caplog.text


def test_trouble_that_passes_says_when_to_come_back(breaking: FlaskClient) -> None:
    answer = breaking.get("/break/busy")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert "Klaviyo did not answer." in answer.text


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.get("/logout")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_an_address_of_the_api_is_answered_in_its_own_language(client: FlaskClient) -> None:
    answer = client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "not_found"
    assert answer.get_json()["error"]["request_id"]
    assert "/docs" in answer.get_json()["error"]["message"]
    assert client.delete("/v1/events").get_json()["error"]["message"] == "DELETE is not possible here; use POST."


def test_what_was_asked_for_is_escaped(client: FlaskClient) -> None:
    assert "<script>alert" not in client.get("/<script>alert(1)</script>").text
