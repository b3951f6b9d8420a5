"""`python -m bench [what ...] [--database ...]`: run benchmarks and print their figures."""

from __future__ import annotations

import argparse
import os
import platform

from bench.delivery import with_limits, without_limits
from bench.ingest import ingest
from bench.lag import lag
from bench.memory import memory
from bench.stack import DATABASES

BENCHMARKS = {
    "delivery": with_limits,
    "delivery-unlimited": without_limits,
    "ingest": ingest,
    "lag": lag,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *BENCHMARKS], metavar="what", help=", ".join(BENCHMARKS))
    parser.add_argument("--database", choices=DATABASES, help="both, one after the other, if left out")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}")
    for name in options.what or BENCHMARKS:
        for database in [options.database] if options.database else DATABASES:
            BENCHMARKS[name](database)


if __name__ == "__main__":
    main()
