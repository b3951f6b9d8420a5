"""The card that the portal serves, as readers see it that know nothing of ours: from the smart link, and after points were added."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.db import db, utcnow
from portal.models import Card, Customer, Merchant
from sandbox.apple.authority import PASS_TYPE, Authority
from tests import factories
from tests.factories import Shop
from tests.portal.services import card_cases
from tests.portal.wallet.readers import read_card, verify

# The bytes of a card do not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def card(app: Flask, merchant: Shop) -> Card:
    return card_cases.card(app, merchant)


def _downloaded(app: Flask, client: FlaskClient, card: Card) -> bytes:
    with app.app_context():
        slug = db.session.get_one(Merchant, card.merchant_id).slug
        token = db.session.get_one(Customer, card.customer_id).link_token
    return client.get(f"/{slug}/download?token={token}&platform=ios").data


def _fetched(client: FlaskClient, card: Card, pass_type: str) -> bytes:
    headers = {"Authorization": f"ApplePass {card.token}"}
    return client.get(f"/passes/v1/passes/{pass_type}/{card.serial}", headers=headers).data


def _files(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_openssl_accepts_what_the_smart_link_and_the_web_service_serve(
    app: Flask, client: FlaskClient, card: Card, apple_authority: Authority, tmp_path: Path
) -> None:
    root = apple_authority.root_file.read_bytes()
    for package in (_downloaded(app, client, card), _fetched(client, card, PASS_TYPE)):
        files = _files(package)
        verified = verify(tmp_path, root, files["signature"], files["manifest.json"])
        assert verified.returncode == 0, verified.stderr
        assert (tmp_path / "signed").read_bytes() == files["manifest.json"]


def test_an_independent_reader_finds_the_customers_points_on_the_card(
    app: Flask, client: FlaskClient, merchant: Shop, card: Card, reader: Path, tmp_path: Path
) -> None:
    package = tmp_path / "card.pkpass"
    package.write_bytes(_downloaded(app, client, card))
    first = read_card(reader, package)
    assert (first["is_store_card"], first["token"], first["organization"]) == (True, card.token, merchant.name)
    assert first["fields"]["balance"]["label"] == "Points"
    with app.app_context():
        number = db.session.get_one(Customer, card.customer_id).card_number
    assert list(first["barcodes"]) == [number]

    factories.tell(client, merchant, factories.event("e", properties={"change": 120}))
    card_cases.publish(app, merchant)
    card_cases.say(app, card, "Your reward is ready!")
    card_cases.publish(app, merchant, utcnow() + timedelta(minutes=1))
    package.write_bytes(_downloaded(app, client, card))
    # It shows texts only; the number is looked up beside it.
    (balance,) = json.loads(_files(package.read_bytes())["pass.json"])["storeCard"]["headerFields"]
    assert balance["value"] == 120
    assert read_card(reader, package)["fields"]["message"]["shown"].startswith("Your reward is ready!")
