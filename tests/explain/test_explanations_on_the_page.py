"""Explanations on the page of the report."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import dfbench
from dfbench import explain_detector
from dfbench.cli.main import run_command
from dfbench.errors import DataError, UsageError
from dfbench.explain import Explanation, open_explanation
from dfbench.io import write_text
from dfbench.report import write_report

OTHER = "these weights are not those of a run on this page"


@pytest.fixture(scope="module")
def made(quadrants: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An explanation, and runs of the same weights and of others."""
    base = tmp_path_factory.mktemp("page")
    common = {"protocol": quadrants.protocol, "manifests": quadrants.manifest, "device": "cpu", "quiet": True}
    own = {"model": quadrants.model, "weights": quadrants.weights} | common
    other = {"model": quadrants.models[1], "weights": quadrants.all_weights[1]} | common
    explanation = explain_detector(**own, out=base / "explained", mean_images=4, images=10, examples=1, residual=True)
    runs = [dfbench.evaluate(**given, out=base / name).folder for name, given in {"own": own, "other": other}.items()]
    return SimpleNamespace(explanation=explanation, own=runs[0], other=runs[1])


def page(made: SimpleNamespace, tmp_path: Path, *folders: Path, run: str = "own", **options: bool) -> str:
    given = folders or (made.explanation.folder,)
    return write_report([getattr(made, run)], tmp_path / "page", explanations=given, **options).read_text("utf-8")


def images(text: str) -> list[bytes]:
    section = text[text.index('<section id="explanations">') :]
    section = section[: section.index("</section>")]
    return [base64.b64decode(found) for found in re.findall(r'src="data:image/png;base64,([^"]+)"', section)]


def test_sentences_tables_and_all_figures_are_there(made: SimpleNamespace, tmp_path: Path) -> None:
    text = page(made, tmp_path)
    files = sorted((made.explanation.folder / "figures").glob("*.png"))
    assert [file.name for file in files] == [
        "confusion.png", "maps-Lower.png", "maps-Right.png", "maps-Upper.png", "maps-real.png", "mean-maps.png",
        "residuals.png",
    ]  # fmt: skip
    assert images(text) == [file.read_bytes() for file in files]
    assert "By its FAM, the technique of 100.0 % of 30 fakes" in text
    assert "Maps against masks" in text
    assert '<a href="#explanations">' in text
    assert OTHER not in text


def test_without_faces_only_means_and_confusion_are_shown(made: SimpleNamespace, tmp_path: Path) -> None:
    shown = images(page(made, tmp_path, faces=False))
    figures = made.explanation.folder / "figures"
    assert shown == [(figures / name).read_bytes() for name in ("confusion.png", "mean-maps.png")]


def test_other_weights_are_told(made: SimpleNamespace, tmp_path: Path) -> None:
    assert OTHER in page(made, tmp_path, run="other")


def test_without_an_explanation_there_is_no_section(made: SimpleNamespace, tmp_path: Path) -> None:
    assert 'id="explanations"' not in write_report([made.own], tmp_path / "page").read_text("utf-8")


def copied(made: SimpleNamespace, tmp_path: Path) -> Explanation:
    return open_explanation(shutil.copytree(made.explanation.folder, tmp_path / "copy"))


def test_texts_of_a_stranger_are_escaped(made: SimpleNamespace, tmp_path: Path) -> None:
    folder = copied(made, tmp_path).folder
    record = json.loads((folder / "explanations.json").read_text("utf-8"))
    record["model"] = record["notes"] = "<script>alert(1)</script>"
    record["notes"] = [record["model"]]
    write_text(folder / "explanations.json", json.dumps(record))
    name = folder / "figures" / 'maps-"onload="alert(1).png'
    shutil.copy(folder / "figures" / "confusion.png", name)
    text = page(made, tmp_path, folder)
    assert "<script>alert" not in text
    assert '"onload="' not in text


@pytest.mark.parametrize(
    ("data", "message"), [(b"<svg onload=alert(1)>", "is not a PNG file"), (b"\x89PNG\r\n\x1a\n" * 2**23, "more than")]
)
def test_figures_that_explain_did_not_write_are_refused(
    made: SimpleNamespace, tmp_path: Path, data: bytes, message: str
) -> None:
    folder = copied(made, tmp_path).folder
    (folder / "figures" / "confusion.png").write_bytes(data)
    with pytest.raises(DataError, match=message):
        page(made, tmp_path, folder)


def test_a_link_out_of_the_folder_is_not_followed(made: SimpleNamespace, tmp_path: Path) -> None:
    folder = copied(made, tmp_path).folder
    secret = tmp_path / "secret.png"
    shutil.copy(folder / "figures" / "confusion.png", secret)
    (folder / "figures" / "confusion.png").unlink()
    (folder / "figures" / "confusion.png").symlink_to(secret)
    with pytest.raises(DataError, match="is a link"):
        page(made, tmp_path, folder)


def test_given_twice_or_no_explanation(made: SimpleNamespace, tmp_path: Path) -> None:
    folder = made.explanation.folder
    with pytest.raises(UsageError, match="more than once"):
        page(made, tmp_path, folder, copied(made, tmp_path).folder)
    with pytest.raises(DataError, match="holds no explanation"):
        page(made, tmp_path, tmp_path)
    assert not (tmp_path / "page").exists() or not any((tmp_path / "page").iterdir())


def test_command(made: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", str(made.own), "--explanation", str(made.explanation.folder), "--out", str(tmp_path / "page")]
    assert run_command(words) == 0
    assert len(images(Path(capsys.readouterr().out.splitlines()[-1]).read_text("utf-8"))) == 7
