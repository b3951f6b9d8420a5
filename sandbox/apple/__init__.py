"""The stand-in for Apple: a certificate authority of its own, and the push service that wakes the sandbox's phones.

What a phone does with a card, `package`, `vocabulary` and `notices` say; `sandbox.phones` are the phones that do it.
"""

from flask import Flask

from sandbox.apple import control
from sandbox.apple.apns import Deliver
from sandbox.apple.world import Apple
from sandbox.config import Config
from sandbox.klaviyo.world import World


def install(app: Flask, config: Config, klaviyo: World, deliver: Deliver) -> Apple:
    """Put it beside the stand-in for Klaviyo, whose faults, latency and reset it shares; pushes go to `deliver`."""
    found = Apple(config, klaviyo, deliver)
    app.extensions["apple_stand_in"] = found
    klaviyo.beside.append(found)
    app.register_blueprint(control.bp)
    return found
