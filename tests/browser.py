"""A real browser for the pages, headless Chromium, and what a page must not do: complain, or ask the network."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import pytest

MISSING = "no page is opened in a browser: needs chromium, chromedriver and selenium"
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@contextlib.contextmanager
def chromium(width=1280, height=900, dark=False, reduced_motion=False):
    """A driver with a window of its own; skips the test, loudly, where there is no browser."""
    selenium = pytest.importorskip("selenium.webdriver", reason=MISSING)
    from selenium.webdriver.chrome.service import Service

    browser, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip(MISSING)
    options = selenium.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (*ARGUMENTS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        page = selenium.Chrome(options=options, service=Service(driver))
        try:
            # Chromium's window is never narrower than 500 pixels; a phone's page is
            screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            features = [
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"},
            ]
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            page.get("about:blank")
            page.get_log("performance")  # what the browser's own first page loaded
            yield page
        finally:
            page.quit()


def assert_quiet(driver, *own):
    """Since the last call: an empty console, no request but for the page itself, or for what begins with `own`."""
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    allowed = (driver.current_url.partition("#")[0], "data:", "blob:", "about:", *own)
    foreign = [url for url in asked if not url.startswith(allowed)]
    assert foreign == [], "the page asked for something"


def open_file(driver, path):
    """Open a page from a file."""
    driver.get(Path(path).resolve().as_uri())
