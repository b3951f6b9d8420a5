"""A real Chromium for tests of pages: with scripts, or without as some people browse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start as root, as which containers run.
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def page(browser: Browser, base_url: str, *, scripts: bool = True, user_agent: str | None = None) -> Iterator[Page]:
    context = browser.new_context(base_url=base_url, java_script_enabled=scripts, locale="en-GB", user_agent=user_agent)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()
