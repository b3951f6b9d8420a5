"""The parts that cards of both kinds are shown with: a line of text with its links, and a QR code."""

from __future__ import annotations

import io
from dataclasses import dataclass

import segno
from markupsafe import Markup


@dataclass(frozen=True)
class Shown:
    """One field of a card; `links` are what can be tapped in it."""

    key: str
    label: str
    text: str
    links: tuple[dict[str, str], ...] = ()


def can_be_tapped(url: str) -> bool:
    """Phones open nothing else from a card, and pages must not."""
    return url.startswith(("https://", "http://", "tel:", "mailto:"))


def qr_code(message: str) -> Markup:
    """An inline SVG that is sized by the page."""
    drawn = io.BytesIO()
    code = segno.make(message, error="m", micro=False)
    code.save(drawn, kind="svg", xmldecl=False, omitsize=True, light="#fff", border=2, svgclass=None, lineclass=None)
    return Markup(drawn.getvalue().decode())  # noqa: S704 - holds nothing but the drawing
