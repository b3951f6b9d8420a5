"""What a phone refuses in a card, what it notifies of, and how it writes a value: no phone is needed for that."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from portal.wallet import Signer, build_pass, read_certificate
from sandbox.apple import notices, package, values
from sandbox.apple.authority import PASS_TYPE, TEAM, Authority, at_home
from sandbox.apple.package import Package, RefusedError
from tests.portal.wallet import cards
from tests.sandbox.shop import packed, sign, zipped

CARD: dict[str, Any] = {
    "formatVersion": 1, "passTypeIdentifier": PASS_TYPE, "teamIdentifier": TEAM, "serialNumber": "S1",
    "organizationName": "Nordic Coffee", "description": "Loyalty card",
    "storeCard": {"primaryFields": [{"key": "points", "value": 120, "label": "Points"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return at_home(tmp_path_factory.mktemp("apple"))


def _problems(authority: Authority, pkpass: bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        package.checked(pkpass, authority.root())
    return "; ".join(refused.value.problems)


def _with(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CARD, **changes}.items() if value is not None}


def _with_field(**field: Any) -> dict[str, Any]:
    return _with(storeCard={"backFields": [{"key": "k", "value": "v", **field}]})


def test_a_whole_card_is_taken(authority: Authority) -> None:
    found = package.checked(packed(authority, CARD), authority.root())
    assert found.card["serialNumber"] == "S1"
    assert found.fields("primaryFields")[0]["value"] == 120


def test_a_card_of_the_portals_with_all_that_a_card_can_have_is_taken(authority: Authority) -> None:
    files = [authority.pass_file.read_bytes(), authority.intermediate_file.read_bytes()]
    certificate = read_certificate(files, intermediates=[files[1]])
    built = build_pass(cards.full_card(), cards.images(), Signer(certificate))
    found = package.checked(built, authority.root())
    assert {"120", "80.5", "DKK 12.00", "01/03/2024"} <= {values.written(field) for field in found.fields()}


@pytest.mark.parametrize(
    ("card", "told"),
    [
        (_with(serialNumber=None), "serialNumber is missing"),
        (_with(description=""), "description is missing"),
        (_with(formatVersion=2), "formatVersion must be 1"),
        (_with(storeCard=None), "one style is needed"),
        (_with(coupon={}), "one style is needed"),
        (_with(storecard={}), "unknown key 'storecard'"),
        (_with(backgroundColor="#ffffff"), "backgroundColor must be rgb"),
        (_with(labelColor="rgb(1,2,300)"), "labelColor must be rgb"),
        (_with(webServiceURL="https://shop.example"), "need each other"),
        (_with(webServiceURL="http://shop.example", authenticationToken="x" * 16), "must begin with https"),
        (_with(webServiceURL="https://shop.example", authenticationToken="short"), "16 characters"),
        (_with(locations=[{"latitude": 1, "longitude": 2}] * 11), "at most 10"),
        (_with(locations=[{"latitude": "1"}]), "latitude and longitude"),
        (_with(expirationDate="tomorrow"), "expirationDate"),
        (_with(barcodes=[{"format": "QR", "message": "1", "messageEncoding": "utf-8"}]), "barcode has a format"),
        (_with(barcodes=[{"format": "PKBarcodeFormatQR", "message": ""}]), "message and messageEncoding"),
        (_with(featuredActions=[{}] * 3), "at most 2"),
        (_with(storeCard={"backField": []}), "unknown key 'backField'"),
        (_with(storeCard={"backFields": [{"key": "a", "value": 1}] * 2}), "'a' is there 2 times"),
        (_with_field(value=None), "value must be"),
        (_with_field(changeMessage=""), "changeMessage"),
        (_with_field(changemessage="%@"), "unknown key 'changemessage'"),
        (_with_field(attributedValue="<b>bold</b>"), "links only"),
        (_with_field(textAlignment="PKTextAlignmentLeft"), "not for this place"),
        (_with_field(value=1, numberStyle="PKNumberStyleDecimal", currencyCode="EUR"), "exclude each other"),
        (_with_field(value="1", currencyCode="EUR"), "must be a number"),
        (_with_field(value="2026-01-01", dateStyle="PKDateStyleShort"), "must be a date"),
        (_with(passTypeIdentifier="pass.example.other"), "not the certificate's"),
        (_with(teamIdentifier="OTHERTEAM1"), "not the certificate's"),
    ],
)
def test_what_breaks_apples_rules_is_refused_with_its_reason(
    card: dict[str, Any], told: str, authority: Authority
) -> None:
    assert told in _problems(authority, packed(authority, card))


def test_everything_that_is_wrong_is_told_at_once(authority: Authority) -> None:
    told = _problems(authority, packed(authority, _with(description=None, unknown=1)))
    assert "unknown key 'unknown'" in told
    assert "description is missing" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"files": {"icon.png": b"another"}}, "SHA-1 of icon.png"),
        ({"files": {"strip.png": b"new"}}, "strip.png is not in the manifest"),
        ({"files": {"manifest.json": b"{}"}}, "for another manifest"),
        ({"files": {"signature": b"\x30\x03\x02\x01\x05"}}, "cannot be read"),
        ({"files": {"pass.json": b"{"}}, "pass.json is no JSON"),
        ({"files": {"pass.json": b"[]"}}, "pass.json is no object"),
        ({"intermediate": False}, "WWDR"),
        ({"detached": False}, "not detached"),
        ({"signing_time": False}, "no signing time"),
    ],
)
def test_a_package_that_was_tampered_with_is_refused(options: dict[str, Any], told: str, authority: Authority) -> None:
    assert told in _problems(authority, packed(authority, CARD, **options))


def test_another_authoritys_cards_and_expired_certificates_are_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    other = at_home(tmp_path / "apple")
    assert "not lead to an authority" in _problems(authority, packed(other, CARD))
    expired = authority.issue_pass_certificate(days=-1)
    assert "was not valid" in _problems(authority, packed(authority, CARD, pem=expired))


def test_a_key_that_is_not_the_certificates_is_found_out(authority: Authority) -> None:
    own, other = authority.pass_file.read_bytes(), authority.issue_pass_certificate()
    mixed = own[: own.index(b"-----BEGIN PRIVATE")] + other[other.index(b"-----BEGIN PRIVATE") :]
    assert "another key" in _problems(authority, packed(authority, CARD, pem=mixed))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no zip at all", "no zip"),
        (zipped({"card/pass.json": b"{}"}), "manifest.json is missing"),
        (zipped({"manifest.json": b"{}"}), "pass.json is missing"),
        (zipped({f"{number}.png": b"" for number in range(300)}), "too large"),
    ],
)
def test_what_is_no_card_is_refused(content: bytes, told: str, authority: Authority) -> None:
    assert told in _problems(authority, content)


def test_a_card_without_icon_or_signature_is_refused(authority: Authority) -> None:
    document = json.dumps(CARD).encode()
    manifest = json.dumps({"pass.json": hashlib.sha1(document).hexdigest()}).encode()
    files = {"pass.json": document, "manifest.json": manifest}
    told = _problems(authority, zipped(files))
    assert "icon.png is missing" in told
    assert "signature is missing" in told
    assert "signature" not in _problems(authority, zipped({**files, "signature": sign(authority, manifest)}))


# --- notifications ---------------------------------------------------------------------------------


def _package(**more: Any) -> Package:
    """Two fields that speak, one that does not, and one that says nothing about its value."""
    listed = [
        {"key": "points", "value": 120, "changeMessage": "Now %@ points"},
        {"key": "message", "value": "Hello", "changeMessage": "%@"},
        {"key": "quiet", "value": "a"},
        {"key": "vague", "value": "a", "changeMessage": "Something happened"},
    ]
    for field in listed:
        field["value"] = more.get(str(field["key"]), field["value"])
    listed += more.get("fields", [])
    card = {**CARD, "storeCard": {"backFields": listed}, **more.get("card", {})}
    return Package(card, {})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"quiet": "b"}, None),
        ({"points": 1350.5}, "Now 1,350.5 points"),
        ({"message": "Your reward is ready!", "quiet": "b"}, "Your reward is ready!"),
        ({"points": 140, "message": "Hi"}, notices.GENERIC),
        ({"vague": "b"}, notices.GENERIC),
        ({"fields": [{"key": "new", "value": "x", "changeMessage": "%@"}]}, None),
        ({"message": "Hi", "card": {"voided": True}}, None),
        ({"message": "Hi", "card": {"expirationDate": "2020-01-01T00:00:00+00:00"}}, None),
    ],
)
def test_a_phone_notifies_of_one_changed_field_with_a_change_message(changes: dict[str, Any], told: str | None) -> None:
    assert notices.notice(_package(), _package(**changes)) == told


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ({"value": "120"}, "120"),
        ({"value": 1200}, "1,200"),
        ({"value": 12.50}, "12.5"),
        ({"value": 0}, "0"),
        ({"value": 1000000}, "1,000,000"),
        ({"value": -3.5, "currencyCode": "EUR"}, "-€3.50"),
        ({"value": 3, "currencyCode": "SEK"}, "SEK 3.00"),
        ({"value": 0.25, "numberStyle": "PKNumberStylePercent"}, "25%"),
        ({"value": "2026-03-01T09:30:00+00:00", "dateStyle": "PKDateStyleMedium"}, "1 Mar 2026"),
        (
            {"value": "2026-03-01T09:30Z", "dateStyle": "PKDateStyleShort", "timeStyle": "PKDateStyleShort"},
            "01/03/2026 at 09:30",
        ),
    ],
)
def test_values_are_written_as_on_a_phone(field: dict[str, Any], written: str) -> None:
    assert values.written(field) == written
