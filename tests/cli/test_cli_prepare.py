"""``dfbench prepare``, ``inspect`` and ``verify`` as typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from dfbench.cli.main import run_command
from dfbench.media.encode import write_clip
from dfbench.schema.manifest import READ_VERSIONS

pytestmark = pytest.mark.slow

NO_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "lightning"}:
            raise ImportError(f"{name} is not installed here", name=name)
        return None

sys.meta_path.insert(0, Refuse())
from dfbench.cli.main import run_command
sys.exit(run_command(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """One pair in FF++'s tree, of clips that show a photo inside matplotlib's wheel."""
    root = tmp_path_factory.mktemp("ffpp")
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    photo = cv2.resize(cv2.imread(str(file))[:, :, ::-1], (200, 236), interpolation=cv2.INTER_AREA)
    still = np.full((240, 320, 3), 100, np.uint8)
    still[2:238, 60:260] = photo
    for name in ("original_sequences/youtube/c23/videos/000", "manipulated_sequences/FaceSwap/c23/videos/000_003"):
        path = root / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        write_clip(path, [still] * 4, 25, 23)
    (root / "manipulated_sequences/FaceSwap/c23/videos/notes.txt").write_text("x")
    return root


@pytest.fixture
def dfbench(capsys, tmp_path, monkeypatch):
    """Run a command in an empty working directory; returns exit code, output lines, error text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFBENCH_ROOTS", raising=False)
    monkeypatch.delenv("DFBENCH_HOME", raising=False)

    def run(*words: object) -> tuple[int, list[str], str]:
        code = run_command([str(w) for w in words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


def test_warnings_are_told_and_kept(dfbench, tree, tmp_path):
    root = shutil.copytree(tree, tmp_path / "tree")
    (root / "manipulated_sequences/MySwap").mkdir()
    words = ["prepare", "ff++", "--root", root, "--frames", 2, "--size", 64, "--workers", 1, "--subset", "c23"]
    _, planned, _ = dfbench(*words, "--dry-run")
    _, lines, _ = dfbench(*words, "--subset", "c40")
    strange = "folders that are not methods of FaceForensics++ were skipped: MySwap"
    assert f"warning: {strange}" in planned
    assert {f"warning: {strange}", "warning: subset c40 is not in the tree"} <= set(lines)
    kept = json.loads((Path(lines[-1]) / "manifest.json").read_text("utf-8"))["warnings"]
    assert set(kept) == {strange, "subset c40 is not in the tree"}
    log = [json.loads(line) for line in (Path(lines[-1]) / "prepare-log.jsonl").read_text("utf-8").splitlines()]
    assert log[0]["warnings"] == kept
    assert dfbench(*words, "--subset", "c40", "-q")[1] == [lines[-1]]


@pytest.fixture
def prepared(dfbench, tree):
    code, lines, _ = dfbench("prepare", "ff++", "--root", tree, "--frames", 2, "--size", 64, "--workers", 1)
    assert code == 0
    return Path(lines[-1]), lines


def test_prepare_says_what_became_of_everything(prepared):
    folder, lines = prepared
    assert folder == Path("manifests/ff++")
    assert (folder / "manifest.json").is_file()
    text = "\n".join(lines)
    assert "test   real    2" in text
    assert "not in the tree: 4998 of 5000 expected clips" in text
    assert "skipped, not the name of a clip: manipulated_sequences/FaceSwap/c23/videos/notes.txt" in text
    assert "\x1b" not in text


def test_inspect_and_contact_sheet(dfbench, prepared):
    code, lines, _ = dfbench("inspect", prepared[0], "--faces", "faces.png")
    assert code == 0
    assert lines[-1] == "faces.png"
    assert cv2.imread("faces.png").shape[0] > 2 * 64
    assert any(line.split() == ["test", "c23", "fake", "FaceSwap", "1", "2", "0", "0", "0"] for line in lines)
    assert any("FaceForensics Terms of Use" in line for line in lines)


def test_verify(dfbench, prepared):
    folder = prepared[0]
    code, lines, _ = dfbench("verify", folder)
    assert code == 0
    assert "is intact: 1 shards, 4 rows" in lines[-1]
    shard = folder / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    code, lines, err = dfbench("verify", folder)
    assert code == 3
    assert any(line.startswith("hash: shard-00000.parquet") for line in lines)
    assert "hint: delete these shards" in err


def test_quiet_prints_the_folder_alone(dfbench, tree):
    words = ("prepare", "ff++", "--root", tree, "--frames", 1, "--size", 64, "--workers", 1, "-q", "--out", "here")
    assert dfbench(*words) == (0, ["here"], "")


def test_dry_run_writes_nothing(dfbench, tree, tmp_path):
    code, lines, _ = dfbench("prepare", "ff++", "--root", tree, "--dry-run")
    assert code == 0
    assert any(line.split() == ["c23", "test", "fake", "FaceSwap", "1", "139", "0", "140"] for line in lines)
    assert "would prepare 2 clips" in lines[-1]
    assert "at most 64 rows" in lines[-1]
    code, lines, _ = dfbench("prepare", "mini", "--dry-run")
    assert code == 0
    assert lines[0] == "the mini data set will be generated first: 2320 clips of invented people in data/mini"
    assert lines[-1] == "would then prepare them (profile native, sizes 128) into manifests/mini; all options are valid"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["ff+"], 2, "unknown data set 'ff+'", "did you mean 'ff++'"),
        (["ff++"], 3, "no root is known", "DFBENCH_ROOTS"),
        (["ff++", "--root", "nosuch"], 3, "not a folder", "--root"),
        (["ff++", "--root", "."], 3, "no FaceForensics++ tree", "original_sequences"),
        (["ff++", "--root", "TREE", "--subset", "c24"], 2, "unknown subset", "c23"),
        (["ff++", "--root", "TREE", "--manipulation", "Faceswap"], 2, "unknown manipulation", "FaceSwap"),
        (["ff++", "--root", "TREE", "--split", "trian"], 2, "unknown split", "train"),
        (["ff++", "--root", "TREE", "--subset", "c40"], 3, "no media of", "layout"),
        (["ff++", "--root", "TREE", "--protocol", "minni"], 2, "unknown protocol", "mini"),
        (["ff++", "--root", "TREE", "--profile", "nativ"], 2, "unknown", "native"),
        (["ff++", "--root", "TREE", "--decoder", "x"], 2, "unknown decoder", "pyav"),
        (["ff++", "--root", "TREE", "--frames", "0"], 2, "at least 1", ""),
        (["ff++", "--root", "TREE", "--max", "3"], 2, "", "--every"),
        (["ff++", "--root", "TREE", "--workers", "0"], 2, "--workers", ""),
        (["ff++", "--root", "TREE", "--engine", "dsak"], 2, "unknown engine 'dsak'", "dask"),
        (["ff++", "--root", "TREE", "--address", "tcp://x:1"], 2, "--address", "this machine"),
        (["ff++", "--root", "TREE", "--array", "5/4"], 2, "--array", "3/16"),
        (["ff++", "--root", "TREE", "--pairs", "1,1,1"], 2, "require the data set mini", ""),
        (["mini", "--pairs", "1,1"], 2, "three numbers", "48,12,24"),
        (["mini", "--pairs", "0,0,0"], 2, "at least one pair", ""),
        (["mini", "--protocol", "minni"], 2, "unknown protocol", "mini"),
    ],
)  # fmt: skip
def test_wrong_words_are_answered_before_anything_is_made(dfbench, tree, tmp_path, words, code, error, hint):
    for dry in ((), ("--dry-run",)):
        found, _, err = dfbench("prepare", *(str(tree) if w == "TREE" else w for w in words), *dry)
        assert found == code
        assert error in err
        assert hint in err
        assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_manifest_of_another_version(dfbench, prepared):
    file = prepared[0] / "manifest.json"
    other = READ_VERSIONS[0] - 1
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": other}))
    for words in (("inspect", prepared[0]), ("verify", prepared[0])):
        code, _, err = dfbench(*words)
        assert code == 3
        assert f"format version {other}, this dfbench reads versions 2 and 3" in err
        assert "hint: " in err
    assert dfbench("inspect", "nosuch")[0] == 3


@pytest.mark.slow
@pytest.mark.end_to_end
def test_prepare_mini_without_torch(tmp_path):
    words = ["prepare", "mini", "--pairs", "0,0,1", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "manifests/mini"
    info = json.loads((tmp_path / "manifests/mini/manifest.json").read_text())
    assert info["sizes"] == [128]
    assert info["recipe"]["sampling"] == {"rule": "frames", "frames": 8}
    rows = sum(n for labels in info["counts"].values() for statuses in labels.values() for n in statuses.values())
    assert rows == 2 * 10 * 8  # two subsets of a pair: two reals, eight fakes
    assert sum(labels["real"]["ok"] for labels in info["counts"].values()) >= 30
