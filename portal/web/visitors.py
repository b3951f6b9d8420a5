"""Who follows a public link, by what the browser says of itself: which phone, no phone, or no person at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

IOS, ANDROID = "ios", "android"
# Previews in chats, search engines, mail scanners: none of them wants a card.
_BOT = re.compile(
    r"bot\b|bot/|crawl|spider|facebookexternalhit|facebot|whatsapp|slack|telegram|discord|embedly|preview|vkshare|"
    r"linkedin(?!app)|skypeuri|pinterest/|google-?safety|mediapartners|headless|curl/|wget/|python-requests|go-http|okhttp",
    re.I,
)
# Browsers inside other apps; many of them do not know what a card is.
_IN_APP = re.compile(
    r"instagram|fban|fbav|fb_iab|tiktok|bytedance|musical_ly|line/|snapchat|linkedinapp|micromessenger|gsa/|; wv\)",
    re.I,
)
_IPHONE = re.compile(r"iphone|ipad|ipod|cfnetwork", re.I)


@dataclass(frozen=True)
class Visitor:
    """`platform` is empty where it is no phone; an iPad says that it is a Mac."""

    is_bot: bool
    platform: str
    in_app: bool


def visitor(user_agent: str) -> Visitor:
    platform = IOS if _IPHONE.search(user_agent) else ANDROID if "Android" in user_agent else ""
    return Visitor(not user_agent.strip() or bool(_BOT.search(user_agent)), platform, bool(_IN_APP.search(user_agent)))
