"""Settings: what is wrong is said by its variable's name, and production starts with nothing that is known or short."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from portal import config
from portal.config import DEVELOPMENT_KEY, DEVELOPMENT_SECRET, Settings, SettingsError

KEY = "2026:" + base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    "PORTAL_ENV": "production",
    "PORTAL_PUBLIC_URL": "https://portal.example",
    "PORTAL_SECRET_KEY": "s" * 40,
    "PORTAL_ENCRYPTION_KEYS": KEY,
    "KLAVIYO_CLIENT_ID": "client",
    "KLAVIYO_CLIENT_SECRET": "secret",
}


def test_an_empty_environment_is_a_development_portal_on_this_machine() -> None:
    settings = config.load({})
    assert not settings.production
    assert not settings.secure_cookies
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.database_url == f"sqlite:///{Path('var').absolute() / 'portal.sqlite3'}"


def test_production_starts_with_what_it_needs() -> None:
    settings = config.load(PRODUCTION)
    assert settings.production
    assert settings.secure_cookies


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_SECRET_KEY", ""),
        ("PORTAL_SECRET_KEY", DEVELOPMENT_SECRET),
        ("PORTAL_SECRET_KEY", "s" * 31),
        ("PORTAL_ENCRYPTION_KEYS", ""),
        ("PORTAL_ENCRYPTION_KEYS", DEVELOPMENT_KEY),
        ("PORTAL_ENCRYPTION_KEYS", f"{KEY},{DEVELOPMENT_KEY}"),
        ("PORTAL_PUBLIC_URL", "http://portal.example"),
        ("KLAVIYO_CLIENT_ID", ""),
        ("KLAVIYO_CLIENT_SECRET", ""),
    ],
)
def test_production_does_not_start_without_secrets_of_its_own(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        config.load({**PRODUCTION, name: value})


def test_one_secret_does_not_serve_for_two_purposes() -> None:
    with pytest.raises(SettingsError, match="different"):
        config.load({**PRODUCTION, "PORTAL_SECRET_KEY": KEY.partition(":")[2]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_ENV", "staging"),
        ("PORTAL_PORT", "eighty"),
        ("PORTAL_WORKERS", "0"),
        ("PORTAL_WORKERS", "-1"),
        ("PORTAL_WORKERS", "²"),
        ("PORTAL_LANES", "1.5"),
        ("PORTAL_LEASE_SECONDS", "1"),
        ("PORTAL_KLAVIYO_PACING", "maybe"),
        ("PORTAL_LOG_LEVEL", "chatty"),
        ("PORTAL_KLAVIYO_API_URL", "a.klaviyo.com"),
        ("PORTAL_KLAVIYO_WEB_URL", "ftp://www.klaviyo.com"),
        ("PORTAL_DATABASE_URL", "mysql://here/portal"),
        ("PORTAL_DATABASE_URL", "postgresql://here:port/portal"),
        ("PORTAL_REDIS_URL", "localhost:6379"),
        ("PORTAL_REDIS_URL", "redis://localhost:port/0"),
        ("PORTAL_ENCRYPTION_KEYS", "no-colon"),
        ("PORTAL_ENCRYPTION_KEYS", "id:" + base64.b64encode(b"too short").decode()),
        ("PORTAL_ENCRYPTION_KEYS", "id:not base64"),
        ("PORTAL_SECRET_KEY_FILE", "/nowhere/at/all"),
        ("PORTAL_APPLE_PASS_CERTIFICATE", "/etc/pass.pem"),
        ("PORTAL_APPLE_PUSH_URL", "api.push.apple.com"),
    ],
)
def test_a_wrong_value_is_said_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        config.load({name: value})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_means_the_same_driver(scheme: str) -> None:
    assert config.load({"PORTAL_DATABASE_URL": f"{scheme}://u@h/d"}).database_url == "postgresql+psycopg://u@h/d"


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from-a-file\n")
    assert config.load({"PORTAL_SECRET_KEY_FILE": str(path), "PORTAL_SECRET_KEY": "x"}).secret_key == "from-a-file"


def test_a_list_may_have_spaces_and_gaps() -> None:
    assert config.load({"PORTAL_SECRET_KEY_FALLBACKS": " a, b,,"}).secret_key_fallbacks == ("a", "b")


def test_settings_do_not_show_secrets_when_they_are_printed() -> None:
    secret = "never-to-be-seen-" * 3
    printed = repr(Settings(secret_key=secret, encryption_keys=(secret,), klaviyo_client_secret=secret))
    assert secret not in printed
