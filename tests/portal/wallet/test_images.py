"""Pictures that merchants upload: what comes out in Apple's sizes, and what is never decoded."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from portal.wallet import ImageError, Images, Slot, prepare
from portal.wallet.images import HEAVY_BYTES, LARGEST_BYTES
from tests.portal.wallet.cards import png


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["PNG"])


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


SIZES = [
    (Slot.ICON, (500, 500), [(38, 38), (76, 76), (114, 114)], 0),
    (Slot.ICON, (50, 40), [(38, 38), (76, 76), (114, 114)], 2),
    (Slot.LOGO, (960, 300), [(160, 50), (320, 100), (480, 150)], 0),
    (Slot.LOGO, (400, 400), [(50, 50), (100, 100), (150, 150)], 0),
    (Slot.LOGO, (160, 20), [(160, 20), (320, 40), (480, 60)], 1),
    (Slot.STRIP, (1125, 432), [(375, 144), (750, 288), (1125, 432)], 0),
    (Slot.STRIP, (4000, 500), [(375, 144), (750, 288), (1125, 432)], 1),
    (Slot.STRIP, (400, 150), [(375, 144), (750, 288), (1125, 432)], 1),
]


@pytest.mark.parametrize(("slot", "size", "expected", "advice"), SIZES)
def test_a_picture_comes_out_in_three_sizes_with_advice_where_it_could_look_better(
    slot: Slot, size: tuple[int, int], expected: list[tuple[int, int]], advice: int
) -> None:
    prepared = prepare(slot, png(*size))
    assert list(prepared.files) == [f"{slot.file}.png", f"{slot.file}@2x.png", f"{slot.file}@3x.png"]
    assert [opened(content).size for content in prepared.files.values()] == expected
    assert len(prepared.advice) == advice


def test_prepared_icons_are_what_a_card_takes() -> None:
    assert set(Images(prepare(Slot.ICON, png(200, 200)).files).hashes) == {"icon.png", "icon@2x.png", "icon@3x.png"}


def test_an_icon_that_is_not_square_stands_on_the_colour_of_its_corner() -> None:
    icon = opened(prepare(Slot.ICON, png(200, 100, "#336699")).files["icon.png"])
    assert icon.getcolors() == [(38 * 38, (0x33, 0x66, 0x99))]


def test_transparency_is_kept() -> None:
    logo = Image.new("RGBA", (480, 150), (0, 0, 0, 0))
    drawn = opened(prepare(Slot.LOGO, saved(logo)).files["logo.png"])
    assert drawn.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_photograph_is_turned_upright_and_loses_where_it_was_taken() -> None:
    photo = Image.new("RGB", (432, 1125), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    exif[0x010E] = "taken at home"
    prepared = prepare(Slot.STRIP, saved(photo, "JPEG", exif=exif))
    assert prepared.advice == ()
    assert not [content for content in prepared.files.values() if b"at home" in content or opened(content).getexif()]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I;16"])
def test_every_kind_of_colour_becomes_one_that_phones_show(mode: str) -> None:
    picture = Image.new(mode, (160, 50))
    upload = saved(picture, "JPEG" if mode == "CMYK" else "PNG")
    assert {opened(content).mode for content in prepare(Slot.LOGO, upload).files.values()} <= {"RGB", "RGBA", "P"}


def test_a_busy_photograph_is_made_light_enough_to_travel() -> None:
    noise = Image.effect_noise((1125, 432), 60).convert("RGB")
    files = prepare(Slot.STRIP, saved(noise)).files
    assert len(files["strip@3x.png"]) > HEAVY_BYTES  # noise is the worst there is
    assert opened(files["strip@3x.png"]).mode == "P"
    assert len(files["strip@3x.png"]) < len(saved(noise)) / 1.5


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
REFUSED = {
    "image_kind": SVG,
    "image_too_many_pixels": bomb(60_000, 60_000),
    "image_too_large": b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_BYTES),
    "image_too_small": png(37, 38),
    "image_shape": png(9_000, 40),
    "image_damaged": bomb(500, 500)[:60],
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_go_on_a_card_has_an_answer_of_its_own(code: str) -> None:
    with pytest.raises(ImageError) as refused:
        prepare(Slot.ICON, REFUSED[code])
    assert refused.value.code == code
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "BMP", "TIFF", "ICO"])
def test_other_formats_are_not_even_tried(kind: str) -> None:
    with pytest.raises(ImageError, match="not a PNG or JPEG"):
        prepare(Slot.ICON, saved(Image.new("RGB", (64, 64)), kind))


WHOLE = [png(160, 50), saved(Image.new("RGB", (160, 50), "red"), "JPEG")]


@given(whole=st.sampled_from(WHOLE), place=st.integers(min_value=8), value=st.integers(0, 255), cut=st.integers(0, 90))
def test_a_damaged_picture_is_drawn_or_refused_and_nothing_else(whole: bytes, place: int, value: int, cut: int) -> None:
    damaged = bytearray(whole)
    damaged[place % len(damaged)] = value
    with suppress(ImageError):
        prepare(Slot.LOGO, bytes(damaged[: len(damaged) - cut]))
