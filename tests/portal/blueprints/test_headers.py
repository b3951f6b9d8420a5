"""What protects a browser on every answer, and that no page needs an exception from it."""

from __future__ import annotations

import re
from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient

from portal import create_app
from portal.config import Settings
from portal.web.security import content_policy
from tests.factories import Shop
from tests.portal.blueprints.pages import HTMX, KLAVIYO

PAGES = (
    "/",
    "/activity",
    KLAVIYO,
    f"{KLAVIYO}/events",
    f"{KLAVIYO}/segments",
    f"{KLAVIYO}/disconnect",
    "/settings/integrations",
    "/settings/programme",
    "/settings/api-keys",
    "/settings/team",
    "/settings/password",
    "/settings/audit-log",
    "/oauth/klaviyo/install",
    "/docs",
    "/docs/events",
)


def test_a_page_is_whole_and_holds_nothing_inline(owner: FlaskClient, connected: Shop) -> None:
    for path in PAGES:
        answer = owner.get(path)
        assert answer.status_code == 200, path
        html = answer.text
        assert html.count("<h1") == html.count("<main") == 1, path
        assert re.search(r"<title>\S.* · JeriCommerce", html), path
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), f"an inline script on {path}"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", html), f"inline style or code on {path}"


def test_what_is_pointed_at_is_there_once(owner: FlaskClient, connected: Shop) -> None:
    pointing = r'\s(?:for|aria-labelledby|aria-describedby|hx-target|href|data-copy)="#?([A-Za-z][^"/:?]*)"'
    for path in PAGES:
        html = owner.get(path).text
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert sorted(set(ids)) == sorted(ids), path
        assert {name for names in re.findall(pointing, html) for name in names.split()} <= set(ids), path


def test_the_policy_allows_this_site_and_forms_that_end_at_klaviyo() -> None:
    policy = content_policy(Settings())
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "form-action 'self' https://www.klaviyo.com;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_page_carries_what_protects_its_reader(owner: FlaskClient, settings: Settings) -> None:
    headers = owner.get("/").headers
    assert headers["Content-Security-Policy"] == content_policy(settings)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert {"Cookie", "HX-Request"} <= {name.strip() for name in headers["Vary"].split(",")}
    assert "Strict-Transport-Security" not in headers


def test_an_error_is_protected_like_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_over_https_the_cookie_and_the_host_are_bound(settings: Settings) -> None:
    app = create_app(replace(settings, public_url="https://portal.example"))
    answer = app.test_client().get("/login", base_url="https://portal.example")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_a_host_that_is_not_ours_is_not_served(client: FlaskClient) -> None:
    answer = client.get("/login", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "evil.example" not in answer.text


def test_a_forwarded_address_counts_only_behind_a_proxy_that_is_told(settings: Settings) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    assert create_app(settings).test_client().get("/login", headers=forwarded).status_code == 200
    behind = create_app(replace(settings, trusted_proxies=1)).test_client()
    assert behind.get("/login", headers=forwarded).status_code == 400


def test_htmx_comes_from_this_site_and_is_kept_for_a_year(client: FlaskClient, owner: FlaskClient) -> None:
    path = re.search(r'src="(/assets/htmx-[\d.]+\.js)"', owner.get("/").text)
    assert path is not None
    answer = client.get(path[1], buffered=True)
    assert answer.status_code == 200
    assert 'version:"2.' in answer.text
    assert answer.cache_control.max_age == 31_536_000
    assert answer.cache_control.immutable


def test_scripts_and_styles_have_an_address_that_changes_with_them(owner: FlaskClient) -> None:
    found = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg)(?:\?[^"]*)?)"', owner.get("/").text)
    assert len(found) >= 5
    for address in found:
        answer = owner.get(address, buffered=True)
        assert answer.status_code == 200, address
        assert answer.cache_control.max_age == 31_536_000
        assert "?v=" in address or "/assets/htmx-" in address
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_htmx_may_run_nothing_that_a_page_brings(owner: FlaskClient) -> None:
    html = owner.get("/").text
    for setting in ('"allowEval":false', '"allowScriptTags":false', '"selfRequestsOnly":true'):
        assert setting in html


def test_a_body_that_is_too_large_is_refused(app: Flask, owner: FlaskClient) -> None:
    answer = owner.post("/logout", data=b"x" * (7 * 1024 * 1024), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert owner.get("/").status_code == 200


def test_a_fragment_says_so_when_something_fails(owner: FlaskClient) -> None:
    answer = owner.get("/activity/delivery/1", headers=HTMX)
    assert answer.status_code == 404
    assert 'id="errors-404"' in answer.text
    assert "<html" not in answer.text
