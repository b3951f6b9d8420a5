"""The command line of every process, and the environment that all of them share.

The same commands, with the same variables, are what a deployment without `make run` starts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from launch.kept import Kept
from launch.plan import HOST, Plan, is_given

ROOT = Path(__file__).resolve().parent.parent
# Longer than any client of ours lets a connection lie idle between two uses in a row.
KEEP_ALIVE_SECONDS = "30"
# The issuer for whom the portal acts at the sandbox's Google Wallet.
GOOGLE_ISSUER_ID = "3388000000099999999"


def web(port: int, *, workers: int = 2, threads: int = 8) -> list[str]:
    options = {
        "--interface": "wsgi",
        "--host": HOST,
        "--port": str(port),
        "--http": "1",
        "--workers": str(workers),
        "--blocking-threads": str(threads),
        "--workers-kill-timeout": "10s",
        "--log-level": "warning",
    }
    words = [word for pair in options.items() for word in pair]
    return [sys.executable, "-m", "granian", *words, "--respawn-failed-workers", "--no-ws", "wsgi:app"]


def sandbox(port: int) -> list[str]:
    """One process, so that rate windows are counted exactly; gunicorn hands out the socket that some faults need."""
    options = {
        "--bind": f"{HOST}:{port}",
        "--worker-class": "gthread",
        "--workers": "1",
        "--threads": "16",
        "--keep-alive": KEEP_ALIVE_SECONDS,
        "--graceful-timeout": "10",
        "--log-level": "warning",
    }
    if Path("/dev/shm").is_dir():  # noqa: S108 - a heartbeat file on a slow disk can block a worker
        options["--worker-tmp-dir"] = "/dev/shm"  # noqa: S108
    words = [word for pair in options.items() for word in pair]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *words, "sandbox:create_app()"]


def sandbox_keys() -> list[str]:
    """Makes what the portal is handed: Apple's certificates and Google's service account."""
    return [sys.executable, "-m", "sandbox"]


def worker() -> list[str]:
    return [sys.executable, str(ROOT / "worker.py")]


def ticker() -> list[str]:
    return [sys.executable, str(ROOT / "worker.py"), "--ticker"]


def importer() -> list[str]:
    return [sys.executable, str(ROOT / "worker.py"), "--importer"]


def flask(*words: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", *words]


def environment(env: Mapping[str, str], plan: Plan, kept: Kept, redis_url: str) -> dict[str, str]:
    """The variables of every process: what the user has set, completed."""
    made = {
        "PORTAL_PORT": str(plan.portal_port),
        "PORTAL_PUBLIC_URL": plan.public_url,
        "PORTAL_DATA_DIR": str(plan.data_dir),
        "PORTAL_WORKERS": str(plan.workers),
        "PORTAL_REDIS_URL": redis_url,
        "PORTAL_SECRET_KEY": kept.secret_key,
        "PORTAL_ENCRYPTION_KEYS": kept.encryption_key,
    }
    if not plan.real_klaviyo:
        made |= _sandbox_variables(plan, kept)
        if not is_given(env, "PORTAL_APPLE_PASS_CERTIFICATE"):
            made |= _apple_variables(plan)
        if not is_given(env, "PORTAL_GOOGLE_SERVICE_ACCOUNT"):
            made |= _google_variables(plan)
    chosen = {name: value for name, value in made.items() if not is_given(env, name.removesuffix("_FILE"))}
    # Each thread that allocates would get a heap of its own, and what a login or a batch took would stay in it: glibc hardly
    # gives anything back, unless large pieces are always taken from the system.
    lean = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1000000", "PYTHONUNBUFFERED": "1"}
    return {**env, **chosen, "PORTAL_DATA_DIR": str(plan.data_dir), **lean}


def _sandbox_variables(plan: Plan, kept: Kept) -> dict[str, str]:
    return {
        "KLAVIYO_CLIENT_ID": kept.client_id,
        "KLAVIYO_CLIENT_SECRET": kept.client_secret,
        "PORTAL_KLAVIYO_API_URL": plan.sandbox_url,
        "PORTAL_KLAVIYO_WEB_URL": plan.sandbox_url,
        "SANDBOX_DATA_DIR": str(plan.sandbox_dir),
        "SANDBOX_PORT": str(plan.sandbox_port),
        "SANDBOX_APNS_PORT": str(plan.apns_port),
        "SANDBOX_GOOGLE_ISSUER_ID": GOOGLE_ISSUER_ID,
        "SANDBOX_URL": plan.sandbox_url,
        "SANDBOX_CLIENT_ID": kept.client_id,
        "SANDBOX_CLIENT_SECRET": kept.client_secret,
        "SANDBOX_REDIRECT_URI": f"{plan.public_url}/oauth/klaviyo/callback",
        "SANDBOX_INSTALL_URL": f"{plan.public_url}/oauth/klaviyo/install",
        "SANDBOX_PRIVATE_KEY": kept.klaviyo_private_key,
    }


def _apple_variables(plan: Plan) -> dict[str, str]:
    """What the sandbox's authority makes; a certificate of one's own belongs to Apple's own push service."""
    apple = plan.sandbox_dir / "apple"
    return {
        "PORTAL_APPLE_PASS_CERTIFICATE_FILE": str(apple / "pass.pem"),
        "PORTAL_APPLE_INTERMEDIATE_FILE": str(apple / "intermediate.pem"),
        "PORTAL_APPLE_PUSH_URL": f"https://{HOST}:{plan.apns_port}",
        "PORTAL_APPLE_PUSH_CA_FILE": str(apple / "root.pem"),
    }


def _google_variables(plan: Plan) -> dict[str, str]:
    """The sandbox's service account; one of one's own belongs to Google's own wallet."""
    google = plan.sandbox_url
    return {
        "PORTAL_GOOGLE_SERVICE_ACCOUNT_FILE": str(plan.sandbox_dir / "google" / "service-account.json"),
        "PORTAL_GOOGLE_ISSUER_ID": GOOGLE_ISSUER_ID,
        "PORTAL_GOOGLE_TOKEN_URL": f"{google}/google/token",
        "PORTAL_GOOGLE_API_URL": f"{google}/walletobjects/v1",
        "PORTAL_GOOGLE_SAVE_URL": f"{google}/gp/v/save",
        "PORTAL_GOOGLE_KEYS_URL": f"{google}/gp/m/issuer/keys",
    }
