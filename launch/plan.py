"""What is to be started, read from the environment once. A wrong value stops the start with one line that names the variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launch import ports
from launch.problems import StartError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    data_dir: Path
    portal_port: int
    sandbox_port: int
    # Apple's push service, in the sandbox's process.
    apns_port: int
    workers: int
    public_url: str
    sandbox_url: str
    # Where set, no Redis of our own is started.
    redis_url: str | None
    # With an app of the user's own at Klaviyo there is no sandbox.
    real_klaviyo: bool

    @property
    def portal_url(self) -> str:
        return f"http://{HOST}:{self.portal_port}"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def sandbox_dir(self) -> Path:
        return self.data_dir / "sandbox"


def read(env: Mapping[str, str]) -> Plan:
    """The plan. Raises `StartError`."""
    portal_port, sandbox_port = _port(env, "PORTAL_PORT", 8000), _port(env, "SANDBOX_PORT", 8100)
    return Plan(
        data_dir=Path(env.get("PORTAL_DATA_DIR") or "var").absolute(),
        portal_port=portal_port,
        sandbox_port=sandbox_port,
        apns_port=_port(env, "SANDBOX_APNS_PORT", sandbox_port + 1),
        workers=_whole(env, "PORTAL_WORKERS", 2, 1, 64),
        public_url=(env.get("PORTAL_PUBLIC_URL") or f"http://{HOST}:{portal_port}").rstrip("/"),
        sandbox_url=(env.get("SANDBOX_URL") or f"http://{HOST}:{sandbox_port}").rstrip("/"),
        redis_url=env.get("PORTAL_REDIS_URL") or None,
        real_klaviyo=is_given(env, "KLAVIYO_CLIENT_ID"),
    )


def check_ports(plan: Plan) -> None:
    """Raises `StartError` for a port that is taken."""
    wanted = {"PORTAL_PORT": plan.portal_port}
    if not plan.real_klaviyo:
        wanted |= {"SANDBOX_PORT": plan.sandbox_port, "SANDBOX_APNS_PORT": plan.apns_port}
    for name, port in wanted.items():
        if not ports.is_free(HOST, port):
            raise StartError(
                f"Port {port} is taken by another program. Choose another one: {name}={port + 1000} make run"
            )
    if len(set(wanted.values())) < len(wanted):
        raise StartError(f"{', '.join(wanted)} must be different ports.")


def is_given(env: Mapping[str, str], name: str) -> bool:
    """Set, directly or as a file."""
    return bool(env.get(name, "").strip() or env.get(f"{name}_FILE"))


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, 1, 65_535)


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise StartError(f"{name} must be a number from {least} to {most}, not {text!r}.")
    return int(text)
