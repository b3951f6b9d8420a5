"""`python run.py`: the portal with everything around it, on this machine. `make run` installs what it needs first.

Parses on any Python 3, so that an old one is told what is wrong.
"""

import os
import sys

OLDEST = (3, 11)


def main() -> int:
    if sys.version_info < OLDEST:
        sys.stderr.write("The portal needs Python 3.11 or newer; this is %d.%d.\n" % sys.version_info[:2])  # noqa: UP031
        return 1
    from launch import running

    return running.main(os.environ)


if __name__ == "__main__":
    sys.exit(main())
