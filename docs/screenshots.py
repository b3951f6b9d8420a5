"""`make screenshots`: the pictures in README, taken from the portal that `make run` has started. Nothing in them is made up.

The demo's merchant should be connected and have had some events for a while, and the sandbox's iPhone hold a card that was
pushed to, or the pictures are of empty pages.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browsing import find_chromium

DEMO = Path(os.environ.get("PORTAL_DATA_DIR") or "var") / "demo.json"
FOLDER = Path(__file__).parent / "images"
STATUS = "/settings/integrations/klaviyo"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Name of the picture: page, screen, light or dark.
PICTURES = {
    "status": (STATUS, DESK, "light"),
    "activity": ("/activity", DESK, "light"),
    "card": ("/card", DESK, "light"),
    "status-dark": (STATUS, DESK, "dark"),
    "status-phone": (STATUS, PHONE, "dark"),
    "iphone": ("{sandbox_url}/phones/iphone", PHONE, "light"),
}


def log_in(page: Page, demo: dict[str, str]) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(demo["email"])
    page.get_by_label("Password").fill(demo["password"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def take(browser: Browser, demo: dict[str, str], name: str) -> None:
    path, screen, scheme = PICTURES[name]
    context = browser.new_context(
        base_url=demo["portal_url"],
        viewport={"width": screen["width"], "height": screen["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    log_in(page, demo)
    page.goto(path.format(**demo))
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")
    context.close()
    sys.stdout.write(f"{FOLDER / name}.png\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=DEMO, help="where `make run` wrote how to log in")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PICTURES)}; all of them if left out")
    options = parser.parse_args()
    demo = json.loads(options.demo.read_text())
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for name in options.name or PICTURES:
            take(browser, demo, name)
        browser.close()


if __name__ == "__main__":
    main()
