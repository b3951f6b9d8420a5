"""`/google/token`: an access token for an assertion that a service account signed.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import secrets
import time
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.google import jwts
from sandbox.google.identity import TOKEN_PATH
from sandbox.google.jwts import JwtError
from sandbox.google.world import Google, google

bp = Blueprint("google_oauth", __name__)

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME_SECONDS = 3599
_SKEW_SECONDS = 300
_BAD_TIMES = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
    " Check your iat and exp values in the JWT claim."
)


@bp.post(TOKEN_PATH)
def token() -> Response | tuple[Response, int]:
    here = google()
    if request.form.get("grant_type") != _GRANT:
        return _refuse("unsupported_grant_type", "Invalid grant_type")
    try:
        email = _account_of(here, jwts.read(request.form.get("assertion", "")))
    except JwtError as error:
        return _refuse("invalid_grant", str(error))
    made = f"ya29.sandbox.{secrets.token_urlsafe(40)}"
    with here.store.writing() as connection:
        connection.execute("DELETE FROM access_token WHERE expires < ?", (time.time(),))
        row = (made, email, time.time() + _LIFETIME_SECONDS)
        connection.execute("INSERT INTO access_token VALUES (?, ?, ?)", row)
    return jsonify(access_token=made, expires_in=_LIFETIME_SECONDS, token_type="Bearer")


def _account_of(here: Google, assertion: jwts.Jwt) -> str:
    """The account that signed it. Raises `JwtError`."""
    claims = assertion.claims
    row = here.service_account(claims.get("iss"))
    if row is None:
        raise JwtError("Invalid grant: account not found")
    if assertion.header.get("kid") != row["key_id"]:
        raise JwtError("Invalid JWT Signature.")
    assertion.check(row["public_key"])
    if claims.get("aud") not in (here.config.url + TOKEN_PATH, request.base_url):
        raise JwtError("Invalid JWT: Failed audience check.")
    if SCOPE not in str(claims.get("scope")).split():
        raise JwtError("Invalid OAuth scope or ID token audience provided.")
    if not _times_are_good(claims):
        raise JwtError(_BAD_TIMES)
    return str(row["email"])


def _times_are_good(claims: dict[str, Any]) -> bool:
    issued, ends, now = claims.get("iat"), claims.get("exp"), time.time()
    if not isinstance(issued, int) or not isinstance(ends, int):
        return False
    return issued <= now + _SKEW_SECONDS and now - _SKEW_SECONDS < ends <= issued + 3600


def _refuse(error: str, told: str) -> tuple[Response, int]:
    return jsonify(error=error, error_description=told), 400
