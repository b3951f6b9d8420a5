"""Phones in the browser: they open a link, add a card as a real phone does, keep it up to date, and show what they would show.

`install` is the only way in. A phone is reached by Apple's stand-in alone; what it carries from Google, Google's keeps.
"""

from flask import Flask

from sandbox.apple import authority
from sandbox.config import Config
from sandbox.klaviyo.world import World
from sandbox.phones import control, pages
from sandbox.phones.carried import Phones
from sandbox.phones.wallet import run_errand


def install(app: Flask, config: Config, klaviyo: World) -> Phones:
    """Put them beside the stand-in for Klaviyo, whose reset they share."""
    found = Phones(config, lambda: authority.at_home(config.apple_dir).root(), run_errand)
    app.extensions["phones"] = found
    klaviyo.beside.append(found)
    app.register_blueprint(control.bp)
    app.register_blueprint(pages.bp)
    return found
