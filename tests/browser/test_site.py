"""The site and the slides in a headless Chromium: every page opens, with no broken link, no error and no other host.

Screenshots are kept in the folder that the environment variable HAMNER_SCREENSHOTS names, if it is set.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait
from typer.testing import CliRunner

from hamner.cli import app
from hamner.reproduction.site import site_notebooks

pytest.importorskip("sphinx", reason="the extra site is not installed: `make book` installs it")
if shutil.which("chromedriver") is None:
    pytest.skip("there is no chromedriver", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/someone/hamner"


@dataclass(frozen=True)
class Site:
    """A site that was built, and the address at which it is served."""

    folder: Path
    url: str

    @property
    def pages(self) -> list[Path]:
        """All pages; `_static` holds none of ours."""
        return [page for page in sorted(self.folder.rglob("*.html")) if "_static" not in page.parts]

    def address(self, page: Path) -> str:
        return f"{self.url}/{page.relative_to(self.folder).as_posix()}"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    done = CliRunner().invoke(app, ["book", "--to", str(folder), "--repository", REPOSITORY], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()


def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def requested(chrome: Chrome) -> list[str]:
    """The addresses that pages asked for since the last call."""
    messages = [json.loads(line["message"])["message"] for line in chrome.get_log("performance")]
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def errors(chrome: Chrome) -> list[str]:
    """What the console of the browser says since the last call; the theme also tells there which colours it chose."""
    return [line["message"] for line in chrome.get_log("browser") if line["level"] == "SEVERE"]


def test_every_page_opens_without_an_error_and_asks_no_other_host(chrome: Chrome, site: Site) -> None:
    pages = [page for page in site.pages if page.parent.name != "slides"]
    assert {f"{notebook.stem}.html" for notebook in site_notebooks(ROOT)} <= {page.name for page in pages}
    requested(chrome), chrome.get_log("browser")
    faults = []
    for page in pages:
        chrome.get(site.address(page))
        if soup(page).select(".math"):
            WebDriverWait(chrome, 60).until(
                lambda b: b.execute_script("return document.querySelector('mjx-container')")
            )
            faults += [f"{page.name}: {error}" for error in chrome.execute_script(MATH_ERRORS)]
        broken = chrome.execute_script("return [...document.images].filter(i => i.complete && !i.naturalWidth).length")
        faults += [f"{page.name}: {broken} images are broken"] if broken else []
        faults += [f"{page.name}: {error}" for error in errors(chrome)]
        faults += [
            f"{page.name}: asked {address}"
            for address in requested(chrome)
            if urlsplit(address).scheme in ("http", "https") and not address.startswith(f"{site.url}/")
        ]
    assert not faults, "\n".join(faults)


MATH_ERRORS = "return [...document.querySelectorAll('mjx-merror')].map(error => error.textContent)"


def test_no_link_within_the_site_is_broken(site: Site) -> None:
    anchors = {page: {tag["id"] for tag in soup(page).select("[id]")} for page in site.pages}
    broken = []
    for page in site.pages:
        for tag in soup(page).select("a[href], img[src], link[href], script[src]"):
            address, anchor = urldefrag(urljoin(site.address(page), tag.get("href") or tag.get("src")))
            if not address.startswith(site.url):
                continue
            target = site.folder / unquote(urlsplit(address).path).lstrip("/")
            if not target.is_file() or (anchor and target in anchors and unquote(anchor) not in anchors[target]):
                broken.append(f"{page.name}: {tag.get('href') or tag.get('src')}")
    assert not broken, "\n".join(broken)


def test_a_notebook_has_numbered_figures_alt_texts_folded_solutions_and_buttons_of_its_repository(site: Site) -> None:
    for notebook in site_notebooks(ROOT):
        page = soup(site.folder / "notebooks" / f"{notebook.stem}.html")
        images = page.select(".bd-article img")
        draws = "save(" in (ROOT / "notebooks" / "py" / f"{notebook.stem}.py").read_text(encoding="utf-8")
        assert bool(images) >= draws and all(image.get("alt") for image in images), notebook.stem
        for caption in page.select(".bd-article figcaption"):
            assert caption.get_text().strip().startswith("Fig. "), notebook.stem
        solutions = [one for one in page.select("details.hide") if "Solution" in one.summary.get_text()]
        tags = [cell["metadata"].get("tags", []) for cell in json.loads(notebook.read_text())["cells"]]
        assert len(solutions) == sum("solution" in of_cell for of_cell in tags)
        links = {link["href"] for link in page.select("a[href]")}
        assert f"https://colab.research.google.com/github/someone/hamner/blob/main/notebooks/{notebook.name}" in links
        assert any(link.startswith("https://mybinder.org/v2/gh/someone/hamner/main?") for link in links)


def test_the_search_finds_a_word_of_the_notebooks(chrome: Chrome, site: Site) -> None:
    chrome.get(f"{site.url}/search.html?q=Viterbi")
    found = "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
    links = WebDriverWait(chrome, 60).until(lambda browser: browser.execute_script(found))
    assert any("05_crf_and_scoring" in link for link in links)


def test_the_page_does_not_scroll_sideways_on_a_narrow_window(chrome: Chrome, site: Site, tmp_path: Path) -> None:
    folder = Path(os.environ.get("HAMNER_SCREENSHOTS") or tmp_path)
    narrow = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        for name in ("index", "notebooks/00_quickstart", "docs/course/notation"):
            chrome.get(f"{site.url}/{name}.html")
            chrome.save_screenshot(folder / f"narrow_{Path(name).name}.png")
            assert chrome.execute_script("return document.documentElement.scrollWidth") <= 400, name
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


READY = "return Reveal.isReady() && MathJax.startup.promise.then(() => true)"
FITS = """
const deck = document.querySelector('.slides').getBoundingClientRect();
const scale = Reveal.getScale();
const slides = Reveal.getSlides();
return slides.map((slide, number) => {
  Reveal.slide(...Object.values(Reveal.getIndices(slide)).slice(0, 2));
  const inside = [...slide.children].filter(one => one.tagName !== 'ASIDE').map(one => one.getBoundingClientRect());
  return Math.max(...inside.map(box => (box.bottom - deck.top) / scale / 720)) > 1.001
      || Math.max(...inside.map(box => (box.right - deck.left) / scale / 1280)) > 1.001 ? number + 1 : 0;
}).filter(Boolean);
"""


@pytest.mark.parametrize("name", ["lecture1", "lecture2"])
def test_a_lecture_shows_all_its_slides_and_fewer_in_45_minutes(chrome: Chrome, site: Site, name: str) -> None:
    requested(chrome), chrome.get_log("browser")
    shown = {}
    for version in ("", "?45"):
        chrome.get(f"{site.url}/slides/{name}.html{version}")
        WebDriverWait(chrome, 60).until(lambda b: b.execute_script(READY))
        WebDriverWait(chrome, 60).until(
            lambda b: b.execute_script("return [...document.images].every(image => image.naturalWidth)")
        )
        shown[version] = chrome.execute_script("return Reveal.getTotalSlides()")
        assert not chrome.execute_script(FITS), "these slides are too full"
    source = (ROOT / "docs" / "slides" / f"{name}.md").read_text(encoding="utf-8")
    titles = sum(line.startswith(("# ", "## ")) for line in source.splitlines())
    assert shown == {"": titles, "?45": titles - source.count("{{ cut }}")}
    assert not errors(chrome)
    assert all(address.startswith((f"{site.url}/", "data:")) for address in requested(chrome))
