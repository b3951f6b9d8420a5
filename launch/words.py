"""What the person at the terminal reads, and the files that tell programs the same."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping

from launch.kept import Kept, write_private
from launch.plan import Plan
from launch.processes import Child

API_KEY_FILE = "api-key.txt"
SETTINGS_FILE = "settings.env"
FIRST_EVENT = {
    "id": "my-first-event",
    "type": "balance_changed",
    "customer": {"email": "ada@example.com"},
    "properties": {"change": 25, "balance": 125},
}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def obituary(child: Child) -> str:
    lines = "\n".join(f"  | {line}" for line in child.last_lines().splitlines())
    return f"{child.name} has stopped ({_how(child.exit_code)}); its log is {child.log}" + (
        f"\n{lines}" if lines else ""
    )


def _how(exit_code: int | None) -> str:
    return f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit {exit_code}"


def last_words(output: str) -> str | None:
    """What a command that failed said to a person, without the trace; None where it was not meant for one."""
    found = re.findall(r"^(?:Error|The portal does not start): (.+)", output, re.MULTILINE)
    return str(found[-1]) if found else None


def write_settings(wanted: Plan, env: Mapping[str, str]) -> None:
    """The variables of the processes, for `make flask` and whoever wants to start one by hand."""
    ours = {name: value for name, value in env.items() if name.startswith(("PORTAL_", "KLAVIYO_", "SANDBOX_"))}
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in sorted(ours.items()))
    write_private(wanted.data_dir / SETTINGS_FILE, "".join(lines))


def api_key(wanted: Plan) -> str:
    return (wanted.data_dir / API_KEY_FILE).read_text().strip()


def write_demo(wanted: Plan, secrets: Kept) -> None:
    """`demo.json`: where everything is and how to get in."""
    sandbox = (
        {}
        if wanted.real_klaviyo
        else {"sandbox_url": wanted.sandbox_url, "klaviyo_api_key": secrets.klaviyo_private_key}
    )
    demo = {
        "portal_url": wanted.public_url,
        "email": secrets.email,
        "password": secrets.password,
        "api_key": api_key(wanted),
        **sandbox,
    }
    write_private(wanted.data_dir / "demo.json", json.dumps(demo, indent=2) + "\n")


def welcome(wanted: Plan, secrets: Kept) -> str:
    if wanted.real_klaviyo:
        klaviyo = "the real one, because KLAVIYO_CLIENT_ID is set; no sandbox was started"
        phones = ""
    else:
        klaviyo = f"{wanted.sandbox_url}   a sandbox that stands in for Klaviyo; no account is needed"
        phones = f"\n  Phones     {wanted.sandbox_url}/phones   an iPhone and an Android phone to try cards on"
    return f"""
The portal is running.

  Portal     {wanted.public_url}
  Log in     {secrets.email}   password: {secrets.password}
  Klaviyo    {klaviyo}{phones}

1. Log in, connect Klaviyo under Integrations, and switch on Events.
2. Send a first event, and watch it arrive on the same page:

  curl {wanted.portal_url}/v1/events \\
    -H 'Authorization: Bearer {api_key(wanted)}' \\
    -H 'Content-Type: application/json' \\
    -d {shlex.quote(json.dumps(FIRST_EVENT))}

All of this is also in {wanted.data_dir / "demo.json"}; logs are in {wanted.logs}.
Press Ctrl-C to stop. The data is kept for the next start.
"""
