"""QR codes as inline SVG, sized by the page."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr_code(message: str) -> Markup:
    code = segno.make(message, error="m", micro=False)
    # The package's own drawing: the message is in it as squares only.
    return Markup(code.svg_inline(omitsize=True, light="#fff", border=2, svgclass=None, lineclass=None))  # noqa: S704
