"""A service account's file is checked when it is uploaded, and what is wrong is said with its remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PublicFormat
from google.auth import jwt

from portal.wallet.google import TOKEN_URI, ServiceAccountError, check_service_account, save_link
from tests.portal.wallet.google_issuer import CLASS_ID, OBJECT_ID, pem, service_account_file, service_account_key


def _changed(**members: Any) -> str:
    return json.dumps({**json.loads(service_account_file()), **members})


def test_a_good_file_is_taken_but_never_its_address_for_tokens() -> None:
    account = check_service_account(service_account_file())
    assert account.client_email == "portal@cards.iam.gserviceaccount.com"
    assert account.token_uri == TOKEN_URI
    assert check_service_account(service_account_file(), "http://127.0.0.1:1/token").token_uri.endswith(":1/token")
    assert "PRIVATE" not in repr(account)


@pytest.mark.parametrize(
    ("file", "field", "words"),
    [
        ("", None, "not JSON"),
        ("[" * 9_000, None, "not JSON"),
        ("[]", None, "not a service account"),
        ("x" * 30_000, None, "too large"),
        ('{"web": {"client_id": "1"}}', "type", "of an OAuth client"),
        ('{"type": "authorized_user"}', "type", "person's own login"),
        ('{"type": 7}', "type", "not a service account"),
        (_changed(client_email=None), "client_email", "has no client_email"),
        (_changed(client_email="portal"), "client_email", "not an email"),
        (_changed(private_key_id=" "), "private_key_id", "has no private_key_id"),
        (_changed(private_key="-----BEGIN\ud800"), "private_key", "cannot be read"),
        (_changed(private_key=pem(service_account_key(1024))), "private_key", "at least 2048 bits"),
        (_changed(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "private_key", "not an RSA key"),
        (
            _changed(private_key=pem(service_account_key(1024), BestAvailableEncryption(b"secret"))),
            "private_key",
            "encrypted",
        ),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_remedy(file: str, field: str | None, words: str) -> None:
    with pytest.raises(ServiceAccountError) as caught:
        check_service_account(file)
    assert caught.value.field == field
    assert words in caught.value.message
    assert "create a new key of type JSON" in caught.value.message


def test_a_save_link_names_the_card_and_is_signed_by_the_account() -> None:
    account = check_service_account(service_account_file())
    link = save_link(account, OBJECT_ID, CLASS_ID, origins=("https://shop.example",))
    base, _, token = link.rpartition("/")
    public = service_account_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert jwt.decode_header(token) == {"alg": "RS256", "kid": "0a1b2c", "typ": "JWT"}
    _, claims, signed, signature = jwt._unverified_decode(token)
    assert jwt.crypt.verify_signature(signed, signature, public)
    assert base == "https://pay.google.com/gp/v/save"
    assert claims.pop("iat") > 1_700_000_000
    assert claims == {
        "iss": account.client_email,
        "aud": "google",
        "typ": "savetowallet",
        "origins": ["https://shop.example"],
        "payload": {"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]},
    }
    assert len(link) < 1_800
