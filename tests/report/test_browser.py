"""The page in a real browser: silent, without network, sortable, readable on a phone, printable."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import run_folders

from dfbench.report import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")

PHONE = {"width": 375, "height": 812}
DESK = {"width": 1280, "height": 900}
PAPER = {"width": 718, "height": 1000}  # A4 less the margins, in CSS pixels
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def report(two_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three detectors, two of them with images, one with a long name and warnings."""
    root = tmp_path_factory.mktemp("browser")
    scores = run_folders.scores_table("a-detector-with-quite-a-long-name", "run-3", gap=0.2, seed=5)
    third = run_folders.write_run(
        root / "third",
        scores,
        run_folders.result_of(scores, caution="a sentence that goes on", crop_mismatch="dfb256 256 px"),
    )
    return write_report([*two_runs, third], root / "report")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # No sandbox: it does not start in containers, and the page is one that was written here.
    arguments = ["--disable-dev-shm-usage", "--no-sandbox"]
    with sync_api.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=120_000)
        yield started
        started.close()


class Visit:
    """A page that was opened, and what it asked for and complained about."""

    def __init__(self, browser: Any, report: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(report.as_uri())

    def table(self, section: str) -> Any:
        """The first table of a section."""
        return self.page.locator(f"#{section} table").first

    def rows(self, section: str) -> list[list[str]]:
        """Texts of the rows of that table that are on the page."""
        script = "table => Array.from(table.tBodies[0].rows, row => Array.from(row.cells, cell => cell.textContent))"
        found: list[list[str]] = self.table(section).evaluate(script)
        return found

    def heads(self, section: str) -> list[str]:
        """Its column heads."""
        found: list[str] = self.table(section).locator("thead th").all_text_contents()
        return found


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    visit = Visit(browser, report, viewport=DESK)
    yield visit
    visit.context.close()


def test_page_is_silent_and_asks_for_nothing(visit: Visit, report: Path) -> None:
    visit.page.locator("summary").first.click()
    visit.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert visit.said == []
    assert [url for url in visit.asked if not url.startswith("data:")] == [report.as_uri()]


def test_every_figure_and_image_is_drawn(visit: Visit) -> None:
    boxes = visit.page.locator("figure svg").evaluate_all(
        "all => all.map(svg => [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height,"
        " svg.querySelectorAll('path').length, svg.querySelectorAll('text').length])"
    )
    assert len(boxes) == 2 * (5 + 3)  # two subsets: five figures of all detectors, a histogram of each
    assert all(width > 200 and height > 100 and paths > 5 and texts > 3 for width, height, paths, texts in boxes)
    images = visit.page.locator("#examples img").evaluate_all("all => all.map(img => [img.complete, img.naturalWidth])")
    assert len(images) > 4
    assert all(complete and width > 0 for complete, width in images)


def test_a_press_on_a_head_sorts(visit: Visit) -> None:
    head = visit.table("results").get_by_role("button", name="AUC")
    column = visit.heads("results").index("AUC")
    for press, sign in ((head.click, 1), (lambda: head.press("Enter"), -1)):
        press()
        texts = [row[column] for row in visit.rows("results")]
        numbers = [float(text.split()[0]) for text in texts if text != "–"]
        assert len(numbers) > 4
        assert numbers == sorted(numbers, key=lambda n: sign * n)
        assert texts[len(numbers) :] == ["–"] * (len(texts) - len(numbers))  # what does not exist stands last
    assert visit.table("results").locator("th[aria-sort=descending]").count() == 1


def test_videos_are_paged_sorted_and_filtered(visit: Visit, report: Path) -> None:
    with (report.parent / "videos.csv").open(encoding="utf-8") as file:
        videos = list(csv.DictReader(file))
    section, status = visit.page.locator("#videos"), visit.page.locator("#videos [role=status]")
    assert len(visit.rows("videos")) == 25
    assert status.text_content() == f"1–25 of {len(videos)}"
    section.get_by_role("button", name="score").click()
    section.get_by_role("button", name="next").click()
    assert status.text_content() == f"26–50 of {len(videos)}"
    lowest = sorted(round(float(v["score"]), 3) for v in videos)
    score = visit.heads("videos").index("score")
    assert [float(row[score]) for row in visit.rows("videos")] == pytest.approx(lowest[25:50], abs=0.0011)
    section.get_by_role("searchbox", name="Filter videos").fill("meso4 wrong Face2Face c40")
    expected = {
        v["media_id"]
        for v in videos
        if (v["model"], v["outcome"], v["manipulation"], v["subset"]) == ("meso4", "wrong", "Face2Face", "c40")
    }
    assert 0 < len(expected) <= 25
    assert {row[1] for row in visit.rows("videos")} == expected
    assert status.text_content() == f"1–{len(expected)} of {len(expected)} ({len(videos)} in total)"
    assert section.get_by_role("button", name="next").is_disabled()
    section.get_by_role("searchbox").fill("no such words")
    assert visit.rows("videos") == []
    section.get_by_role("searchbox").fill("")
    assert status.text_content() == f"1–25 of {len(videos)}"
    assert visit.said == []


def test_a_long_table_of_results_is_filtered(visit: Visit) -> None:
    field = visit.page.get_by_role("searchbox", name="Filter results").first
    field.fill("faceswap a-detector")
    tables = visit.page.locator("#results table[data-filter]").first.locator("tbody tr")
    texts = tables.all_text_contents()
    assert texts
    assert all("FaceSwap" in text and "a-detector" in text for text in texts)


def test_a_phone_scrolls_tables_but_not_the_page(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)
    for summary in visit.page.locator("summary").all():
        summary.click()
    assert visit.page.evaluate(OVERFLOW) == 0
    assert visit.page.evaluate("document.documentElement.clientWidth") == PHONE["width"]
    assert visit.page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    visit.context.close()


def test_paper_shows_whole_tables_and_no_tools(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, viewport=PAPER, color_scheme="dark")
    visit.page.emulate_media(media="print")
    assert visit.page.evaluate(OVERFLOW) == 0
    wide = (
        "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent.slice(0, 60))"
    )
    assert visit.page.locator("table, pre, figure").evaluate_all(wide) == []
    assert not visit.page.locator("nav").is_visible()
    assert not visit.page.locator(".tools").first.is_visible()
    assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    visit.context.close()


def test_page_reads_without_script(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, viewport=DESK, java_script_enabled=False)
    assert visit.page.locator("#videos tbody tr").count() == 25
    assert visit.page.locator("#results tbody tr").count() > 20
    assert visit.page.locator("input").count() == 0
    visit.context.close()


def test_parts_have_names_for_those_who_do_not_see_them(visit: Visit) -> None:
    nameless = """() => {
      const all = selector => [...document.querySelectorAll(selector)];
      return [
        ...all("img:not([alt]), svg[role=img]:not([aria-label]), .scroll:not([aria-label])"),
        ...all("input").filter(field => !field.labels.length),
        ...all("table").filter(table => !table.caption || table.querySelector("thead th:not([scope])")),
        ...all("nav a").filter(link => !document.querySelector(link.getAttribute("href"))),
      ].length;
    }"""
    assert visit.page.evaluate(nameless) == 0
    levels = visit.page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
