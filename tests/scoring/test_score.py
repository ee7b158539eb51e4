"""Scores of a user's files: the same as through prepare and evaluate, every file accounted for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import dfbench
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.preparation.prepare import prepare
from dfbench.scoring import CropOptions
from dfbench.scoring.tables import DOUBT_NOTE
from dfbench.workflow import evaluate

pytestmark = pytest.mark.slow

SIZE = 64


@pytest.mark.parametrize("rule", ["largest", "all"])
def test_scores_are_those_of_prepare_and_evaluate(
    clips: Path, weights: Path, tiny: SimpleNamespace, tmp_path: Path, rule: str
) -> None:
    root = tmp_path / "tree"
    for where, name in (("real", "one"), ("fake/swap", "two"), ("real", "none")):
        (root / where).mkdir(parents=True, exist_ok=True)
        shutil.copy(clips / f"{name}.mp4", root / where)
    manifest = prepare("folder", root, tmp_path / "m", frames=2, sizes=[SIZE], face_rule=rule, workers=1, quiet=True)
    protocol = tmp_path / "p.toml"
    text = (
        tiny.protocol.read_text()
        .replace('name = "tiny"', 'name = "p"')
        .replace("frames = 2", f'frames = 2\nfaces = "{rule}"')
    )
    protocol.write_text(
        text.replace("[metrics]\n", '[metrics]\nfaces = "largest"\n' if rule == "all" else "[metrics]\n")
    )
    run = evaluate("meso4", protocol, [manifest.path], weights, tmp_path / "run", device="cpu", quiet=True)
    expected = dict(zip(run.scores_table["sample_id"].to_pylist(), run.scores_table["score"].to_pylist(), strict=True))

    found = dfbench.score(root, "meso4", weights, frames=2, face_rule=rule, device="cpu", workers=1, quiet=True)
    mine: dict[str, float | None] = {}
    for file in found.files:
        kind = "swap" if "swap" in file.file else "real"
        name = f"folder/all/{kind}/" + Path(file.file).relative_to(root).with_suffix("").as_posix()
        for frame in file.frames:
            for face in frame.faces:
                mine[f"{name}#{frame.frame:06d}.{face.face}"] = face.p_fake
            if not frame.faces:
                mine[f"{name}#{frame.frame:06d}.0"] = None
    assert set(mine) == set(expected)
    for sample, value in expected.items():
        assert mine[sample] == (None if value is None else pytest.approx(value, abs=1e-6)), sample
    two = next(f for f in found.files if f.file.endswith("two.mp4"))
    largest = [expected[s] for s in expected if "/two#" in s and s.endswith(".0")]
    assert two.summary.p_fake == pytest.approx(np.mean(largest), abs=1e-6)


def test_every_face_is_followed(clips: Path, weights: Path) -> None:
    options = {"frames": 4, "device": "cpu", "workers": 1, "quiet": True}
    by_rule = {
        rule: dfbench.score(clips / "two.mp4", "meso4", weights, face_aggregation=rule, **options).files[0]
        for rule in ("largest", "max", "mean")
    }
    file = by_rule["largest"]
    assert [(t.track, t.summary.frames) for t in file.tracks] == [(1, 4), (2, 4)]
    assert file.faces_found == 8
    for number, frame in enumerate(file.frames):
        left, right = sorted(frame.faces, key=lambda face: face.box[0])
        assert (left.track, right.track) == (1, 2)
        values = (left.p_fake, right.p_fake)
        assert frame.p_fake == left.p_fake
        assert by_rule["max"].frames[number].p_fake == max(values)
        assert by_rule["mean"].frames[number].p_fake == pytest.approx(np.mean(values))
    of_track = [[f.p_fake for frame in file.frames for f in frame.faces if f.track == t] for t in (1, 2)]
    assert [t.summary.p_fake for t in file.tracks] == [pytest.approx(np.mean(values)) for values in of_track]
    assert file.summary.sd == pytest.approx(np.std(of_track[0], ddof=1))
    assert (file.summary.lowest, file.summary.highest) == (min(of_track[0]), max(of_track[0]))
    one = dfbench.score(clips / "two.mp4", "meso4", weights, face_rule="largest", aggregation="max", **options).files[0]
    assert len(one.tracks) == 1
    assert one.summary.p_fake == max(frame.p_fake for frame in file.frames)


def test_every_file_is_accounted_for(clips: Path, weights: Path, tmp_path: Path) -> None:
    for name in ("one.mp4", "none.mp4", "photo.png"):
        shutil.copy(clips / name, tmp_path)
    whole = (clips / "one.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / "a#b.mp4").write_bytes(whole)
    words = [tmp_path, str(tmp_path / "*.txt"), tmp_path / "one.mp4"]
    found = dfbench.score(words, "meso4", weights, frames=3, device="cpu", workers=1, quiet=True)
    by_name = {Path(f.file).name: f for f in found.files}
    assert list(by_name) == ["a#b.mp4", "cut.mp4", "none.mp4", "one.mp4", "photo.png", "notes.txt"]
    assert {name: f.status for name, f in by_name.items()} == {
        "a#b.mp4": "ok",
        "cut.mp4": "decode_error",
        "none.mp4": "no_face",
        "one.mp4": "ok",
        "photo.png": "ok",
        "notes.txt": "decode_error",
    }
    assert found.scored == 3
    assert {name: f.requested for name, f in by_name.items()} == dict.fromkeys(by_name, 3) | {"photo.png": 1}
    assert all(f.reason and f.summary.p_fake is None for f in found.files if f.status != "ok")
    assert str(tmp_path) not in by_name["cut.mp4"].reason
    assert by_name["a#b.mp4"].summary == by_name["one.mp4"].summary
    assert by_name["photo.png"].summary.sd is None
    assert [Path(p).name for p in found.settings["skipped"]] == ["notes.txt"]


def test_several_processes_give_the_same_and_survive_a_crash(
    clips: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One file crashes its worker every time, the worker of another is killed from outside once."""
    from dfbench.scoring import face_crops

    plain = dfbench.score([clips / "one.mp4", clips / "photo.png"], "meso4", weights, frames=2, workers=1, quiet=True)

    def deadly(path: Path, settings: face_crops.CropSettings) -> object:
        import os
        import signal

        from dfbench.scoring.face_crops import extract_rows

        if path.name == "two.mp4":
            os.write(2, b"libpng error: IDAT\n")
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.name == "photo.png" and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return extract_rows(path, settings)

    monkeypatch.setattr(face_crops, "extract_rows", deadly)
    words = [clips / "one.mp4", clips / "two.mp4", clips / "photo.png"]
    found = dfbench.score(words, "meso4", weights, frames=2, workers=2, quiet=True)
    assert [f.status for f in found.files] == ["ok", "decode_error", "ok"]
    assert "crashes the decoder" in found.files[1].reason
    assert (found.files[0], found.files[2]) == plain.files
    assert (tmp_path / "killed").exists()
    lines = [line for line in capfd.readouterr().err.splitlines() if "libpng" in line]
    assert set(lines) <= {f"{clips / 'two.mp4'}: libpng error: IDAT"}


def test_a_condition_is_applied_and_named(clips: Path, weights: Path) -> None:
    options = {"frames": 2, "device": "cpu", "workers": 1, "quiet": True}
    scores = {
        name: dfbench.score(clips / "one.mp4", "meso4", weights, condition=name, **options)
        for name in ("clean", "jpeg:q=10", "mean:k=5@source", "h264:crf=45")
    }
    values = [s.files[0].summary.p_fake for s in scores.values()]
    assert len(set(values)) == len(values)
    assert scores["h264:crf=45"].settings["condition"] == "h264:crf=45@clip"


def test_weights_must_fit(
    clips: Path, weights: Path, save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, options = clips / "one.mp4", {"frames": 2, "device": "cpu", "workers": 1, "quiet": True}
    with pytest.raises(UsageError, match="unknown model 'meso'") as unknown:
        dfbench.score(one, "meso", weights)
    assert "did you mean 'meso4'" in unknown.value.hint
    with pytest.raises(ModelError, match="belong to 'meso4'"):
        dfbench.score(one, "resnet18", weights)
    with pytest.raises(ModelError, match="trained on native 64 px crops, but box 64 px were requested") as other:
        dfbench.score(one, "meso4", weights, crops=CropOptions(profile="box"))
    assert "--allow-crop-mismatch" in other.value.hint
    with pytest.raises(ModelError, match="native 128 px"):
        dfbench.score(one, "meso4", weights, crops=CropOptions(size=128))
    with pytest.raises(ModelError, match="built for 64 x 64 pixels"):
        dfbench.score(one, "meso4", weights, crops=CropOptions(size=128), allow_crop_mismatch=True)
    forced = dfbench.score(
        one, "grnet", save("grnet"), crops=CropOptions("box", 96), allow_crop_mismatch=True, **options
    )
    assert forced.crop_mismatch == "native 64 px"
    assert (forced.settings["profile"], forced.settings["size"]) == ("box", 96)
    boxes = save(profile="box")
    assert dfbench.score(one, "meso4", boxes, **options).settings["profile"] == "box"
    with pytest.raises(ModelError, match="synthetic faces") as invented:
        dfbench.score(one, "meso4", save(mini=True))
    assert "--allow-mini-weights" in invented.value.hint

    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="no weights of 'meso4'") as missing:
        dfbench.score(one, "meso4")
    for step in (
        "dfbench train --model meso4",
        "mesonet",
        "dfbench weights import FILE --model meso4",
        "weights sources",
    ):
        assert step in missing.value.hint
    with pytest.raises(ModelError, match="no weights of 'grnet'") as unpublished:
        dfbench.score(one, "grnet")
    assert "dfbench train --model grnet" in unpublished.value.hint
    assert "import" not in unpublished.value.hint
    for name in ("a", "b/c"):
        folder = tmp_path / "weights" / name
        folder.mkdir(parents=True)
        for suffix in ("safetensors", "json"):
            shutil.copy(weights.with_suffix(f".{suffix}"), folder)
        if name == "a":
            assert dfbench.score(one, "meso4", **options).settings["weights"]["file"] == "meso4.safetensors"
    with pytest.raises(ModelError, match="2 weight files of 'meso4'"):
        dfbench.score(one, "meso4")
    for suffix in ("safetensors", "json"):  # the card says whose weights they are, not the name
        (tmp_path / "weights" / "a" / f"meso4.{suffix}").unlink()
        file = tmp_path / "weights" / "b" / "c" / f"meso4.{suffix}"
        file.rename(file.with_name(f"meso4-JP60.{suffix}"))
    (tmp_path / "weights" / "a" / "meso4.safetensors").write_bytes(b"without a card")
    assert dfbench.score(one, "meso4", **options).settings["weights"]["file"] == "meso4-JP60.safetensors"


def test_faces_are_found_as_for_the_training(clips: Path, save: Callable[..., Path]) -> None:
    from dfbench.schema.result import ManifestRef

    def trained_on(detector: str) -> tuple[ManifestRef, ...]:
        values = {"name": "m", "dataset": "folder", "hash": "0", "profile": "native", "sizes": (SIZE,)}
        return (ManifestRef(**values, geometry="own", decoder="pyav", face_detector=detector),)

    for detector, expected in (("centerface-full", "centerface-full"), ("none", "centerface")):
        weights = save(manifests=trained_on(detector))
        found = dfbench.score(clips / "photo.png", "meso4", weights, device="cpu", workers=1, quiet=True)
        assert found.settings["face_detector"]["name"] == expected
    forced = CropOptions(face_detector="centerface-full")
    found = dfbench.score(clips / "photo.png", "meso4", weights, crops=forced, device="cpu", workers=1, quiet=True)
    assert found.settings["face_detector"]["name"] == "centerface-full"


def test_several_classes(clips: Path, save: Callable[..., Path]) -> None:
    options = {"frames": 1, "device": "cpu", "workers": 1, "quiet": True}
    names = ("real", "swap", "gan")
    file = dfbench.score(clips / "one.mp4", "meso4", save(num_classes=3, classes=names), **options).files[0]
    logits = np.array(file.frames[0].faces[0].logits)
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert file.summary.p_fake == pytest.approx(1 - softmax[0], abs=1e-6)
    sources = save(num_classes=3, classes=("CelebA", "YouTube", "gan"))
    with pytest.raises(UsageError, match="which of the classes"):
        dfbench.score(clips / "one.mp4", "meso4", sources, **options)
    reals = ("CelebA", "YouTube")
    file = dfbench.score(clips / "one.mp4", "meso4", sources, real_classes=reals, **options).files[0]
    assert file.summary.p_fake == pytest.approx(softmax[2], abs=1e-6)
    stated = save(num_classes=3, classes=("CelebA", "YouTube", "gan"), real_classes=reals)  # as training writes it
    again = dfbench.score(clips / "one.mp4", "meso4", stated, **options).files[0]
    assert again.summary.p_fake == file.summary.p_fake
    first = dfbench.score(clips / "one.mp4", "meso4", stated, real_classes=("CelebA",), **options).files[0]
    assert first.summary.p_fake == pytest.approx(softmax[1] + softmax[2], abs=1e-6)


def test_a_users_own_detector_comes_as_it_is(clips: Path, tmp_path: Path) -> None:
    file = tmp_path / "red.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Red(nn.Module):\n"
        "    def forward(self, images):\n"
        "        return torch.logit(images[:, 0].mean(dim=(1, 2)))\n"
    )
    found = dfbench.score(clips / "photo.png", f"{file}:Red", crops=CropOptions(size=SIZE), workers=1, quiet=True)
    assert found.settings["weights"]["file"] is None
    assert 0.2 < found.files[0].summary.p_fake < 0.9


def test_probabilities_of_a_users_detector_are_marked_or_declared(clips: Path, tmp_path: Path) -> None:
    code = (
        "import torch\nfrom torch import nn\n"
        "class Red(nn.Module):\n"
        "    def forward(self, images):\n"
        "        return images[:, 0].mean(dim=(1, 2)).sigmoid() ** 2\n"
    )
    found = {}
    for name, more in (("silent", ""), ("declared", "    outputs_probabilities = True\n")):
        (tmp_path / f"{name}.py").write_text(code + more)
        found[name] = dfbench.score(
            [clips / "one.mp4", clips / "two.mp4"],
            f"{tmp_path / name}.py:Red",
            crops=CropOptions(size=SIZE),
            workers=1,
            quiet=True,
            csv=tmp_path / f"{name}.csv",
        )
    assert "are in [0,1]" in found["silent"].settings["doubt"]
    assert DOUBT_NOTE in (tmp_path / "silent.csv").read_text("utf-8")
    assert found["declared"].settings["doubt"] == ""
    assert DOUBT_NOTE not in (tmp_path / "declared.csv").read_text("utf-8")
    for silent, declared in zip(found["silent"].files, found["declared"].files, strict=True):
        p = np.array([frame.p_fake for frame in declared.frames])
        assert [frame.p_fake for frame in silent.frames] == pytest.approx(1 / (1 + np.exp(-p)), abs=1e-6)
        assert 0.25 < p.min() < p.max() < 0.6


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([], UsageError, "no file to score"),
        (["on.mp4"], DataError, "no such file or folder: on.mp4"),
        (["*.webm"], DataError, r"no clip or image in \*.webm"),
        (["empty"], DataError, "no clip or image in empty"),
        (["papers"], DataError, "no clip or image in papers"),
    ],
)
def test_names_that_lead_nowhere(
    clips: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    error: type,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clips / "one.mp4", tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.pdf").write_text("x")
    with pytest.raises(error, match=message) as raised:
        dfbench.score(words, "meso4", weights)
    if words == ["on.mp4"]:
        assert "did you mean one.mp4" in raised.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "at least 1"),
        ({"frames": 2, "every": 3}, "one sampling rule"),
        ({"face_rule": "manipulated"}, "needs the original clip"),
        ({"face_rule": "larges"}, "unknown face rule"),
        ({"face_aggregation": "first"}, "unknown face aggregation"),
        ({"aggregation": "avg"}, "unknown aggregation"),
        ({"condition": "jpg"}, "unknown degradation"),
        ({"decoder": "ffmpeg"}, "unknown decoder"),
        ({"device": "gpu"}, "unknown device"),
        ({"precision": "fp8"}, "unknown precision"),
        ({"workers": 0}, "at least 1"),
        ({"time_limit": 0}, "must be positive"),
        ({"time_limit": float("nan")}, "must be positive"),
        ({"crops": CropOptions(profile="nativ")}, "unknown crop profile"),
        ({"crops": CropOptions(size=4)}, "between 16 and 1024"),
        ({"crops": CropOptions(face_detector="mtcn")}, "unknown face detector"),
        ({"real_classes": ("real",)}, "several classes"),
    ],
)
def test_options_are_checked_before_any_file_is_opened(weights: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dfbench.score("nowhere.mp4", "meso4", weights, **options)


def test_open_clips_and_portraits(tiny: SimpleNamespace, shared_folder: Path, tmp_path: Path) -> None:
    from dfbench.workflow import train

    weights = train(
        "meso4", tiny.protocol, [tiny.manifest], tmp_path / "meso4.safetensors", epochs=1, device="cpu", quiet=True
    )
    videos = shared_folder / "videos_open"
    portraits = tmp_path / "portraits"
    portraits.mkdir()
    for portrait in sorted((shared_folder / "faces_public_domain" / "images").glob("*.jpg"))[::50]:
        (portraits / portrait.name).symlink_to(portrait)
    words = [videos / "grid_bbaf2n.mpg", videos / "asl_again.mkv", portraits]
    found = dfbench.score(words, "meso4", weights, frames=3, device="cpu", workers=1, quiet=True)
    assert len(found.files) == 2 + 5
    assert {f.status for f in found.files} == {"ok"}
    assert [f.requested for f in found.files] == [3, 3, *[1] * 5]
    assert all(len(f.tracks) == 1 and f.summary.frames == f.requested for f in found.files)
    assert all(0 <= f.summary.lowest <= f.summary.p_fake <= f.summary.highest <= 1 for f in found.files)
    assert (found.files[0].frame_count, found.files[1].frame_count) == (75, 77)
