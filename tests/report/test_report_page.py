"""The page: what stands in it, that names are inert, and what it does in a browser."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import MISSING, chromium, look
from report_store import CLAIMS, LAYOUT, NASTY, SOURCES, hostile, make_grid, sources, with_holes, write_done

from suite.grid.expand import load_grid
from suite.report.claims.on_the_paper import by_id, published_verdicts
from suite.report.claims.outcome import counts, counts_text
from suite.report.published.papers import load_published
from suite.report.render import markdown
from suite.report.report import write_report
from suite.store.store import Store

SAFE = {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "h1", "h2", "h3", "p", "div",
        "table", "thead", "tbody", "tr", "th", "td", "small", "a", "span", "i", "ul", "li", "strong", "u", "img",
        "details", "summary", "dl", "dt", "dd", "noscript", "code", "aside", "script"}
needs_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)


class Page(HTMLParser):
    """What a browser would see: the tags with their attributes, the text, and the data of the script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text, self.inside = "", False
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.scripts += [""] if tag == "script" else []
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two grids: one with an exclusion, partial and missing runs, mixed conditions and claims, one not yet run."""
    tmp = tmp_path_factory.mktemp("page")
    grid, store = with_holes(tmp)
    other = {"environment": {"device": "a cpu", "threads": 2}, "code": "abc"}
    write_done(store, grid.runs[0], [0.1, 0.2, 0.41, 0.3], other)
    second = replace(make_grid(["x", "y"]), name="second", title="Another grid")
    write_report([grid, second], store, tmp / "out", sources(tmp, LAYOUT, CLAIMS), figures=False)
    return tmp / "out/index.html"


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """The page on a grid whose names all try to be markup."""
    tasks = [NASTY[0], "</script><script>document.title='owned'</script>", NASTY[2]]
    return hostile(tmp_path_factory.mktemp("nasty"), tasks) / "index.html"


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The folder of a report on two tables of the paper, without a run."""
    tmp = tmp_path_factory.mktemp("paper")
    grids = [load_grid(SOURCES.parent / f"grids/table{name}.yaml", "mini") for name in ("6", "11")]
    write_report(grids, Store(tmp / "store"), tmp / "out", figures=False)
    return tmp / "out"


@pytest.fixture(scope="module")
def published():
    """By the ids of the claims: the verdicts on the published numbers."""
    return by_id(published_verdicts(SOURCES / "claims.yaml", load_published()))


def test_names_are_inert(nasty):
    found = Page(nasty)
    assert {tag for tag, _ in found.tags} <= SAFE
    assert len(found.scripts) == 2  # the data, and the page's own
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    for name in NASTY:
        assert name in found.text
    assert set(NASTY) <= {label for run in found.data["grids"][0]["runs"] for label in run["labels"]}


def test_it_needs_no_network(page, nasty):
    for path in (page, nasty):
        found = Page(path)
        wanted = [value for _, attributes in found.tags for name, value in attributes.items()
                  if name in ("src", "srcset", "href", "data", "action")]
        assert wanted
        assert all(re.match(r"data:image/svg\+xml;base64,|#grid-\d+$", str(value)) for value in wanted)
        policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
        assert "url(" not in found.source
    assert any(tag == "img" for tag, _ in Page(nasty).tags)


def test_overview_and_claims(page):
    text = " ".join(Page(page).text.split())
    for words in ("Results of 2 grids", "Another grid", "18 done, 3 partial", "12 todo", "Real is worse than Lin.",
                  "supported", "undecided", "softmax needs ZOH", "30.0", "at epoch 1 of 4, n=3",
                  "runs of this column differ in threads"):
        assert words in text, words


def test_claims_stand_beside_the_verdicts_on_the_published_numbers(paper, published):
    """On the page, in tables.md and in claims-published.md; a claim on ranks has none."""
    shown = [one for one in published.values() if one.claim.table in ("6", "11")]
    assert len(shown) == 10
    page = " ".join(Page(paper / "index.html").text.split())
    tables, alone = [(paper / name).read_text() for name in ("tables.md", "claims-published.md")]
    for one in shown:
        two, three = [verdict.verdict for verdict in one.by_seeds.values()]
        words = f"published numbers: {two} as if n = 2, {three} as if n = 3, means alone {one.means_alone}"
        assert f"{words} {one.evidence}" in page
        row, = [line for line in tables.splitlines() if f"| {markdown.escape(one.claim.text)} " in line]
        cells = [cell.strip() for cell in row.split("|")]
        assert (cells[1], cells[4:6]) == ("**untested**", [two, three])
        row, = [line for line in alone.splitlines() if line.startswith(f"| {markdown.escape(one.claim.text)} ")]
        assert [cell.strip() for cell in row.split("|")][4:6] == [f"**{two}**", f"**{three}**"]
    assert page.count("means alone hold ") + page.count("means alone do not hold ") == len(shown)
    ranks = next(line for line in tables.splitlines() if "| The parameterizations rank as published" in line)
    assert [cell.strip() for cell in ranks.split("|")][4:6] == ["–", "–"]


def test_counts_of_verdicts(paper, published):
    shown = [one for one in published.values() if one.claim.table in ("6", "11")]
    tables, text = (paper / "tables.md").read_text(), " ".join(Page(paper / "index.html").text.split())
    none = "0 supported, 0 contradicted, 0 no difference, 0 not by seeds, 0 undecided, 14 untested"
    assert f"- these runs: {none}" in tables
    assert "these runs 0 0 0 0 0 14" in text
    for n in (2, 3):
        found = counts(one.by_seeds[n] for one in shown)
        assert f"- published numbers, as if n = {n}: {counts_text(one.by_seeds[n] for one in shown)}" in tables
        assert f"published numbers, as if n = {n} {' '.join(map(str, found.values()))}" in text
    assert counts(one.by_seeds[3] for one in shown)["supported"] == 8


def test_what_is_behind_a_cell(page):
    grid = Page(page).data["grids"][0]
    cells = grid["cells"]
    assert len(cells) == 4 * 4
    lin = cells[4]  # the second row, S4D-Lin; the first column, sCIFAR
    assert lin["what"] == "validation accuracy (%), at the epoch with the highest validation accuracy"
    assert {"name": "n", "text": "3"} in lin["facts"]
    assert [(grid["runs"][one["run"]]["seed"], one["number"]) for one in lin["seeds"]] == [
        (0, "41.0"), (1, "40.5"), (2, "41.0")]
    assert lin["curve"]["epochs"] == [1, 2, 3, 4]
    partial = next(cell for cell in cells if {"name": "no number", "text": "1/4 epochs"} in cell["facts"])
    assert [grid["runs"][one["run"]]["state"] for one in partial["seeds"]] == ["1/4 epochs"] * 3


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


def errors(driver):
    return [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]


def cells_of(driver):
    return driver.find_elements("css selector", "table.cells td")


@needs_browser
def test_hover_and_click(browser, page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    look(browser, page)
    panel = browser.find_element("id", "panel")
    assert not panel.is_displayed()
    ActionChains(browser).move_to_element(cells_of(browser)[4]).perform()
    WebDriverWait(browser, 5).until(lambda _: panel.is_displayed())
    told = panel.text
    for words in ("S4D-Lin, sCIFAR", "95 % interval", "seed", "41.0", "validation accuracy"):
        assert words in told, words
    assert panel.find_elements("css selector", "svg.curve polyline")
    assert len(re.findall(r"\b[0-9a-f]{16}\b", told)) == 3
    ActionChains(browser).move_to_element(browser.find_element("tag name", "h1")).perform()
    WebDriverWait(browser, 5).until(lambda _: not panel.is_displayed())
    cells_of(browser)[4].click()
    ActionChains(browser).move_to_element(browser.find_element("tag name", "h1")).perform()
    assert panel.is_displayed()  # a click pins it
    panel.find_element("css selector", ".close").click()
    assert not panel.is_displayed()
    assert errors(browser) == []


@needs_browser
def test_the_evidence_of_the_published_numbers_opens(browser, paper, published):
    look(browser, paper / "index.html")
    details = browser.find_elements("css selector", ".claims details")
    assert len(details) == 10
    claim = browser.find_element("css selector", "[id$=pathx-softmax-hurts]")
    told = claim.find_element("css selector", "details p")
    assert not told.is_displayed()
    claim.find_element("css selector", "summary").click()
    assert told.is_displayed()
    assert told.text == published["pathx-softmax-hurts"].evidence
    colours = {span.text: span.value_of_css_property("color") for span in claim.find_elements("css selector", "span")}
    assert colours["undecided"] != colours["untested"]
    assert errors(browser) == []


@needs_browser
def test_sorting(browser, page):
    look(browser, page)
    table = browser.find_element("css selector", "table.cells")
    rows = [row.text.split()[0] for row in table.find_elements("css selector", "tbody tr")]
    button = table.find_elements("css selector", "thead button")[1]
    orders = []
    for _ in range(3):
        button.click()
        head = table.find_elements("css selector", "thead th")[1]
        orders.append((head.get_attribute("aria-sort"),
                       [row.text.split()[0] for row in table.find_elements("css selector", "tbody tr")]))
    assert orders[0] == ("descending", ["S4D-Inv", "S4D-Lin", "S4D-Real", "softmax"])  # the best first, no number last
    assert orders[1] == ("ascending", ["S4D-Real", "S4D-Lin", "S4D-Inv", "softmax"])
    assert orders[2] == (None, rows)
    cells_of(browser)[4].click()
    assert "S4D-Lin, sCIFAR" in browser.find_element("id", "panel").text


@needs_browser
def test_the_keyboard_reaches_everything(browser, page):
    from selenium.webdriver import ActionChains, Keys

    look(browser, page)

    def press(*keys):
        for key in keys:
            ActionChains(browser).send_keys(key).perform()
        return browser.switch_to.active_element

    first = cells_of(browser)[0]
    for _ in range(60):
        if press(Keys.TAB) == first:
            break
    assert browser.switch_to.active_element == first
    assert press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT) == cells_of(browser)[5]
    panel = press(Keys.ENTER)
    assert panel.get_attribute("id") == "panel"
    assert "S4D-Lin, SC first" in panel.text
    assert press(Keys.ESCAPE) == cells_of(browser)[5]
    assert not browser.find_element("id", "panel").is_displayed()


@needs_browser
def test_the_list_of_runs_opens(browser, page):
    from selenium.webdriver.support.ui import WebDriverWait

    look(browser, page)
    details = browser.find_element("css selector", "details.runs")
    details.find_element("tag name", "summary").click()
    WebDriverWait(browser, 5).until(lambda _: len(details.find_elements("css selector", "tbody tr")) == 21)


@needs_browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390), ("dark", 390)])
def test_light_dark_and_narrow(browser, page, scheme, width, tmp_path):
    look(browser, page, scheme, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    colours = browser.execute_script(
        "const s = getComputedStyle(document.body);"
        "return [s.color, s.backgroundColor].map(c => c.match(/\\d+/g).map(Number))")
    dark_text = sum(colours[0][:3]) < sum(colours[1][:3])
    assert dark_text == (scheme == "light")
    cells_of(browser)[4].click()
    panel = browser.find_element("id", "panel")
    assert panel.is_displayed()
    box = browser.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.left, b.right]", panel)
    assert box[0] >= 0
    assert box[1] <= width
    assert browser.save_screenshot(str(tmp_path / "page.png"))
    assert errors(browser) == []


@needs_browser
def test_hostile_names_do_nothing_in_a_browser(browser, nasty):
    look(browser, nasty)
    for cell in cells_of(browser)[:7]:
        browser.execute_script("arguments[0].click()", cell)
    assert browser.title != "owned"
    assert len(browser.find_elements("tag name", "script")) == 2
    assert NASTY[6] in browser.find_element("id", "panel").text
    assert errors(browser) == []
