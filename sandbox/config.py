"""The sandbox's start-up settings, and the one place that reads its environment.

What can be changed while it runs lives in `sandbox.klaviyo.switches`; this is fixed at start.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Everything the sandbox is told at start."""

    data_dir: Path = Path("var/sandbox")
    port: int = 8100
    url: str = "http://127.0.0.1:8100"
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret-for-local-use"
    redirect_uri: str = "http://127.0.0.1:8000/integrations/klaviyo/callback"
    install_url: str = ""
    app_name: str = "JeriCommerce"
    private_key: str = "pk_sandbox_nordic_coffee_0000000000000"
    limits: bool | None = None
    visibility_seconds: float | None = None
    # Where Apple's push service listens; 0 means nowhere.
    apns_port: int = 0

    # For whom the portal may act at Google Wallet.
    google_issuer_id: str = "3388000000099999999"

    @property
    def google_dir(self) -> Path:
        """Google's keys and its database."""
        return self.data_dir / "google"

    @property
    def apple_dir(self) -> Path:
        """The certificate authority's files."""
        return self.data_dir / "apple"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Config":
        """Read `SANDBOX_*`; what is absent keeps its default."""
        env = os.environ if env is None else env
        port = int(env.get("SANDBOX_PORT") or cls.port)
        limits = env.get("SANDBOX_LIMITS")
        visibility = env.get("SANDBOX_VISIBILITY_SECONDS")
        return cls(
            data_dir=Path(env.get("SANDBOX_DATA_DIR") or cls.data_dir),
            port=port,
            url=(env.get("SANDBOX_URL") or f"http://127.0.0.1:{port}").rstrip("/"),
            client_id=env.get("SANDBOX_CLIENT_ID") or cls.client_id,
            client_secret=env.get("SANDBOX_CLIENT_SECRET") or cls.client_secret,
            redirect_uri=env.get("SANDBOX_REDIRECT_URI") or cls.redirect_uri,
            install_url=env.get("SANDBOX_INSTALL_URL") or "",
            app_name=env.get("SANDBOX_APP_NAME") or cls.app_name,
            private_key=env.get("SANDBOX_PRIVATE_KEY") or cls.private_key,
            limits=_switch("SANDBOX_LIMITS", limits) if limits else None,
            visibility_seconds=float(visibility) if visibility else None,
            google_issuer_id=env.get("SANDBOX_GOOGLE_ISSUER_ID") or cls.google_issuer_id,
            apns_port=int(env.get("SANDBOX_APNS_PORT") or port + 1),
        )


def _switch(name: str, text: str) -> bool:
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError(f"{name} must be on or off, not {text!r}")
    return known[text.lower()]
