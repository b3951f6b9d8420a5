"""A merchant's pictures in the sizes Apple wants. An upload is measured before it is decoded, and drawn anew, never passed on.

Imported when the first picture is drawn (`slots`).
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageDraw, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from portal.wallet.colours import READABLE_LARGE, Colour, contrast
from portal.wallet.errors import ImageError
from portal.wallet.slots import SCALES, Prepared, Slot

LARGEST_BYTES = 5 << 20
# A picture of a few kilobytes can claim to be gigapixels; more than a good phone's camera makes is not decoded.
MOST_PIXELS = 25_000_000
# A phone fetches the whole card at every change of its balance: a photograph is kept to this, at the cost of fine shades.
HEAVY_BYTES = 100_000
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": PngImageFile, b"\xff\xd8\xff": JpegImageFile}
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error)


def prepare(slot: Slot, upload: bytes) -> Prepared:
    """As `slots.prepare`."""
    picture = _opened(upload)
    _check_size(slot, picture.size)
    try:
        drawn = ImageOps.exif_transpose(picture).convert("RGBA")
    except _UNDECODABLE:
        raise _damaged() from None
    files = {}
    for scale in SCALES:
        name = f"{slot.file}.png" if scale == 1 else f"{slot.file}@{scale}x.png"
        files[name] = _png(_fitted(slot, drawn, (slot.width * scale, slot.height * scale)))
    return Prepared(files, tuple(_advice(slot, drawn.size)))


def plain_icon(colour: Colour) -> Prepared:
    """As `slots.plain_icon`."""
    width, height = Slot.ICON.best
    drawn = Image.new("RGBA", (width, height), colour)
    disc = Colour.parse("#ffffff") if contrast(colour, Colour(255, 255, 255)) >= READABLE_LARGE else Colour(0, 0, 0)
    ImageDraw.Draw(drawn).ellipse((width * 0.28, height * 0.28, width * 0.72, height * 0.72), fill=disc)
    content = io.BytesIO()
    drawn.save(content, "PNG")
    return prepare(Slot.ICON, content.getvalue())


def _opened(upload: bytes) -> Image.Image:
    """The picture's head, with nothing decoded. Opened by its own first bytes, so that no other format is ever tried."""
    if len(upload) > LARGEST_BYTES:
        raise ImageError(
            "image_too_large",
            f"The picture has {len(upload) / 1e6:.1f} MB. Save it smaller than {LARGEST_BYTES >> 20} MB and upload it again.",
        )
    plugin = next((each for signature, each in _SIGNATURES.items() if upload.startswith(signature)), None)
    if plugin is None:
        raise ImageError(
            "image_kind",
            "This is not a PNG or JPEG picture, and Wallet shows no others. Export it as PNG (best for logos) or JPEG.",
        )
    try:
        picture = plugin(io.BytesIO(upload))
    except _UNDECODABLE:
        raise _damaged() from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ImageError(
            "image_too_many_pixels",
            f"The picture is {width:,} by {height:,} pixels, far more than a card shows. "
            "Save it with at most 5,000 pixels on each side.",
        )
    return picture


def _check_size(slot: Slot, size: tuple[int, int]) -> None:
    """A logo may be narrow or flat: one side suffices. The others fill their place."""
    width, height = size
    enough = (width >= slot.width, height >= slot.height)
    if any(enough) if slot is Slot.LOGO else all(enough):
        return
    raise ImageError(
        "image_too_small",
        f"The {slot.file} is {width} by {height} pixels and would be a blur on the card. "
        f"Upload one of {slot.best[0]} by {slot.best[1]} pixels, or at least {slot.width} by {slot.height}.",
    )


def _fitted(slot: Slot, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if slot is Slot.STRIP:
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    inside = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    if not all(inside.size):
        raise ImageError(
            "image_shape",
            f"The {slot.file} is {picture.width:,} by {picture.height:,} pixels, and would be thinner than a line on the card. "
            "Cut off what is empty and upload it again.",
        )
    if slot is Slot.LOGO or inside.size == size:
        return inside
    # An icon is square. Around one that is not goes the colour of its corner, transparent where that is.
    square = Image.new("RGBA", size, inside.getpixel((0, 0)))
    square.paste(inside, ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2))
    return square


def _png(picture: Image.Image) -> bytes:
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    saved = _saved(picture)
    return saved if len(saved) <= HEAVY_BYTES else min(saved, _saved(_lighter(picture)), key=len)


def _lighter(picture: Image.Image) -> Image.Image:
    """With 256 colours; without transparency they can be dithered, so that a sky shows no bands."""
    if picture.mode == "RGBA":
        return picture.quantize(256, Image.Quantize.FASTOCTREE)
    return picture.quantize(palette=picture.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)


def _saved(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def _advice(slot: Slot, size: tuple[int, int]) -> list[str]:
    advice, (width, height), (best_width, best_height) = [], size, slot.best
    sharp = (width >= best_width, height >= best_height)
    if not (any(sharp) if slot is Slot.LOGO else all(sharp)):
        advice.append(
            f"The {slot.file} is {width} by {height} pixels and looks soft on newer phones. "
            f"{best_width} by {best_height} is sharp on all of them."
        )
    if slot is Slot.ICON and width != height:
        advice.append("The icon is not square, so a border was added. A square picture fills its place.")
    if slot is Slot.STRIP and not 0.8 <= (width * slot.height) / (height * slot.width) <= 1.25:
        advice.append(f"The {slot.file} has another shape than its place on the card, so a part of it is cut off.")
    return advice


def _damaged() -> ImageError:
    return ImageError(
        "image_damaged",
        "The picture could not be read: the file is damaged or cut short. Export it again and upload that.",
    )
