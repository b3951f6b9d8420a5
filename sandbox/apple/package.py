"""A `.pkpass` as a phone opens it: everything is checked, and what is wrong is said in the words of a device's log."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from sandbox.apple import signature, vocabulary
from sandbox.apple.signature import SignatureError

_LARGEST_BYTES, _MOST_FILES = 20_000_000, 200
_UNLISTED = {"manifest.json", "signature"}


class RefusedError(Exception):
    """The phone does not take the card; `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Package:
    """A card that a phone takes."""

    card: dict[str, Any]
    files: dict[str, bytes]

    @property
    def style(self) -> dict[str, Any]:
        content: dict[str, Any] = next(self.card[name] for name in vocabulary.STYLES if name in self.card)
        return content

    def fields(self, place: str | None = None) -> list[dict[str, Any]]:
        """The fields of one place on the card, or of all."""
        places = (place,) if place else vocabulary.FIELD_LISTS
        return [field for name in places for field in self.style.get(name, [])]

    def picture(self, name: str) -> str | None:
        """The file of an image in the best size there is."""
        return next((file for size in ("@3x", "@2x", "") if (file := f"{name}{size}.png") in self.files), None)


def opened(pkpass: bytes) -> Package:
    """One that was checked when it came. Raises `RefusedError` for what cannot be read at all."""
    files = _unpacked(pkpass)
    return Package(_document(files, "pass.json"), files)


def checked(pkpass: bytes, root: x509.Certificate) -> Package:
    """Open it for the first time. Raises `RefusedError`."""
    files = _unpacked(pkpass)
    manifest = _document(files, "manifest.json")
    card = _document(files, "pass.json")
    problems = _compare(manifest, files)
    if "icon.png" not in files:
        problems.append("icon.png is missing")
    problems += vocabulary.complaints(card)
    problems += _distrust(card, files, root)
    if problems:
        raise RefusedError(problems)
    return Package(card, files)


def _unpacked(pkpass: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(pkpass)) as archive:
            listed = archive.infolist()
            if len(listed) > _MOST_FILES or sum(each.file_size for each in listed) > _LARGEST_BYTES:
                raise RefusedError(["the file is too large"])
            return {each.filename: archive.read(each) for each in listed if not each.is_dir()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise RefusedError([f"the file is no zip ({error})"]) from error


def _document(files: dict[str, bytes], name: str) -> dict[str, Any]:
    if name not in files:
        raise RefusedError([f"{name} is missing"])
    try:
        found = json.loads(files[name])
    except ValueError as error:
        raise RefusedError([f"{name} is no JSON ({error})"]) from error
    if not isinstance(found, dict):
        raise RefusedError([f"{name} is no object"])
    return found


def _compare(manifest: dict[str, Any], files: dict[str, bytes]) -> list[str]:
    there = {name: content for name, content in files.items() if name not in _UNLISTED}
    problems = [f"{name} is not in the manifest" for name in there if name not in manifest]
    problems += [f"{name} is in the manifest only" for name in manifest if name not in there]
    for name, content in there.items():
        if name in manifest and manifest[name] != hashlib.sha1(content, usedforsecurity=False).hexdigest():
            problems.append(f"the SHA-1 of {name} is not the manifest's")
    return problems


def _distrust(card: dict[str, Any], files: dict[str, bytes], root: x509.Certificate) -> list[str]:
    if "signature" not in files:
        return ["signature is missing"]
    try:
        signer = signature.check(files["signature"], files["manifest.json"], root, datetime.now(UTC))
    except SignatureError as error:
        return [str(error)]
    problems = []
    if signer.pass_type != card.get("passTypeIdentifier"):
        problems.append(f"passTypeIdentifier is not the certificate's ({signer.pass_type})")
    if signer.team != card.get("teamIdentifier"):
        problems.append(f"teamIdentifier is not the certificate's ({signer.team})")
    return problems
