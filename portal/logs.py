"""Logs as one JSON object a line. Names and numbers only: no token, no address of a person, no query string."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from portal.config import Settings

_RENAMED = {"levelname": "level", "name": "logger", "asctime": "at"}


def configure(settings: Settings) -> None:
    """Send everything through one handler on standard error."""
    # A record that cannot be written (told to stop in the middle of it, say) is not answered with a raw traceback on standard error.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=_RENAMED))
    root = logging.getLogger()
    for old in [each for each in root.handlers if getattr(each, "portal", False)]:
        root.removeHandler(old)
    handler.portal = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    # Chatty at INFO: rq names jobs, alembic every migration, urllib3 every retry; httpx2 every address, with a push token in it.
    for name in ("rq", "rq.worker", "alembic", "urllib3", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
