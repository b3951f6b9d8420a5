"""The stand-in for Klaviyo: its OAuth, its API, and pages to look inside.

`install` is the only way in; importing the topic modules registers their operations with the gate.
"""

from flask import Flask

from sandbox.config import Config
from sandbox.klaviyo import (  # noqa: F401 - importing registers operations and pages
    accounts,
    bulk_events,
    control,
    deletions,
    events,
    flow_pages,
    flows,
    frames,
    gate,
    import_jobs,
    metrics,
    oauth,
    pages,
    profiles,
    segment_pages,
    segments,
)
from sandbox.klaviyo.world import World


def install(app: Flask, config: Config) -> World:
    """Put the whole of Klaviyo into an application; returns what it runs on."""
    found = World(config)
    app.extensions["klaviyo_stand_in"] = found
    gate.install(app)
    app.register_blueprint(oauth.bp)
    app.register_blueprint(control.bp)
    app.register_blueprint(frames.bp)
    return found
