"""What the designer's preview shows: a card of nobody's with the merchant's own tiers and rewards, and how well it can be read."""

from __future__ import annotations

from dataclasses import dataclass

from portal.services import programme
from portal.services.card_face import Face
from portal.services.designing import Draft
from portal.wallet import READABLE, READABLE_LARGE, Colour, WalletError, contrast

NUMBER = "5012345678901234"
BALANCE = 1_250
WHITE, BLACK = "#ffffff", "#000000"


@dataclass(frozen=True)
class Reading:
    """How one colour can be read on another; `kind` is ok, warn or bad."""

    what: str
    ratio: float
    kind: str
    words: str


def face(merchant_id: int) -> Face:
    """Where there is no tier or reward yet, one is made up, so that its label can be seen."""
    tiers = [tier.name for tier in programme.tiers_of(merchant_id)] or ["Silver", "Gold"]
    offered = [each.name for each in programme.rewards_of(merchant_id) if each.withdrawn_at is None] or ["Free coffee"]
    shown: Face = {"name": "Ada Example", "balance": BALANCE, "tier": tiers[0], "next_reward": offered[0]}
    if len(tiers) > 1:
        shown |= {"next_tier": tiers[1], "points_to_next_tier": 250}
    return {**shown, "points_to_next_reward": 50}


def read_colour(text: str) -> str:
    """As #rrggbb. Raises a `ValueError` with the remedy, as fields of forms do."""
    try:
        return Colour.parse(text).hex
    except WalletError as error:
        raise ValueError(error.message) from error


def readings(draft: Draft) -> list[Reading]:
    return [
        _reading("Text on the background", draft.foreground, draft.background),
        _reading("Labels on the background", draft.label, draft.background),
    ]


def _reading(what: str, colour: str, background: str) -> Reading:
    # Cut off and not rounded: 4.49 is not enough.
    ratio = int(contrast(Colour.parse(colour), Colour.parse(background)) * 10) / 10
    if ratio >= READABLE:
        return Reading(what, ratio, "ok", "easy to read.")
    if ratio >= READABLE_LARGE:
        return Reading(
            what, ratio, "warn", f"hard to read when small. Make one of the two lighter or darker, to {READABLE} to 1."
        )
    return Reading(
        what, ratio, "bad", f"hardly to be read. Make one of the two much lighter or darker, to {READABLE} to 1."
    )


def google_text(background: str) -> str:
    """Google writes in white or in black, whichever is easier to read."""
    behind = Colour.parse(background)
    return max((WHITE, BLACK), key=lambda text: contrast(Colour.parse(text), behind))
