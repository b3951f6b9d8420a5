"""OAuth with Klaviyo: authorization code with PKCE S256, refresh, revoke.

Source: https://developers.klaviyo.com/en/docs/set_up_oauth. Token calls go to a.klaviyo.com only; www is blocked since 2025-03-31.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portal.exchange import USER_AGENT, Answer, exchange
from portal.klaviyo.errors import KlaviyoError, NoAnswerError

TOKEN_PATH = "/oauth/token"
REVOKE_PATH = "/oauth/revoke"
DEFAULT_EXPIRES_SECONDS = 3600
LONGEST_EXPIRES_SECONDS = 366 * 86_400


class GrantRefusedError(KlaviyoError):
    """Klaviyo refused the code or the refresh token for good; `.code` is OAuth's error code, such as `invalid_grant`."""

    permanent = True

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Tokens:
    """What the token endpoint gave. `refresh` may be the same as before: keep whatever comes back."""

    access: str
    refresh: str | None
    expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class App:
    """Our app at Klaviyo, and where it is sent back to."""

    client_id: str
    client_secret: str
    redirect_uri: str
    api_url: str
    web_url: str

    def authorize_url(self, scopes: tuple[str, ...]) -> tuple[str, str, str]:
        """(url, state, code verifier): send the browser to the first, keep the other two for its return.

        Authlib takes 3 MB, and only here: no process has them that connects nobody.
        """
        from authlib.common.security import generate_token
        from authlib.integrations.requests_client import OAuth2Session

        verifier = generate_token(64)
        client = OAuth2Session(
            self.client_id, scope=" ".join(scopes), redirect_uri=self.redirect_uri, code_challenge_method="S256"
        )
        url, state = client.create_authorization_url(f"{self.web_url}/oauth/authorize", code_verifier=verifier)
        return url, state, verifier

    def exchange_code(self, code: str, verifier: str) -> Tokens:
        """Tokens for an authorization code. Raises `GrantRefusedError` or `NoAnswerError`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self.redirect_uri,
        }
        return self._tokens(self._post(TOKEN_PATH, form))

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens. Raises `GrantRefusedError` (uninstalled, revoked, 90 days unused) or `NoAnswerError`."""
        return self._tokens(self._post(TOKEN_PATH, {"grant_type": "refresh_token", "refresh_token": refresh_token}))

    def revoke(self, refresh_token: str) -> None:
        """Disconnect the app at Klaviyo. Raises `NoAnswerError`; a token that is already dead is a success."""
        answer = self._post(REVOKE_PATH, {"token": refresh_token, "token_type_hint": "refresh_token"})
        if answer.status is None or answer.status >= 500 or answer.status == 429:
            raise NoAnswerError(answer.failure or f"HTTP {answer.status}")

    def _post(self, path: str, form: dict[str, str]) -> Answer:
        return exchange(
            "POST",
            self.api_url,
            path,
            data=form,
            auth=(self.client_id, self.client_secret),
            headers={"Accept": "application/json", "User-Agent": USER_AGENT},
        )

    @staticmethod
    def _tokens(answer: Answer) -> Tokens:
        body = answer.json()
        if answer.status == 200 and isinstance(body, dict) and body.get("access_token"):
            return Tokens(
                access=str(body["access_token"]),
                refresh=str(body["refresh_token"]) if body.get("refresh_token") else None,
                expires_at=datetime.now(UTC) + _lifetime(body.get("expires_in")),
                scopes=tuple(str(body.get("scope") or "").split()),
            )
        # A proxy's HTML 403 or a 5xx says nothing about the grant; only OAuth's own words do.
        if answer.status in (400, 401) and isinstance(body, dict) and body.get("error"):
            raise GrantRefusedError(str(body["error"])[:60])
        raise NoAnswerError(answer.failure or f"HTTP {answer.status} from the token endpoint")


def _lifetime(told: object) -> timedelta:
    """`expires_in` as far as it makes sense: what is not understood must not cost the token."""
    if isinstance(told, str) and told.isascii() and told.isdigit():
        told = int(told[:9])
    if isinstance(told, int | float) and 0 < told <= LONGEST_EXPIRES_SECONDS:
        return timedelta(seconds=told)
    return timedelta(seconds=DEFAULT_EXPIRES_SECONDS)
