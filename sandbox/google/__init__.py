"""The stand-in for Google Wallet: its token endpoint, its REST API for loyalty cards, save links and signed callbacks.

`install` is the only way in. The sandbox's Android phone uses the plain functions of `sandbox.google.wallet`.
"""

from flask import Flask

from sandbox.config import Config
from sandbox.google import control, gate, oauth, resources, saving
from sandbox.google.world import Google
from sandbox.klaviyo.world import World


def install(app: Flask, config: Config, klaviyo: World) -> Google:
    """Put it into an application beside the stand-in for Klaviyo, whose clock, faults and reset it shares."""
    found = Google(config, klaviyo)
    app.extensions["google_stand_in"] = found
    klaviyo.beside.append(found)
    gate.install(app)
    for bp in (oauth.bp, resources.bp, saving.bp, control.bp):
        app.register_blueprint(bp)
    return found
