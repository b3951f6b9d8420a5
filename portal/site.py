"""The pages and the API: what answers requests. Workers and the ticker do without it, and without 8 MB."""

from __future__ import annotations

from flask import Flask
from flask_bootstrap import Bootstrap5
from htmx_flask import Htmx
from jinja2 import StrictUndefined

from portal.blueprints import (
    activity,
    api,
    api_keys,
    auth,
    campaigns,
    card_design,
    card_pictures,
    customers,
    deeds,
    docs,
    erasures,
    google_callbacks,
    health,
    history,
    home,
    integrations,
    modules,
    oauth,
    passkit,
    points,
    profiles,
    push_rules,
    push_tests,
    push_webhook,
    pushes,
    rewards,
    segments,
    smart_link,
    status,
    suppressions,
    team,
    tiers,
    till,
    trial,
    wallet_cards,
)
from portal.blueprints import settings as settings_pages
from portal.config import Settings
from portal.web import assets, failures, guards, layout, security, words

BLUEPRINTS = (
    activity.bp,
    api.bp,
    api_keys.bp,
    auth.bp,
    campaigns.bp,
    card_design.bp,
    card_pictures.bp,
    customers.bp,
    deeds.bp,
    docs.bp,
    erasures.bp,
    google_callbacks.bp,
    health.bp,
    history.bp,
    home.bp,
    integrations.bp,
    modules.bp,
    oauth.bp,
    passkit.bp,
    points.bp,
    profiles.bp,
    push_rules.bp,
    push_tests.bp,
    push_webhook.bp,
    pushes.bp,
    rewards.bp,
    segments.bp,
    settings_pages.bp,
    smart_link.bp,
    status.bp,
    suppressions.bp,
    team.bp,
    tiers.bp,
    till.bp,
    trial.bp,
    wallet_cards.bp,
)


def init_app(app: Flask, settings: Settings) -> None:
    security.configure(app, settings)
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    # Before anything touches `app.jinja_env`, which is built from these once.
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    Bootstrap5(app)
    Htmx().init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    for programs_only in (api.bp, google_callbacks.bp, passkit.bp):
        security.csrf.exempt(programs_only)
    for part in (layout, assets, words, failures, guards):
        part.init_app(app)
    security.init_app(app, settings)
