"""Access tokens for a service account, kept by each process until shortly before they end.

google-auth would fetch them too, but with waits and repeats of its own; here it signs, and the exchange is ours.
Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest.
"""

from __future__ import annotations

import time
from dataclasses import replace

from portal.exchange import USER_AGENT, exchange
from portal.wallet.google_account import ServiceAccount
from portal.wallet.google_reply import Outcome, Reply, judge

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_SECONDS = 3600
SPARE_SECONDS = 120

# Two threads that miss at once both fetch one, which does no harm: a new token does not end the last.
_kept: dict[ServiceAccount, tuple[str, float]] = {}


def access_token(account: ServiceAccount) -> str | Reply:
    """A token, or the reply that was no token."""
    token, ends_at = _kept.get(account, ("", 0.0))
    return token if time.time() < ends_at else _fetch(account)


def forget_token(account: ServiceAccount) -> None:
    """Google did not take the token that was kept."""
    _kept.pop(account, None)


def _fetch(account: ServiceAccount) -> str | Reply:
    now = int(time.time())
    claims = {"iss": account.client_email, "scope": SCOPE, "aud": account.token_uri}
    assertion = account.sign({**claims, "iat": now, "exp": now + LIFETIME_SECONDS})
    form = {"grant_type": GRANT, "assertion": assertion}
    reply = judge(exchange("POST", account.token_uri, "", data=form, headers={"User-Agent": USER_AGENT}))
    if reply.outcome is Outcome.REFUSED:  # `invalid_grant` and its like: about the key, not about what we wanted
        return replace(reply, outcome=Outcome.KEY_REFUSED)
    if not reply.ok:
        return reply
    token, seconds = reply.document.get("access_token"), reply.document.get("expires_in")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        return replace(reply, outcome=Outcome.TROUBLE, said="the token endpoint answered without a token")
    lifetime = seconds if isinstance(seconds, int) and seconds < LIFETIME_SECONDS else LIFETIME_SECONDS
    _kept[account] = (token, now + lifetime - SPARE_SECONDS)
    return token
