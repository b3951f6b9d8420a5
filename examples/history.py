"""Turn a purchase history into a file that can be imported: `python -m examples.history FILE > past.jsonl`.

The format is CDNOW's, as for `examples.replay`. One event a line, as JSON; only how many points were added is told, and the portal's
ledger adds them up. Import the file in the portal under Integrations > Klaviyo > History import, or through `POST /v1/imports`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.replay import EXTRACT, ReplayError, events


def past(file: Path) -> Iterator[dict[str, Any]]:
    """The file's events in its order. Raises `ReplayError` that names the line."""
    for event in events(file, now=False):
        told = event["properties"]
        yield {**event, "properties": {"change": told["change"], "reason": told["reason"]}}


def main() -> int:
    parser = argparse.ArgumentParser(description="Turn a purchase history into a file that can be imported.")
    parser.add_argument("file", nargs="?", type=Path, default=EXTRACT, help="default: the extract beside this program")
    options = parser.parse_args()
    try:
        for event in past(options.file):
            print(json.dumps(event))
    except (ReplayError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
