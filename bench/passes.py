"""Apple cards made and signed by one core, against what the key alone could sign, in the same run."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from PIL import Image

from portal import wallet
from tests.portal.wallet.authority import Authority

SECONDS = 3.0


def passes() -> None:
    key = rsa.generate_private_key(65537, 2048)
    authority = Authority()
    mine = authority.issue(key=key)
    certificate = wallet.read_certificate([mine.pem, mine.key_pem(), authority.intermediate.pem])
    signer, images = wallet.Signer(certificate), _images()
    made = wallet.build_pass(_card(0), images, signer)
    manifest = bytes(800)
    bare = _per_second(lambda _: key.sign(manifest, padding.PKCS1v15(), hashes.SHA256()))
    signing = _per_second(lambda _: signer.sign(manifest))
    whole = _per_second(lambda number: wallet.build_pass(_card(number), images, signer))
    again = _per_second(lambda number: wallet.build_pass(_card(number), images, wallet.Signer(certificate)))
    print(
        f"passes, one core: {whole:,.0f} cards/s of {len(made) / 1000:.0f} kB; the library signs {signing:,.0f} manifests/s, "
        f"so {whole / signing:.0%} of its ceiling (the bare key: {bare:,.0f}/s); "
        f"with the certificate loaded for every card {again:,.0f}/s, {whole / again:.1f} times slower"
    )


def _per_second(make: Callable[[int], object]) -> float:
    """By the processor's time, so that what else runs on the machine counts less."""
    started, done = time.process_time(), 0
    while (spent := time.process_time() - started) < SECONDS:
        make(done)
        done += 1
    return done / spent


def _images() -> wallet.Images:
    """Icon, logo and strip in three sizes each, as a design has them."""
    files: dict[str, bytes] = {}
    for slot in wallet.Slot:
        content = io.BytesIO()
        Image.linear_gradient("L").resize(slot.best).convert("RGB").save(content, "PNG")
        files |= wallet.prepare(slot, content.getvalue()).files
    return wallet.Images(files)


def _card(number: int) -> wallet.StoreCard:
    field = wallet.Field
    return wallet.StoreCard(
        serial_number=f"card-{number}",
        organization_name="Nordic Coffee",
        description="Nordic Coffee loyalty card",
        header=(field(key="balance", label="Points", value=number, change_message="You have %@ points"),),
        primary=(field(key="name", label="Member", value=f"Customer {number}"),),
        secondary=(field(key="tier", label="Tier", value="Gold"), field(key="next", label="To go", value=80)),
        back=(
            field(key="message", label="Latest news", value="Free refill today", change_message="%@"),
            field(key="since", label="Since", value=datetime.now(UTC), date_style=wallet.DateStyle.SHORT),
        ),
        barcodes=(wallet.Barcode(message=f"{number:012d}"),),
        web_service=wallet.WebService(url="https://cards.example/passkit", authentication_token="0" * 32),
        background=wallet.Colour.parse("#1a2b3c"),
    )
