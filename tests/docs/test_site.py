"""The site: built with warnings as errors; no page asks a network, no link inside is dead, axe finds nothing.

python -m sphinx -W docs docs/_build/html builds it, with the extra docs; the rest needs the extra browser and
Debian's chromium.
"""

import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

HOUSE = Path(__file__).parents[2]
BUILT = HOUSE / "docs" / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FETCHED = {"src", "srcset", "poster", "data", "background", "formaction"}  # an address in these is loaded
IN_CSS = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")
LINKS_NOT_FETCHED = {"canonical", "prev", "next", "index", "search", "author", "help", "top"}
NEEDS = "the site needs the extra docs: pip install -e '.[docs]'"


class Page(HTMLParser):
    """What a page fetches when it is opened, where its links lead, and the places that a link may name."""

    def __init__(self, path: Path):
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.inside = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = {name: value or "" for name, value in attributes}
        self.inside = tag
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        for name in FETCHED & set(found):
            parts = found[name].split(",") if name == "srcset" else [found[name]]
            self.fetched += [part.split()[0] for part in parts if part.strip()]
        if tag == "link" and not LINKS_NOT_FETCHED & set(found.get("rel", "").split()):
            self.fetched.append(found.get("href", ""))
        if tag in ("use", "image"):
            self.fetched.append(found.get("href") or found.get("xlink:href", ""))
        if tag == "meta" and found.get("http-equiv", "").lower() == "refresh":
            self.fetched.append(found.get("content", "").partition("=")[2])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.fetched += addresses_in(found.get("style", ""))

    def handle_data(self, data):
        if self.inside == "style":
            self.fetched += addresses_in(data)


def addresses_in(css: str) -> list[str]:
    return [one or other for one, other in IN_CSS.findall(css)]


def is_outside(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp", "ws", "wss")


def external_requests(site: Path) -> list[str]:
    """What any page or stylesheet of a site would ask of a network, as 'file: address'."""
    found = [(page, address) for page in sorted(site.rglob("*.html")) for address in Page(page).fetched]
    styles = {path: path.read_text("utf-8") for path in sorted(site.rglob("*.css"))}
    found += [(path, address) for path, css in styles.items() for address in addresses_in(css)]
    return [f"{path.relative_to(site)}: {address}" for path, address in found if is_outside(address)]


def dead_ends(site: Path) -> list[str]:
    """Links and files that lead nowhere inside the site, as 'page: address'."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        for address in page.links + page.fetched:
            parts = urlsplit(address)
            if is_outside(address) or parts.scheme in ("data", "mailto", "javascript", "about"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file() and target.is_relative_to(site.resolve())
            place = unquote(parts.fragment)
            if not there or (place and target in pages and place not in pages[target].ids):
                dead.append(f"{path.relative_to(site.resolve())}: {address}")
    return dead


def of_one_page(tmp_path, body, css=""):
    (tmp_path / "page.html").write_text(f"<!doctype html><html><body>{body}</body></html>", "utf-8")
    (tmp_path / "site.css").write_text(css, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("body", "css"),
    [
        ("<script src='https://cdn.example.org/mathjax.js'></script>", ""),
        ("<link rel='stylesheet' href='//fonts.example.org/css'>", ""),
        ("<link rel='preconnect' href='https://fonts.example.org'>", ""),
        ("<img src='http://example.org/a.png' alt=''>", ""),
        ("<img srcset='a.png 1x, https://example.org/b.png 2x' alt=''>", ""),
        ("<iframe src='https://example.org/'></iframe>", ""),
        ("<p style='background: url(https://example.org/a.png)'></p>", ""),
        ("<style>@import 'https://example.org/a.css';</style>", ""),
        ("<svg><use href='https://example.org/a.svg#b'/></svg>", ""),
        ("<meta http-equiv='refresh' content='0; url=https://example.org/'>", ""),
        ("", "@font-face { src: url('https://example.org/a.woff2'); }"),
        ("", "@import url(//example.org/a.css);"),
    ],
)
def test_a_planted_request_is_seen(tmp_path, body, css):
    assert len(external_requests(of_one_page(tmp_path, body, css))) == 1


def test_a_link_to_the_outside_is_no_request(tmp_path):
    body = "<a href='https://example.org/'>there</a><link rel='canonical' href='https://example.org/a'>"
    assert external_requests(of_one_page(tmp_path, body + "<img src='data:image/png;base64,' alt=''>")) == []


@pytest.mark.parametrize(
    ("body", "dead"),
    [
        ("<a href='nowhere.html'>x</a>", 1),
        ("<a href='#nowhere'>x</a>", 1),
        ("<a href='page.html#nowhere'>x</a>", 1),
        ("<img src='nowhere.png' alt=''>", 1),
        ("<a href='../page.html'>x</a>", 1),
        ("<h1 id='here'>x</h1><a href='page.html#here'>x</a><a href='site.css'>y</a>", 0),
    ],
)
def test_a_planted_dead_end_is_seen(tmp_path, body, dead):
    assert len(dead_ends(of_one_page(tmp_path, body))) == dead


@pytest.fixture(scope="module")
def site():
    """The site, built now; what the lessons and pictures have computed already is not computed again."""
    for name in ("sphinx", "furo", "myst_nb", "latex2mathml"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(NEEDS)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-j", "2", str(HOUSE / "docs"), str(BUILT)]
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT.parent / "lock").open("w") as lock:  # one at a time, if two workers come here
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=HOUSE)
    assert done.returncode == 0, done.stderr
    return BUILT


@pytest.mark.slow
@pytest.mark.xdist_group("site")
class TestSite:
    def test_no_page_asks_anything_of_a_network(self, site):
        assert external_requests(site) == []

    def test_every_link_inside_leads_somewhere(self, site):
        assert dead_ends(site) == []

    def test_there_is_a_page_for_each_cause_and_each_lesson(self, site):
        from parity.doctor.known import pages

        assert {path.stem for path in (site / "causes").glob("*.html")} >= set(pages())
        lessons = sorted(path.stem for path in (site / "lessons").glob("lesson_*.html"))
        assert [name.split("_")[1] for name in lessons] == [f"{number:02}" for number in range(1, 11)]

    def test_every_public_name_is_in_the_reference(self, site):
        import parity
        import tinycnn_numpy
        import tinycnn_torch

        for package in (tinycnn_numpy, tinycnn_torch, parity):
            page = Page(site / "api" / f"{package.__name__}.html")
            assert {f"{package.__name__}.{name}" for name in package.__all__} <= page.ids

    def test_formulas_are_mathml_and_no_output_is_an_error(self, site):
        formulas = 0
        for path in sorted(site.rglob("*.html")):
            text = path.read_text("utf-8")
            formulas += text.count("<math ")
            assert not [one for one in Page(path).fetched if "mathjax" in one.lower()], path
            if path.parent.name == "lessons":
                assert "output traceback" not in text and "output stderr" not in text, path
        assert formulas > 100
        assert (site / "api/tinycnn_numpy.html").read_text("utf-8").count("<mtable") >= 10


WINDOWS = {"narrow and light": (400, "light"), "wide and dark": (1400, "dark")}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    if not CHROMIUM:
        pytest.skip("needs chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def looked_at(browser, paths, width, scheme):
    """What is wrong with each page in a browser: requests, errors in the console, what is too wide, axe."""
    from axe_playwright_python.sync_playwright import Axe

    wrong = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, axe = context.new_page(), Axe()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in paths:
        asked: list[str] = []
        said: list[str] = []
        page.goto(path.as_uri())
        outside = [url for url in asked if not url.startswith(("file://", "data:", "about:"))]
        wrong += [f"{path.name}: asks for {url}" for url in outside]
        wrong += [f"{path.name}: {text}" for text in said if not outside]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{path.name}: wider than {width} pixels")
        part = "article" if path.parent.name == "causes" else None  # their frame is that of every page
        result = axe.run(page, context=part, options={"resultTypes": ["violations"], "preload": False})
        for found in result.response["violations"]:
            if found["impact"] in ("serious", "critical"):
                wrong.append(f"{path.name}: {found['id']}: {found['nodes'][0]['html'][:160]}")
    context.close()
    return wrong


@pytest.mark.slow
@pytest.mark.xdist_group("site")
@pytest.mark.parametrize("window", WINDOWS)
def test_every_page_in_a_browser(site, browser, window):
    """Pages of causes and sources are alike: every eighth of them in each window, all others in both."""
    pages = sorted(site.rglob("*.html"))
    alike = [path for path in pages if {"causes", "_modules"} & set(path.relative_to(site).parts)]
    few = alike[list(WINDOWS).index(window) :: 8]
    others = [path for path in pages if path not in set(alike)]
    assert looked_at(browser, others + few, *WINDOWS[window]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<script>fetch('https://example.org/').catch(() => 0)</script>", "asks for https://example.org/"),
        ("<div style='width: 3000px'>x</div>", "wider than 400 pixels"),
        ("<button></button>", "button-name"),
        ("<p style='color: #ccc; background: #fff'>words</p>", "color-contrast"),
        ("<script>throw Error('planted')</script>", "planted"),
    ],
)
def test_what_is_planted_is_seen_in_a_browser(browser, tmp_path, body, said):
    page = of_one_page(tmp_path, body) / "page.html"
    assert any(said in found for found in looked_at(browser, [page], 400, "light"))
