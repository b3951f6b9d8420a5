"""A shop with Apple cards, as small as can be: it signs them, is their web service, and can be told to do it wrong."""

from __future__ import annotations

import hashlib
import io
import json
import ssl
import threading
import zipfile
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from sandbox.apple.authority import PASS_TYPE, TEAM, Authority

TOKEN = "a-token-of-sixteen-letters"
_PIXEL = b"\x89PNG not really"


@cache
def _key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, None)


def sign(authority: Authority, manifest: bytes, pem: bytes | None = None, **options: Any) -> bytes:
    """A detached signature with the authority's pass certificate, or another's, or one that lacks something."""
    pem = pem or authority.pass_file.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    builder = pkcs7.PKCS7SignatureBuilder(manifest).add_signer(certificate, _key(pem), hashes.SHA256())
    if options.get("intermediate", True):
        builder = builder.add_certificate(authority.intermediate())
    dated = options.get("signing_time", True)
    chosen = [
        pkcs7.PKCS7Options.Binary,
        pkcs7.PKCS7Options.NoCapabilities if dated else pkcs7.PKCS7Options.NoAttributes,
    ]
    if options.get("detached", True):
        chosen.append(pkcs7.PKCS7Options.DetachedSignature)
    return builder.sign(serialization.Encoding.DER, chosen)


def zipped(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def packed(authority: Authority, card: dict[str, Any], **options: Any) -> bytes:
    """A whole and right `.pkpass`; `files` are added after the manifest was made."""
    files = {"pass.json": json.dumps(card).encode(), "icon.png": _PIXEL}
    manifest = json.dumps({name: hashlib.sha1(content).hexdigest() for name, content in files.items()}).encode()
    signature = sign(authority, manifest, **options)
    return zipped({**files, "manifest.json": manifest, "signature": signature, **options.get("files", {})})


@dataclass
class Wrongs:
    """What the web service does wrong."""

    numeric_tag: bool = False
    same_tag: bool = False
    ignores_since: bool = False
    stranger: str = ""
    status: int | None = None
    times: int = 0


@dataclass
class Card:
    fields: dict[str, tuple[Any, str | None]]
    changed: int = 1
    modified: int = 1_700_000_000
    more: dict[str, Any] = field(default_factory=dict)


class Shop:
    def __init__(self, authority: Authority, push_url: str) -> None:
        self.authority, self._push_url = authority, push_url
        self.cards: dict[str, Card] = {}
        self.registered: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        self.logs: list[str] = []
        self.wrong = Wrongs()
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.agents: list[str] = []
        self._tag = 1
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"shop": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def issue(self, serial: str = "S1", **more: Any) -> str:
        """A card; where it is downloaded."""
        fields: dict[str, tuple[Any, str | None]] = {
            "points": (120, "You have %@ points."),
            "tier": ("Silver", "Welcome to %@!"),
            "message": ("Hello", "%@"),
            "note": ("Quiet", None),
        }
        self.cards[serial] = Card(fields, more=more)
        return f"{self.url}/download/{serial}"

    def document(self, serial: str) -> dict[str, Any]:
        card = self.cards[serial]
        listed = [
            {"key": key, "label": key.title(), "value": value, **({"changeMessage": told} if told else {})}
            for key, (value, told) in card.fields.items()
        ]
        link = {
            "key": "site",
            "value": "Visit us",
            "attributedValue": f'<a href="{self.url}/go?a=1&amp;b=2">Visit us</a>',
        }
        whole = {
            "formatVersion": 1, "passTypeIdentifier": PASS_TYPE, "teamIdentifier": TEAM, "serialNumber": serial,
            "organizationName": "Nordic Coffee", "description": "Loyalty card", "webServiceURL": self.url,
            "authenticationToken": TOKEN, "backgroundColor": "rgb(34, 89, 63)",
            "barcodes": [{"format": "PKBarcodeFormatQR", "message": serial, "messageEncoding": "iso-8859-1"}],
            "storeCard": {"primaryFields": listed[:1], "secondaryFields": listed[1:2], "backFields": [*listed[2:], link]},
            **card.more,
        }  # fmt: skip
        return {name: value for name, value in whole.items() if value is not None}

    def change(self, serial: str = "S1", *, push: bool = True, **values: Any) -> None:
        """New values of fields, as one version; phones that are registered are woken."""
        card = self.cards[serial]
        card.fields.update({key: (value, card.fields[key][1]) for key, value in values.items()})
        self._tag += 1
        card.changed, card.modified = self._tag, card.modified + 1
        if push:
            self.push(serial)

    def push(self, serial: str = "S1") -> list[int]:
        context = ssl.create_default_context(cafile=str(self.authority.root_file))
        context.load_cert_chain(self.authority.pass_file)
        tokens = [token for (_, each), token in self.registered.items() if each == serial]
        with httpx2.Client(http1=False, http2=True, verify=context, timeout=10) as http:
            headers = {"apns-topic": PASS_TYPE}
            return [
                http.post(f"{self._push_url}/3/device/{token}", headers=headers, content=b"{}").status_code
                for token in tokens
            ]

    # --- what the handler asks ---------------------------------------------------------------------

    def changed(self, device: str, since: str | None) -> tuple[int, bytes]:
        after = int(since or 0)
        serials = [serial for at, serial in self.registered if at == device and self.cards[serial].changed > after]
        if not serials:
            return 204, b""
        serials += [self.wrong.stranger] if self.wrong.stranger else []
        tag: Any = since if self.wrong.same_tag and since else str(self._tag)
        tag = int(tag) if self.wrong.numeric_tag else tag
        return 200, json.dumps({"serialNumbers": serials, "lastUpdated": tag}).encode()


class _Handler(BaseHTTPRequestHandler):
    shop: Shop

    def _serve(self) -> None:
        shop, path = self.shop, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shop.calls.append(f"{self.command} {unquote(path.path)}")
        shop.agents.append(self.headers.get("User-Agent", ""))
        parts = [unquote(part) for part in path.path.split("/") if part]
        if shop.wrong.times and shop.wrong.status and parts[:1] == ["v1"] and parts[1] != "log":
            shop.wrong.times -= 1
            self._answer(shop.wrong.status)
        elif parts[:1] == ["download"] and parts[1] in shop.cards:
            self._card(parts[1], None)
        elif parts[:2] == ["v1", "log"]:
            shop.logs += json.loads(body)["logs"]
            self._answer(200)
        elif parts[:2] == ["v1", "devices"]:
            self._device(parts[2], parts[-1] if len(parts) == 6 else "", body, parse_qs(path.query))
        elif parts[:2] == ["v1", "passes"] and self._let_in():
            self._card(parts[3], self.headers.get("If-Modified-Since"))
        else:
            status, headers, content = shop.pages.get(path.path, (404, {}, b"nothing here"))
            self._answer(status, content, headers)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

    def _device(self, device: str, serial: str, body: bytes, query: dict[str, list[str]]) -> None:
        if not serial:
            self._answer(*self.shop.changed(device, query.get("passesUpdatedSince", [None])[0]))  # type: ignore[list-item]
        elif not self._let_in():
            return
        elif self.command == "POST":
            new = (device, serial) not in self.shop.registered
            self.shop.registered[device, serial] = json.loads(body)["pushToken"]
            self._answer(201 if new else 200)
        else:
            self.shop.registered.pop((device, serial), None)
            self._answer(200)

    def _let_in(self) -> bool:
        known = self.headers.get("Authorization") == f"ApplePass {TOKEN}"
        if not known:
            self._answer(401)
        return known

    def _card(self, serial: str, since: str | None) -> None:
        modified = formatdate(self.shop.cards[serial].modified, usegmt=True)
        if since == modified and not self.shop.wrong.ignores_since:
            self._answer(304)
            return
        headers = {"Content-Type": "application/vnd.apple.pkpass", "Last-Modified": modified}
        self._answer(200, packed(self.shop.authority, self.shop.document(serial)), headers)

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Not on the terminal."""
