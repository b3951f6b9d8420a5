"""Settings: the one reader of the environment.

Read once at start, frozen, checked; a wrong value stops the start with one line that names the variable.
Every variable may be given as a file instead by adding `_FILE` to its name.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

KEY_BYTES = 32
DEVELOPMENT_SECRET = "development-only-secret-never-use-in-production"
DEVELOPMENT_KEY = "dev:" + base64.b64encode(b"development-only-key-32-bytes-ok").decode()


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable and the remedy."""


@dataclass(frozen=True)
class Settings:
    env: str = "development"
    public_url: str = "http://127.0.0.1:8000"
    data_dir: Path = Path("var")
    database_url: str = ""
    redis_url: str = "redis://127.0.0.1:6379/0"
    secret_key: str = field(default=DEVELOPMENT_SECRET, repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(default=(), repr=False)
    # `id:base64` pairs, newest first; the first one encrypts, all of them decrypt.
    encryption_keys: tuple[str, ...] = field(default=(DEVELOPMENT_KEY,), repr=False)
    klaviyo_client_id: str = ""
    klaviyo_client_secret: str = field(default="", repr=False)
    klaviyo_api_url: str = "https://a.klaviyo.com"
    klaviyo_web_url: str = "https://www.klaviyo.com"
    # Our own pacing below Klaviyo's limits. Only a benchmark has a reason to switch it off.
    klaviyo_pacing: bool = True
    # PEM: the Pass Type ID certificate and its key, and Apple's intermediate above it; a merchant may bring its own.
    apple_pass_certificate: str = field(default="", repr=False)
    apple_intermediate: str = field(default="", repr=False)
    apple_push_url: str = "https://api.push.apple.com"
    # PEM of the authorities to trust there; empty means the system's.
    apple_push_ca: str = field(default="", repr=False)
    # Each phone that is woken comes back with two or three requests.
    pushes_per_second: int = 100
    google_service_account: str = field(default="", repr=False)
    google_issuer_id: str = ""
    # Where a service account gets its tokens; never what a file says that somebody uploaded.
    google_token_url: str = "https://oauth2.googleapis.com/token"
    google_api_url: str = "https://walletobjects.googleapis.com/walletobjects/v1"
    google_save_url: str = "https://pay.google.com/gp/v/save"
    google_keys_url: str = "https://pay.google.com/gp/m/issuer/keys"
    lease_seconds: int = 60
    lanes: int = 2
    workers: int = 2
    trusted_proxies: int = 0
    # Names beside that of `public_url` and of this machine under which requests are answered.
    trusted_hosts: tuple[str, ...] = ()
    keep_delivered_days: int = 30
    keep_failed_days: int = 90
    log_level: str = "INFO"

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises `SettingsError` that names the variable at fault."""
    env = os.environ if environ is None else environ
    data_dir = Path(_text(env, "PORTAL_DATA_DIR", "var")).absolute()
    settings = Settings(
        env=_text(env, "PORTAL_ENV", "development"),
        public_url=_text(env, "PORTAL_PUBLIC_URL", f"http://127.0.0.1:{_whole(env, 'PORTAL_PORT', 8000)}").rstrip("/"),
        data_dir=data_dir,
        database_url=_database_url(env, data_dir),
        redis_url=_redis_url(env),
        secret_key=_text(env, "PORTAL_SECRET_KEY", DEVELOPMENT_SECRET),
        secret_key_fallbacks=_list(env, "PORTAL_SECRET_KEY_FALLBACKS"),
        encryption_keys=_list(env, "PORTAL_ENCRYPTION_KEYS") or (DEVELOPMENT_KEY,),
        klaviyo_client_id=_text(env, "KLAVIYO_CLIENT_ID", ""),
        klaviyo_client_secret=_text(env, "KLAVIYO_CLIENT_SECRET", ""),
        klaviyo_api_url=_url(env, "PORTAL_KLAVIYO_API_URL", Settings.klaviyo_api_url),
        klaviyo_web_url=_url(env, "PORTAL_KLAVIYO_WEB_URL", Settings.klaviyo_web_url),
        klaviyo_pacing=_switch(env, "PORTAL_KLAVIYO_PACING", True),
        apple_pass_certificate=_pem(env, "PORTAL_APPLE_PASS_CERTIFICATE"),
        apple_intermediate=_pem(env, "PORTAL_APPLE_INTERMEDIATE"),
        apple_push_url=_url(env, "PORTAL_APPLE_PUSH_URL", Settings.apple_push_url),
        apple_push_ca=_pem(env, "PORTAL_APPLE_PUSH_CA"),
        pushes_per_second=_whole(env, "PORTAL_PUSHES_PER_SECOND", 100, least=1),
        google_service_account=_text(env, "PORTAL_GOOGLE_SERVICE_ACCOUNT", ""),
        google_issuer_id=_text(env, "PORTAL_GOOGLE_ISSUER_ID", ""),
        google_token_url=_url(env, "PORTAL_GOOGLE_TOKEN_URL", Settings.google_token_url),
        google_api_url=_url(env, "PORTAL_GOOGLE_API_URL", Settings.google_api_url),
        google_save_url=_url(env, "PORTAL_GOOGLE_SAVE_URL", Settings.google_save_url),
        google_keys_url=_url(env, "PORTAL_GOOGLE_KEYS_URL", Settings.google_keys_url),
        lease_seconds=_whole(env, "PORTAL_LEASE_SECONDS", 60, least=2),
        lanes=_whole(env, "PORTAL_LANES", 2, least=1),
        workers=_whole(env, "PORTAL_WORKERS", 2, least=1),
        trusted_proxies=_whole(env, "PORTAL_TRUSTED_PROXIES", 0),
        trusted_hosts=_list(env, "PORTAL_TRUSTED_HOSTS"),
        keep_delivered_days=_whole(env, "PORTAL_KEEP_DELIVERED_DAYS", 30, least=1),
        keep_failed_days=_whole(env, "PORTAL_KEEP_FAILED_DAYS", 90, least=1),
        log_level=_text(env, "PORTAL_LOG_LEVEL", "INFO").upper(),
    )
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuse what would be unsafe or could not work. Raises `SettingsError`."""
    if settings.env not in ("development", "production"):
        raise SettingsError("PORTAL_ENV must be 'development' or 'production'.")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError("PORTAL_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.")
    for pair in settings.encryption_keys:
        _check_key(pair)
    if settings.production:
        _check_production(settings)


def _check_key(pair: str) -> None:
    kid, _, encoded = pair.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if not kid or len(key) != KEY_BYTES:
        raise SettingsError(
            "PORTAL_ENCRYPTION_KEYS must be 'id:base64' with 32 bytes of key; make one with `flask encryption-key`."
        )


def _check_production(settings: Settings) -> None:
    if settings.secret_key == DEVELOPMENT_SECRET or len(settings.secret_key) < KEY_BYTES:
        raise SettingsError("PORTAL_SECRET_KEY must be set to at least 32 random characters in production.")
    if DEVELOPMENT_KEY in settings.encryption_keys:
        raise SettingsError("PORTAL_ENCRYPTION_KEYS must be set in production; make one with `flask encryption-key`.")
    if any(settings.secret_key in pair for pair in settings.encryption_keys):
        raise SettingsError("PORTAL_SECRET_KEY and PORTAL_ENCRYPTION_KEYS must be different secrets.")
    if not settings.public_url.startswith("https://"):
        raise SettingsError("PORTAL_PUBLIC_URL must begin with https:// in production.")
    if not settings.klaviyo_client_id or not settings.klaviyo_client_secret:
        raise SettingsError("KLAVIYO_CLIENT_ID and KLAVIYO_CLIENT_SECRET must be set in production.")


def _text(env: Mapping[str, str], name: str, default: str) -> str:
    if path := env.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE cannot be read: {error.strerror}.") from error
    return env.get(name, "").strip() or default


def _pem(env: Mapping[str, str], name: str) -> str:
    text = _text(env, name, "")
    if text and "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError(f"{name} must hold a certificate as PEM text; give its file as {name}_FILE.")
    return text


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _text(env, name, "").split(",") if part.strip())


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int = 0) -> int:
    text = _text(env, name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise SettingsError(f"{name} must be a whole number of {least} or more, not {text!r}.")
    return int(text)


def _switch(env: Mapping[str, str], name: str, default: bool) -> bool:
    text = _text(env, name, "on" if default else "off").lower()
    if text not in ("on", "off"):
        raise SettingsError(f"{name} must be 'on' or 'off', not {text!r}.")
    return text == "on"


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    text = _text(env, name, default).rstrip("/")
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc:
        raise SettingsError(f"{name} must be a web address such as {default}, not {text!r}.")
    return text


def _database_url(env: Mapping[str, str], data_dir: Path) -> str:
    text = _text(env, "PORTAL_DATABASE_URL", f"sqlite:///{data_dir / 'portal.sqlite3'}")
    # Hosting providers hand out postgres:// and postgresql://; both mean psycopg 3 here.
    for scheme in ("postgres://", "postgresql://"):
        if text.startswith(scheme):
            text = "postgresql+psycopg://" + text.removeprefix(scheme)
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError("PORTAL_DATABASE_URL must begin with sqlite:/// or postgresql://.")
    _check_port("PORTAL_DATABASE_URL", text, 5432)
    return text


def _redis_url(env: Mapping[str, str]) -> str:
    text = _text(env, "PORTAL_REDIS_URL", Settings.redis_url)
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("PORTAL_REDIS_URL must begin with redis://, rediss:// or unix://.")
    _check_port("PORTAL_REDIS_URL", text, 6379)
    return text


def _check_port(name: str, url: str, usual: int) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise SettingsError(f"{name} must have a number for its port, such as :{usual}.") from error


_current: Settings | None = None


def use(settings: Settings) -> None:
    """Install the settings of this process (called once, by `create_app`)."""
    global _current
    _current = settings


def current() -> Settings:
    if _current is None:
        raise RuntimeError("config.use() has not been called")
    return _current
