"""`python -m bench [what ...] [--database ...]`: run benchmarks and print their figures."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable

from bench.card_updates import card_updates
from bench.cards import cards
from bench.customers import customers
from bench.delivery import with_limits, without_limits
from bench.history import history, history_memory
from bench.ingest import ingest
from bench.lag import lag
from bench.memory import memory
from bench.passes import passes
from bench.properties import properties
from bench.push import push
from bench.push_campaign import push_campaign
from bench.pushes import pushes
from bench.segments import segments
from bench.segments_lag import segments_lag
from bench.stack import DATABASES

BENCHMARKS: dict[str, Callable[[str], None]] = {
    "card-updates": card_updates,
    "cards": cards,
    "customers": customers,
    "delivery": with_limits,
    "delivery-unlimited": without_limits,
    "history": history,
    "history-memory": history_memory,
    "ingest": ingest,
    "lag": lag,
    "memory": memory,
    "properties": properties,
    "push": push,
    "push-campaign": push_campaign,
    "segments": segments,
    "segments-lag": segments_lag,
}
WITHOUT_DATABASE = {"passes": passes, "pushes": pushes}


def _database(name: str) -> str:
    return "postgresql" if name == "postgres" else name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*BENCHMARKS, *WITHOUT_DATABASE]
    parser.add_argument("what", nargs="*", choices=[[], *names], metavar="what", help=", ".join(names))
    parser.add_argument("--database", type=_database, choices=DATABASES, help="both, one after the other, if left out")
    parser.add_argument("--customers", type=int, default=100_000, help="of how many `properties` are sent")
    parser.add_argument("--rows", type=int, default=1_000_000, help="that `history-memory` imports")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}")
    for name in options.what or names:
        if name in WITHOUT_DATABASE:
            WITHOUT_DATABASE[name]()
            continue
        for database in [options.database] if options.database else DATABASES:
            if name == "properties":
                properties(database, options.customers)
            elif name == "history-memory":
                history_memory(database, options.rows)
            else:
                BENCHMARKS[name](database)


if __name__ == "__main__":
    main()
