"""The certificate authority in place of Apple's: what it makes once, keeps, and renews."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from sandbox.apple.authority import PASS_TYPE, PASS_TYPE_EXTENSION, TEAM, Authority, at_home


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return at_home(tmp_path / "apple")


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _verified(authority: Authority, path: Path) -> bool:
    above = ["-CAfile", str(authority.root_file), "-untrusted", str(authority.intermediate_file)]
    done = subprocess.run(["openssl", "verify", "-x509_strict", *above, str(path)], capture_output=True, timeout=30)
    return done.returncode == 0


def test_a_pass_certificate_names_its_team_and_pass_type_as_apples_do(authority: Authority) -> None:
    found = _certificate(authority.pass_file)
    named = {part.oid: part.value for part in found.subject}
    assert (named[NameOID.USER_ID], named[NameOID.ORGANIZATIONAL_UNIT_NAME]) == (PASS_TYPE, TEAM)
    carried = found.extensions.get_extension_for_oid(PASS_TYPE_EXTENSION).value
    assert isinstance(carried, x509.UnrecognizedExtension)
    assert carried.value.endswith(PASS_TYPE.encode())
    key = load_pem_private_key(authority.pass_file.read_bytes(), None)
    assert key.public_key() == found.public_key()


def test_openssl_finds_the_way_from_each_certificate_to_the_root(authority: Authority) -> None:
    assert _verified(authority, authority.pass_file)
    assert _verified(authority, authority.push_file)


def test_a_certificate_can_be_issued_for_another_team_or_be_over_already(authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(authority.issue_pass_certificate("pass.example.other", "OTHERTEAM1"))
    assert _verified(authority, other)
    other.write_bytes(authority.issue_pass_certificate(days=-1))
    assert _certificate(other).not_valid_after_utc < datetime.now(UTC)
    assert not _verified(authority, other)


def test_it_is_made_once_and_only_what_ends_soon_is_renewed(authority: Authority) -> None:
    before = {path.name: path.read_bytes() for path in authority.folder.iterdir()}
    assert at_home(authority.folder) == authority
    assert {path.name: path.read_bytes() for path in authority.folder.iterdir()} == before
    with time_machine.travel(datetime.now(UTC) + timedelta(days=340), tick=False):
        at_home(authority.folder)
    changed = {path.name for path in authority.folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"pass.pem", "push.pem"}
    _certificate(authority.pass_file).verify_directly_issued_by(authority.intermediate())


def test_its_files_are_for_their_owner_only(authority: Authority) -> None:
    assert {path.stat().st_mode & 0o077 for path in authority.folder.iterdir()} == {0}
