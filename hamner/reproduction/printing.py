"""Lectures printed to PDF by a headless Chromium, a page for each slide."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from hamner.errors import HamnerError
from hamner.files import written_whole

_READY = """
return Reveal.isReady() && [...document.images].every(image => image.complete)
    && MathJax.startup.promise.then(() => true)
"""
_SECONDS = 120


def print_slides(lectures: Sequence[Path]) -> list[Path]:
    """Print each lecture beside its page, as NAME.pdf; returns the files.

    Raises:
        HamnerError: selenium or chromedriver is missing, or Chromium cannot show a lecture.
    """
    try:
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService
        from selenium.webdriver.support.wait import WebDriverWait
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[browser]'") from error
    driver = shutil.which("chromedriver")
    if driver is None:
        raise HamnerError(
            "no PDF without chromedriver: install it with its Chromium (Debian: apt-get install chromium-driver); "
            "or open a lecture with ?print-pdf at the end of its address, and print it from your browser"
        )
    options = ChromeOptions()
    for flag in ("headless=new", "disable-gpu", "disable-dev-shm-usage", "allow-file-access-from-files"):
        options.add_argument(f"--{flag}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses root
    printed = []
    try:
        with Chrome(options, ChromeService(driver)) as browser:
            for lecture in lectures:
                browser.get(f"{lecture.as_uri()}?print-pdf")
                WebDriverWait(browser, _SECONDS).until(lambda page: page.execute_script(_READY))
                paper = {"printBackground": True, "preferCSSPageSize": True}
                pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
                file = lecture.with_suffix(".pdf")
                with written_whole(file) as temporary:
                    temporary.write_bytes(pdf)
                printed.append(file)
    except WebDriverException as error:
        raise HamnerError(f"Chromium cannot print the lectures: {error.msg}") from error
    return printed
