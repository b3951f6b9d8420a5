"""Settings > Wallet cards: what is uploaded is checked, kept sealed, and watched until it ends."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from portal.db import db, utcnow
from portal.models import AppleCertificate
from portal.services import wallet_accounts, wallet_setup
from sandbox.apple.authority import PASS_TYPE, TEAM, Authority
from tests import factories
from tests.factories import Shop

PAGE = "/settings/wallet-cards"


def _upload(client: FlaskClient, *files: bytes, password: str = "") -> TestResponse:
    token = factories.csrf_token(client.get(PAGE).text)
    form: dict[str, Any] = {
        "csrf_token": token,
        "password": password,
        "files": [(io.BytesIO(content), f"file-{number}.pem") for number, content in enumerate(files)],
    }
    return client.post(f"{PAGE}/certificate", data=form, content_type="multipart/form-data")


def test_the_owner_brings_a_certificate_and_its_key_is_kept_sealed(
    app: Flask, owner: FlaskClient, merchant: Shop, apple_authority: Authority
) -> None:
    own = apple_authority.issue_pass_certificate()
    answer = _upload(owner, own, apple_authority.intermediate_file.read_bytes())
    assert answer.status_code == 303, answer.text
    assert "Your own" in owner.get(PAGE).text
    with app.app_context():
        used = wallet_accounts.apple_certificate(merchant.id)
        assert used is not None
        assert used.key_pem.strip() in own.decode()
        sealed = db.session.scalar(text("SELECT key_sealed FROM apple_certificates"))
        assert sealed is not None
        assert "PRIVATE KEY" not in sealed


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "Choose the files"),
        ((b"nonsense",), "neither a certificate nor a key"),
        ((b"x" * 100_000,), "more than a certificate needs"),
    ],
)
def test_what_is_no_certificate_is_refused_with_the_remedy(
    app: Flask, owner: FlaskClient, merchant: Shop, files: tuple[bytes, ...], words: str
) -> None:
    answer = _upload(owner, *files)
    assert answer.status_code == 422
    assert words in answer.text
    with app.app_context():
        assert db.session.get(AppleCertificate, merchant.id) is None


def test_a_key_of_another_certificate_is_refused(owner: FlaskClient, apple_authority: Authority) -> None:
    certificate = apple_authority.issue_pass_certificate().split(b"-----BEGIN PRIVATE")[0]
    other = apple_authority.issue_pass_certificate()
    key = other[other.index(b"-----BEGIN PRIVATE") :]
    assert "does not belong to this certificate" in _upload(owner, certificate, key).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"days": -1}, "The certificate ended on"),
        ({"team": "ZZZZZZZZZZ"}, "This certificate is for the team ZZZZZZZZZZ"),
        ({"pass_type": "pass.com.example.other"}, "This certificate is for the pass type pass.com.example.other"),
    ],
    ids=["ended", "another team", "another pass type"],
)
def test_a_successor_that_could_not_update_cards_on_phones_is_refused_and_the_last_one_stays(
    app: Flask, owner: FlaskClient, merchant: Shop, apple_authority: Authority, changes: dict[str, Any], words: str
) -> None:
    above = apple_authority.intermediate_file.read_bytes()
    assert _upload(owner, apple_authority.issue_pass_certificate(), above).status_code == 303
    answer = _upload(owner, apple_authority.issue_pass_certificate(**changes), above)
    assert answer.status_code == 422
    assert words in answer.text
    with app.app_context():
        used = wallet_accounts.apple_certificate(merchant.id)
        assert used is not None
        assert (used.pass_type_id, used.team_id) == (PASS_TYPE, TEAM)
        assert used.not_after > utcnow()


def test_a_member_looks_and_does_not_change(app: Flask, client: FlaskClient, merchant: Shop) -> None:
    factories.log_in(client, factories.add_member(app, merchant))
    page = client.get(PAGE).text
    assert "Only an owner" in page
    # The form for logging out carries a token as well.
    token = factories.csrf_token(page)
    assert client.post(f"{PAGE}/certificate", data={"csrf_token": token}).status_code == 403


@pytest.mark.parametrize(
    ("issuer_id", "file", "words"),
    [("12a", b"{}", "digits only"), ("123", b"{", "not JSON"), ("123", b"", "Choose the JSON file")],
)
def test_a_service_account_that_is_none_is_refused(owner: FlaskClient, issuer_id: str, file: bytes, words: str) -> None:
    token = factories.csrf_token(owner.get(PAGE).text)
    form = {"csrf_token": token, "issuer_id": issuer_id, "file": (io.BytesIO(file), "key.json")}
    answer = owner.post(f"{PAGE}/google", data=form, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize(
    ("days", "words", "urgent"),
    [
        (61, None, False),
        (60, "in 60 days", False),
        (14, "in 14 days", False),
        (7, "in 7 days", True),
        (1, "tomorrow", True),
        (0, "in less than a day", True),
        (-1, "has ended", True),
    ],
)
def test_the_end_of_a_certificate_is_told_in_time(days: int, words: str | None, urgent: bool) -> None:
    now = utcnow()
    told = wallet_setup.ending(now + timedelta(days=days, hours=1 if days >= 0 else 0), now)
    assert (told is not None) == (words is not None)
    if told is not None and words is not None:
        assert words in told.text
        assert told.urgent == urgent
