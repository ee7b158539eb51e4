import re
from html.parser import HTMLParser

import pytest
import run_folders
from click.testing import CliRunner

from dfbench.cli.main import cli
from dfbench.errors import DataError, UsageError
from dfbench.report import write_report

pytestmark = pytest.mark.slow

VOID = {"meta", "img", "br", "link", "input", "hr"}
SVG_VOID = {"path", "use", "rect"}


class Page(HTMLParser):
    """Checks nesting and collects elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(two_runs, tmp_path_factory):
    return write_report(two_runs, tmp_path_factory.mktemp("report"), "A <title> & more")


@pytest.fixture(scope="module")
def html(report):
    return report.read_text("utf-8")


def test_all_files_are_there_and_nothing_else(report):
    names = {f.name for f in report.parent.iterdir()}
    assert names == {"index.html", "table.md", "table.csv", "table.tex", "table.txt", "videos.csv"}


def test_html_is_balanced_and_self_contained(html):
    page = Page(html)
    assert page.open == []
    for tag, attributes in page.elements:
        for key in ("src", "href", "xlink:href", "action", "data"):
            target = attributes.get(key, "#")
            assert target.startswith(("#", "data:image/png;base64,")), (tag, target)
        assert tag != "img" or attributes.get("alt")
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_ids_are_unique_and_references_resolve(html):
    page = Page(html)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:url\(|href=")#([^)"]+)', html))
    assert targets <= set(ids)


def test_every_section_has_a_phone_and_a_dark_page(html):
    page = Page(html)
    ids = {a.get("id") for _, a in page.elements}
    sections = "results roc det scores calibration manipulations videos examples coverage provenance cite mini"
    assert set(sections.split()) <= ids
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.elements
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_every_figure_carries_the_mini_mark(html):
    figures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(figures) == 2 * (5 + 2)  # two subsets: five figures of both detectors, a histogram of each
    for figure in figures:
        assert "mini: invented faces" in figure
        assert "viewBox" in figure
        assert not re.search(r'<svg[^>]*\swidth="', figure)
        assert "currentColor" in figure
        assert "aria-label" in figure
    crops = re.findall(r'<figure class="crop.*?</figure>', html, re.DOTALL)
    assert len(crops) == 4
    assert all("mini: invented faces" in crop for crop in crops)


def test_numbers_names_and_sources_are_on_the_page(html):
    text = " ".join(" ".join(Page(html).text).split())
    for word in (
        "majority class",
        "run-1",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "@article{guo2023",
        "centerface",
        "no_face",
    ):
        assert word in text
    assert "The runs differ in crop profile" in text
    assert "A <title> & more" in text
    assert "A <title>" not in html


def test_same_input_gives_the_same_page(two_runs, html, tmp_path):
    assert write_report(two_runs, tmp_path, "A <title> & more").read_text("utf-8") == html


def test_faces_can_be_left_out(two_runs, tmp_path):
    html = write_report(two_runs, tmp_path, faces=False).read_text("utf-8")
    assert "data:image" not in html
    assert 'id="examples"' not in html


def test_names_from_a_run_cannot_become_markup(tmp_path):
    scores = run_folders.scores_table(model='<script>alert("x")</script>', pairs=2, frames=1)
    card = {"bibtex": "</pre><script>1</script>"}
    result = run_folders.result_of(scores)
    result = result.model_copy(update={"weights": result.weights.model_copy(update={"card": card})})
    page = write_report([run_folders.write_run(tmp_path / "run", scores, result)], tmp_path / "out")
    html = page.read_text("utf-8")
    assert html.count("<script>") == 1
    assert Page(html).open == []


def test_a_run_that_scored_nothing_of_one_class_still_reports(tmp_path):
    scores = run_folders.scores_table(pairs=2, frames=1)
    fakes = scores.filter(run_folders.pa.compute.equal(scores["label"], 1))
    result = run_folders.result_of(fakes, mini=False)
    page = write_report([run_folders.write_run(tmp_path / "run", fakes, result, examples=False)], tmp_path / "out")
    html = page.read_text("utf-8")
    assert "only fake samples" in html
    assert "No detector has scores of both classes" in html
    assert "invented faces" not in html
    assert Page(html).open == []


def test_nothing_is_written_for_broken_runs(tmp_path, two_runs):
    with pytest.raises(DataError):
        write_report([two_runs[0], tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        write_report(two_runs, tmp_path / "file")


def test_command_prints_the_table_and_the_path_last(two_runs, tmp_path):
    out = tmp_path / "out"
    found = CliRunner().invoke(cli, ["report", *map(str, two_runs), "--out", str(out), "--no-faces", "--title", "T"])
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[-1] == str(out / "index.html")
    assert lines[0].startswith("model")
    assert "\x1b" not in found.output
    assert "<h1>T</h1>" in (out / "index.html").read_text("utf-8")


def test_dollar_signs_in_names_start_no_formula(tmp_path):
    scores = run_folders.scores_table(model="cost$ of $\\frac", pairs=2, frames=1)
    run = run_folders.write_run(tmp_path / "run", scores, run_folders.result_of(scores), examples=False)
    svg = re.findall(r"<svg.*?</svg>", write_report([run], tmp_path / "out").read_text("utf-8"), re.DOTALL)
    assert any("cost$ of $\\frac" in figure for figure in svg)
