"""One application per module, emptied after each test."""

from tests.portal.kept_app import app, database_url, kept, settings

__all__ = ["app", "database_url", "kept", "settings"]
