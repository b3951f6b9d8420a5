"""What every answer carries so that a browser protects its user, and what is refused before a view is reached.

There is no inline script or style on any page, so the content policy needs no exception.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, abort, request
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response

from portal.config import Settings
from portal.db import LARGEST_ID
from portal.services import accounts
from portal.web.guards import API_KEY, guard_of, most_bytes_of

MEGABYTE = 1024 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Pages that scan a card.
MAY_SEE = ("till",)
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]

csrf = CSRFProtect()


class RowNumber(IntegerConverter):
    """`<int:...>` in an address is the number of a row: one that no row can have is a page that does not exist."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=LARGEST_ID)


def configure(app: Flask, settings: Settings) -> None:
    app.url_map.converters["int"] = RowNumber
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=list(settings.secret_key_fallbacks),
        # The prefix makes browsers refuse the cookie from a sibling host; it needs Secure.
        SESSION_COOKIE_NAME="__Host-session" if settings.secure_cookies else "session",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=accounts.SESSION_DAYS),
        MAX_CONTENT_LENGTH=6 * MEGABYTE,
        WTF_CSRF_TIME_LIMIT=None,
        TRUSTED_HOSTS=[urlsplit(settings.public_url).hostname or "localhost", *settings.trusted_hosts, *LOOPBACK],
    )


def init_app(app: Flask, settings: Settings) -> None:
    # Before the check of the token, which reads the form.
    app.before_request(_make_room_for_file)
    csrf.init_app(app)
    app.before_request(_refuse_other_sites)
    policy = content_policy(settings)

    @app.after_request
    def protect(answer: Response) -> Response:
        return _protect(answer, policy, settings.secure_cookies)

    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def content_policy(settings: Settings) -> str:
    """Browsers apply `form-action` to a form's redirects too, and Connect is a form that ends at Klaviyo."""
    klaviyo = urlsplit(settings.klaviyo_web_url)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "font-src 'self'",
            f"form-action 'self' {klaviyo.scheme}://{klaviyo.netloc}",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        )
    )


def _make_room_for_file() -> None:
    if (most := most_bytes_of(request.endpoint)) is not None:
        request.max_content_length = most


def _refuse_other_sites() -> None:
    """A browser says where a request comes from; programs do not, and theirs carry a key."""
    if request.method in SAFE_METHODS or guard_of(request.endpoint) == API_KEY:
        return
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)


def _protect(answer: Response, policy: str, https: bool) -> Response:
    headers = answer.headers
    headers["Content-Security-Policy"] = policy
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Referrer-Policy", "same-origin")
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    camera = "(self)" if request.blueprint in MAY_SEE else "()"
    headers["Permissions-Policy"] = f"camera={camera}, microphone=(), geolocation=(), payment=(), usb=()"
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if guard_of(request.endpoint) == API_KEY:
        return answer
    if answer.mimetype == "text/html" or "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
        answer.vary.update(("Cookie", "HX-Request"))
    return answer
