"""The portal for a WSGI server, and for `flask`: `granian --interface wsgi wsgi:app`."""

from portal import create_app
from portal.config import SettingsError

try:
    app = create_app()
except SettingsError as error:
    # One line for whoever set it, in place of a traceback.
    raise SystemExit(f"The portal does not start: {error}") from None
