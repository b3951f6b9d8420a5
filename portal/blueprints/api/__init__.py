"""/v1: the API for merchants' programs. JSON in, JSON out, one key per request, one shape for every error."""

from __future__ import annotations

from portal.blueprints.api import customers, describing, events, imports, push
from portal.blueprints.api.routes import bp

# Importing the modules of the resources registers their routes.
__all__ = ["bp", "customers", "describing", "events", "imports", "push"]
