"""Files that version 0.1.0 wrote still open and can be used, without the videos they came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loading import load_file

from dfbench import evaluate, open_manifest
from dfbench.cli.main import run_command

STORED = Path(__file__).resolve().parent / "v0_1_0"
MANIFEST = STORED / "manifest"
TINY = STORED / "tiny.toml"


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command prints, which must succeed."""
    code = run_command([str(word) for word in words])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out + printed.err


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored weights on the stored manifest, evaluated by this version."""
    folder = tmp_path_factory.mktemp("repeated") / "run"
    evaluate("meso4", TINY, [MANIFEST], STORED / "tiny.safetensors", folder, device="cpu", quiet=True)
    return folder


def test_the_manifest_opens_and_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = open_manifest(MANIFEST)
    assert not manifest.verify()
    rows = manifest.to_pandas(["sample_id", "split", "label", "status"])
    assert len(rows) == 60
    assert set(rows["status"]) == {"ok"}
    assert "is intact" in said(capsys, "verify", MANIFEST)


def test_the_manifest_gives_crops_to_torch() -> None:
    manifest = open_manifest(MANIFEST)
    samples = manifest.samples(TINY, "train")
    data = manifest.torch_dataset(samples, 32)
    assert len(data) == 20
    image, *_ = data[0] if isinstance(data[0], tuple) else (data[0],)
    assert tuple(image.shape) == (3, 32, 32)


def test_other_crops_of_the_manifest_are_made_without_the_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "degrade", MANIFEST, "--with", "JP60", "--out", tmp_path / "jp60", "-q")
    assert len(open_manifest(tmp_path / "jp60").to_pandas(["sample_id"])) == 60


def test_stored_weights_give_their_scores_again(repeated: Path) -> None:
    tool = load_file("tests/compat/pins.py", "pins_tool")
    old, new = (json.loads((folder / "result.json").read_text("utf-8")) for folder in (STORED / "run-tiny", repeated))
    assert new["weights"]["sha256"] == old["weights"]["sha256"]
    assert new["protocol"]["hash"] != old["protocol"]["hash"]
    assert tool.numbers(new).keys() == tool.numbers(old).keys()
    for key, value in tool.numbers(old).items():
        assert tool.numbers(new)[key] == pytest.approx(value, abs=1e-3), key


def test_the_card_is_of_the_protocol_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "mini"):
        assert "meso4" in said(capsys, "weights", "show", STORED / f"{name}.safetensors")
    text = said(capsys, "evaluate", "--model", "meso4", "--protocol", TINY, "--manifest", MANIFEST,
                "--weights", STORED / "tiny.safetensors", "--device", "cpu", "--out", "run")  # fmt: skip
    assert "another version" not in text
    assert "training: by the protocol" in text


@pytest.mark.parametrize("name", ["run-tiny", "run-imported"])
def test_runs_open_in_the_report(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "report", STORED / name, "--out", tmp_path / "page")
    (page,) = (tmp_path / "page").rglob("*.html")
    result = json.loads((STORED / name / "result.json").read_text("utf-8"))
    assert result["run_id"] in page.read_text("utf-8")


def test_runs_are_compared_with_each_other_and_with_new_ones(
    repeated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "auc.frame" in said(capsys, "compare", STORED / "run-mini", STORED / "run-imported")
    assert "auc.frame" in said(capsys, "compare", STORED / "run-tiny", repeated)


def test_a_change_of_the_protocol_still_parts_old_and_new_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "tiny.toml"
    changed.write_text(TINY.read_text("utf-8").replace("resamples = 200", "resamples = 100"), "utf-8")
    evaluate("meso4", changed, [MANIFEST], STORED / "tiny.safetensors", tmp_path / "run", device="cpu", quiet=True)
    assert run_command(["compare", str(STORED / "run-tiny"), str(tmp_path / "run")]) == 3
    assert "follow different protocols" in capsys.readouterr().err


def test_stored_files_name_no_folder_of_the_machine() -> None:
    for file in STORED.rglob("*"):
        content = b"" if file.is_dir() or file.suffix == ".md" else file.read_bytes()
        assert not any(start in content for start in (b"/home/", b"/tmp/", b"/root/", b"/work/")), file
