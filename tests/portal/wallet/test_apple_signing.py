"""The `.pkpass` as others see it: openssl checks the signature and the chain, and KDE's library reads the card."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from portal.wallet import CardError, Images, PassCertificate, Signer, build_pass, read_certificate
from tests.portal.wallet.authority import PASS_TYPE, TEAM, Authority, Issued
from tests.portal.wallet.cards import TOKEN, full_card, images
from tests.portal.wallet.readers import read_card, verify


@pytest.fixture
def files(signer: Signer) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(build_pass(full_card(), images(), signer))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_openssl_accepts_the_signature_and_the_chain(
    files: dict[str, bytes], authority: Authority, tmp_path: Path
) -> None:
    assert verify(tmp_path, authority.root.pem, files["signature"], files["manifest.json"]).returncode == 0
    assert (tmp_path / "signed").read_bytes() == files["manifest.json"]
    words = ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", "s"]
    printed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "signingTime" in printed
    assert "eContent: <ABSENT>" in printed
    assert "Apple Worldwide Developer Relations" in printed


@pytest.mark.parametrize("kind", ["rsa", "elliptic"])
def test_line_feeds_in_a_manifest_are_signed_as_they_are(
    kind: str, authority: Authority, issued: Issued, tmp_path: Path
) -> None:
    each = issued if kind == "rsa" else authority.issue()
    signer = Signer(read_certificate([each.pem, each.key_pem(), authority.intermediate.pem]))
    manifest = b'{\n  "pass.json": "x"\n}\n'
    assert verify(tmp_path, authority.root.pem, signer.sign(manifest), manifest).returncode == 0


def test_a_changed_manifest_is_not_accepted(files: dict[str, bytes], authority: Authority, tmp_path: Path) -> None:
    changed = files["manifest.json"].replace(b'"icon.png"', b'"icom.png"')
    assert changed != files["manifest.json"]
    assert "erif" in verify(tmp_path, authority.root.pem, files["signature"], changed).stderr


def test_another_authority_does_not_vouch_for_it(files: dict[str, bytes], tmp_path: Path) -> None:
    assert verify(tmp_path, Authority().root.pem, files["signature"], files["manifest.json"]).returncode != 0


def test_the_manifest_has_the_hash_of_every_other_file(files: dict[str, bytes]) -> None:
    listed = json.loads(files["manifest.json"])
    others = files.keys() - {"manifest.json", "signature"}
    assert listed == {name: hashlib.sha1(files[name]).hexdigest() for name in others}
    assert others == {"pass.json", "icon.png", "icon@2x.png", "logo.png"}


def test_the_card_belongs_to_whom_the_certificate_says(files: dict[str, bytes]) -> None:
    document = json.loads(files["pass.json"])
    assert (document["passTypeIdentifier"], document["teamIdentifier"]) == (PASS_TYPE, TEAM)


def test_all_but_the_signature_is_the_same_for_the_same_card(signer: Signer, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(build_pass(full_card(), images(), signer))) as archive:
        again = {name: archive.read(name) for name in archive.namelist()}
    assert {**again, "signature": b""} == {**files, "signature": b""}


def test_a_card_without_an_icon_is_refused_before_a_phone_does() -> None:
    with pytest.raises(CardError) as refused:
        Images({"logo.png": b"x"})
    assert refused.value.code == "icon_missing"


def test_a_signer_keeps_what_pushing_needs_to_know(signer: Signer, certificate: PassCertificate) -> None:
    assert (signer.pass_type_id, signer.not_after) == (PASS_TYPE, certificate.not_after)


# --- an independent reader -----------------------------------------------------------------------


def test_an_independent_reader_understands_the_card(signer: Signer, reader: Path, tmp_path: Path) -> None:
    package = tmp_path / "card.pkpass"
    package.write_bytes(build_pass(full_card(), images(), signer))
    read = read_card(reader, package)
    fields = read.pop("fields")
    assert read == {
        "is_store_card": True, "organization": "Nordic Coffee", "description": "Nordic Coffee loyalty card",
        "update_url": f"https://portal.example/passkit/v1/passes/{PASS_TYPE}/card-1", "token": TOKEN,
        "background": "#1a2b3c", "expires_at": "2030-01-01T00:00:00Z", "locations": 1, "icon_pixels": 76,
        "barcodes": {"4711": 4},
    }  # fmt: skip
    assert fields["name"] == {"label": "Member", "shown": "Zoë “Z” Ørsted ☕", "changed": ""}
    assert fields["message"] == {"label": "Latest news", "shown": "Free refill today", "changed": "Free refill today"}
    assert len(fields) == 8
