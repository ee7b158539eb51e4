"""``evaluate --data``: any labelled folder is prepared and evaluated in one step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from loading import load_file

from dfbench import evaluate, load_protocol, open_manifest
from dfbench.cli.main import run_command
from dfbench.errors import DataError, ModelError
from dfbench.media.encode import write_clip
from dfbench.workflow import resolve_evaluation

moving = load_file("tests/preparation/conftest.py", "folder_preparation").moving
save = load_file("tests/scoring/conftest.py", "folder_scoring").save


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(moving(1, seed=seed)[0], cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "My Phones"
    for number, name in enumerate(("real/a.png", "real/b.png", "fake/Swap/a.png", "fake/Swap/b.png")):
        write_image(folder / name, number)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "clips"
    for number, name in enumerate(("real/a.mp4", "fake/b.mp4")):
        (folder / name).parent.mkdir(parents=True)
        write_clip(folder / name, moving(5, seed=number), 25, 23)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(folder: Path, weights: Path, **options: Any) -> Any:
    return evaluate("meso4", data=folder, weights=weights, device="cpu", quiet=True, **options)


def values(result: Any) -> dict[str, Any]:
    return {m.name: m for m in result.metrics if m.manipulation == "all"}


def test_a_folder_of_images_with_the_crops_of_the_card(
    images: Path, save: Callable[..., Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save(profile="box", size=96)
    words = ["evaluate", "--model", "meso4", "--weights", str(weights), "--data", str(images), "--device", "cpu"]
    assert run_command([*words, "--out", "run"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(Path("run") / "result.json")
    assert "prepare folder:my-phones" in printed.err
    (manifest,) = (home / "manifests").iterdir()
    info = open_manifest(manifest).info
    assert (info.dataset, info.profile, info.sizes) == ("folder:my-phones", "box", (96,))
    assert sum(shard.rows for shard in info.shards) == 4
    first = open_manifest(manifest).path / "manifest.json"
    before = first.stat().st_mtime_ns
    # The protocol in the run folder repeats the run, without the folder of images.
    repeated = ["evaluate", "--model", "meso4", "--weights", str(weights), "--protocol", "run/protocol.toml"]
    assert run_command([*repeated, "--manifest", str(manifest), "--out", "again", "--device", "cpu", "-q"]) == 0
    rules = load_protocol("run/protocol.toml")
    assert rules.name == "folder/my-phones"
    assert f"--manifest {manifest.as_posix()}" in Path("run/protocol.toml").read_text("utf-8")
    assert all(name.endswith(".frame") for name in rules.metrics.names), "stills have no video level"
    one, two = (Path(name, "result.json").read_text("utf-8") for name in ("run", "again"))
    assert one.split('"metrics"')[1].split('"caution"')[0] == two.split('"metrics"')[1].split('"caution"')[0]
    assert run_command([*words, "--out", "run"]) == 0, "the same call gives the same run"
    assert first.stat().st_mtime_ns == before
    assert str(images) not in one


def test_a_folder_of_clips(clips: Path, save: Callable[..., Path]) -> None:
    done = run(clips, save(), frames=3)
    found = values(done.result)
    assert {"auc.frame", "auc.video.mean", "acc.video.mean"} <= set(found)
    assert (found["auc.frame"].n, found["auc.video.mean"].n) == (6, 2)
    assert load_protocol(done.folder / "protocol.toml").sampling.frames == 3


def test_more_clips_are_added_to_the_same_manifest(clips: Path, save: Callable[..., Path], tmp_path: Path) -> None:
    folder, weights = tmp_path / "growing", save()
    shutil.copytree(clips, folder)
    first = run(folder, weights, frames=2)
    shutil.copy(folder / "real" / "a.mp4", folder / "real" / "c.mp4")
    second = run(folder, weights, frames=2)
    assert first.result.manifests[0].name == second.result.manifests[0].name
    assert values(second.result)["acc.video.mean"].n == 3
    assert first.result.run_id != second.result.run_id


def test_a_list_of_media(images: Path, save: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "listed"
    for number, name in enumerate(("x.png", "y.png", "z.png")):
        write_image(folder / name, number)
    (folder / "media.csv").write_text("path,label,split\nx.png,real,test\ny.png,fake,test\nz.png,fake,train\n", "utf-8")
    plan = resolve_evaluation("meso4", data=folder, weights=save())
    assert [(p.split, p.role) for p in plan.evaluation.protocol.data] == [("test", "test")]
    assert any("skipped: 1 media of split 'train'" in note for note in plan.notes)
    assert values(plan.run().result)["acc.frame"].n == 2


def test_one_class_alone(images: Path, save: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "fakes"
    shutil.copytree(images / "fake", folder / "fake")
    plan = resolve_evaluation("meso4", data=folder, weights=save())
    assert any("has only fake media" in note and "undefined" in note for note in plan.notes)
    found = values(plan.run().result)
    assert found["auc.frame"].value is None
    assert found["auc.frame"].undefined
    assert found["acc.frame"].n == 2


def test_without_labels_score_is_named(save: Callable[..., Path], tmp_path: Path) -> None:
    write_image(tmp_path / "plain" / "a.png", 1)
    with pytest.raises(DataError, match="cannot be evaluated") as caught:
        run(tmp_path / "plain", save())
    assert f"dfbench score {tmp_path / 'plain'}" in caught.value.hint
    with pytest.raises(DataError, match="there is no folder"):
        run(tmp_path / "nowhere", save())


def test_a_registered_detector_needs_weights(images: Path, save: Callable[..., Path], home: Path) -> None:
    with pytest.raises(ModelError, match="needs weights of 'meso4'"):
        evaluate("meso4", data=images)
    with pytest.raises(ModelError, match="invented faces"):
        run(images, save(mini=True))
    assert not home.exists()


def test_a_custom_detector_needs_none(images: Path) -> None:
    from torch import nn

    class Mean(nn.Module):
        def forward(self, images: Any) -> Any:
            return images.mean(dim=(2, 3))[:, :2]

    done = evaluate(Mean(), data=images, device="cpu", quiet=True)
    assert (done.result.metrics[0].profile, done.result.metrics[0].size) == ("native", 128)
