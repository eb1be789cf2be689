"""The headless Chromium that all tests of this folder drive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.fail("there is no chromedriver: install one with its Chromium (Debian: apt-get install chromium-driver)")
    options = ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    flags = "headless=new disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
    for flag in f"{flags} disable-sync disable-dev-shm-usage window-size=1400,1000".split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses root
    with Chrome(options, ChromeService(driver)) as browser:
        browser.set_page_load_timeout(120)
        yield browser
