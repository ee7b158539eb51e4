"""What is written of scores: CSV, JSON, timelines, overlays; whole or not at all, and marked."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import dfbench
from dfbench.errors import SetupError, UsageError
from dfbench.media.images import decode_image
from dfbench.media.reader import read
from dfbench.report.figures.svg import COLOURS
from dfbench.report.table_notes import MINI_NOTE
from dfbench.scoring import outputs
from dfbench.scoring.outputs import ScoringError, plan_outputs, write_outputs
from dfbench.scoring.overlay import DrawnBox, InterpolatedTracks, draw
from dfbench.scoring.resolve import CropOptions
from dfbench.scoring.results import (
    CAUTION,
    CAUTION_SHORT,
    FaceScore,
    FileScore,
    FrameScore,
    ScoreSummary,
    TrackScore,
)
from dfbench.scoring.tables import CSV_COLUMNS, HEAD, table_rows
from dfbench.scoring.timeline import draw_timeline

QUICK = {"device": "cpu", "workers": 1, "quiet": True}


def face(track: int, x: float, p_fake: float) -> FaceScore:
    return FaceScore(track - 1, track, "ok", "", p_fake, (0.0, 0.0), (x, 10.0, x + 20, 40.0), (0.0,) * 10, 0.9)


def clip_of(frames: dict[int, list[FaceScore]], requested: list[int]) -> FileScore:
    shown = tuple(
        FrameScore(
            n,
            n / 10,
            "ok" if n in frames else "no_face",
            "",
            frames[n][0].p_fake if n in frames else None,
            1,
            tuple(frames.get(n, ())),
        )
        for n in requested
    )
    tracks = sorted({f.track or 0 for found in frames.values() for f in found})
    summary = ScoreSummary(len(frames), 0.5, 0.1, 0.2, 0.8)
    counts = {"ok": len(frames), "no_face": len(requested) - len(frames)}
    return FileScore(
        "a/clip.mp4",
        "ok",
        "",
        summary,
        len(requested),
        counts,
        1,
        100,
        80,
        50,
        tuple(TrackScore(t, summary) for t in tracks),
        shown,
    )


@pytest.fixture(scope="module")
def written(clips: Path, save: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of every output, of mini weights on other crops."""
    out = tmp_path_factory.mktemp("out")
    words = [clips / "two.mp4", clips / "photo.png", clips / "none.mp4"]
    scores = dfbench.score(
        words,
        "meso4",
        save(mini=True, profile="box"),
        frames=3,
        crops=CropOptions(profile="native"),
        allow_mini_weights=True,
        allow_crop_mismatch=True,
        csv=out / "deep" / "s.csv",
        json=out / "s.json",
        timeline=out / "time",
        overlay=out / "boxes",
        **QUICK,
    )
    assert list(scores.written) == [
        out / "deep" / "s.csv",
        out / "s.json",
        out / "time" / "two.png",
        out / "boxes" / "two.mp4",
        out / "boxes" / "photo.png",
    ]
    return out


def test_everything_is_written_and_nothing_else(written: Path) -> None:
    files = sorted(p.relative_to(written).as_posix() for p in written.rglob("*") if p.is_file())
    assert files == ["boxes/photo.png", "boxes/two.mp4", "deep/s.csv", "s.json", "time/two.png"]


def test_json_and_csv_tell_the_same(written: Path) -> None:
    whole = json.loads((written / "s.json").read_text("utf-8"))
    assert whole["caution"] == list(CAUTION)
    assert whole["mini"] is True
    assert whole["crop_mismatch"] == "box 64 px"
    assert any("mini" in mark for mark in whole["marks"])
    assert any("crop mismatch" in mark for mark in whole["marks"])
    assert whole["weights"]["card"]["model"] == whole["model"] == "meso4"
    assert {"torch", "av"} <= set(whole["versions"])
    with (written / "deep" / "s.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert all("mini" in row["note"] and "crop mismatch" in row["note"] for row in rows)
    expected = []
    for file in whole["files"]:
        assert file["requested"] == len(file["frames"])
        for frame in file["frames"]:
            faces = frame["faces"] or [{"face": None, "p_fake": None, "status": frame["status"], "box": []}]
            expected += [(file["file"], frame["frame"], f["face"], f["p_fake"], f["status"], f["box"]) for f in faces]
    found = [
        (
            r["file"],
            int(r["frame"]),
            int(r["face"]) if r["face"] else None,
            float(r["p_fake"]) if r["p_fake"] else None,
            r["status"],
            [float(r[c]) for c in ("x1", "y1", "x2", "y2") if r[c]],
        )
        for r in rows
    ]
    assert found == expected
    assert len(found) == 3 * 2 + 1 + 3


def test_the_overlay_is_the_clip_with_boxes(written: Path, clips: Path) -> None:
    source = read(clips / "two.mp4", range)
    overlay = read(written / "boxes" / "two.mp4", range)
    assert (overlay.frame_count, overlay.width, overlay.height) == (source.frame_count, source.width, source.height)
    assert overlay.fps == source.fps
    whole = json.loads((written / "s.json").read_text("utf-8"))
    (first, *_) = whole["files"][0]["frames"]
    changed = np.abs(overlay.frames[0].image.astype(int) - source.frames[0].image).max(axis=2) > 60
    for found in first["faces"]:
        x1, y1, x2, y2 = (round(v) for v in found["box"])
        middle = (y1 + y2) // 2
        assert changed[middle, x1 - 1 : x1 + 2].any()
        assert changed[middle, x2 - 1 : x2 + 2].any()
        assert not changed[middle - 5 : middle + 5, (x1 + x2) // 2 - 5 : (x1 + x2) // 2 + 5].any()


def test_an_image_with_odd_sides_keeps_its_size(written: Path, clips: Path) -> None:
    image = decode_image((written / "boxes" / "photo.png").read_bytes())
    assert image.shape == decode_image((clips / "photo.png").read_bytes()).shape == (239, 319, 3)


def test_a_clip_with_odd_sides_is_padded(clips: Path, weights: Path, tmp_path: Path) -> None:
    from dfbench.scoring.overlay import _even_sized

    images = [np.full((5, 7, 3), 9, np.uint8), np.full((10, 14, 3), 9, np.uint8)]
    assert [image.shape for image in _even_sized(iter(images))] == [(6, 8, 3), (6, 8, 3)]


def test_boxes_between_scored_frames() -> None:
    faces = InterpolatedTracks(clip_of({10: [face(1, 0, 0.2)], 20: [face(1, 40, 0.8), face(2, 80, 0.5)]}, [10, 20, 30]))
    assert faces.at(9) == []
    assert faces.at(10) == [DrawnBox(1, (0.0, 10.0, 20.0, 40.0), 0.2, True)]
    assert faces.at(15) == [DrawnBox(1, (20.0, 10.0, 40.0, 40.0), 0.2, False)]
    assert [(d.track, d.box[0], d.p_fake, d.scored) for d in faces.at(20)] == [(1, 40, 0.8, True), (2, 80, 0.5, True)]
    assert [d.box[0] for d in faces.at(29)] == [40, 80]
    assert faces.at(30) == faces.at(45) == []


def test_a_drawn_frame() -> None:
    plain = np.full((200, 300, 3), 128, np.uint8)
    drawn = draw(
        plain,
        [DrawnBox(2, (50.0, 60.0, 120.0, 150.0), 0.25, True), DrawnBox(1, (-20.0, -5.0, 30.0, 30.0), 1.0, False)],
        ["foot"],
    )
    assert (plain == 128).all()
    assert drawn.shape == plain.shape
    colour = [int(COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(drawn[105, 50].astype(int) - colour).max() <= 3
    assert (drawn[-8:, :20].min(axis=2) < 60).any()


def test_the_timeline_has_a_line_a_face(written: Path) -> None:
    file = clip_of(
        {0: [face(1, 0, 0.2)], 10: [face(1, 0, 0.4), face(2, 50, 0.9)], 20: [face(1, 0, 0.6)]}, [0, 10, 20, 30]
    )
    figure = draw_timeline(file, "meso4", [MINI_NOTE])
    (axes,) = figure.axes
    lines = {str(line.get_label()).split(":")[0]: line for line in axes.get_lines()}
    assert set(lines) == {"face 1", "face 2", "no score", "file", "threshold 0.5 (not calibrated)"}
    assert list(lines["threshold 0.5 (not calibrated)"].get_ydata()) == [0.5, 0.5]
    assert [text.get_text() for text in axes.texts] == [MINI_NOTE]
    assert np.asarray(lines["face 1"].get_xydata()).tolist() == [[0.0, 0.2], [1.0, 0.4], [2.0, 0.6]]
    assert np.asarray(lines["face 2"].get_xydata()).tolist() == [[1.0, 0.9]]
    assert np.asarray(lines["no score"].get_xydata()).tolist() == [[3.0, 0.0]]
    assert axes.get_xlabel() == "time, s"
    words = " ".join(text.get_text() for text in figure.texts) + str(figure._supxlabel.get_text())  # type: ignore[attr-defined]
    assert CAUTION_SHORT in words
    assert MINI_NOTE in words
    assert not draw_timeline(file, "meso4", []).axes[0].texts
    untimed = replace(file, frames=tuple(replace(frame, time_s=None) for frame in file.frames))
    assert draw_timeline(untimed, "meso4", []).axes[0].get_xlabel() == "frame"
    drawn = decode_image((written / "time" / "two.png").read_bytes())
    assert drawn.shape[1] > 800
    assert drawn.std() > 5


def test_the_table_names_each_of_several_faces(clips: Path, weights: Path) -> None:
    scores = dfbench.score([clips / "two.mp4", clips / "none.mp4"], "meso4", weights, frames=2, **QUICK)
    rows = [dict(zip(HEAD, row, strict=True)) for row in table_rows(scores)]
    assert [row["file"].split("/")[-1] for row in rows] == ["two.mp4", "  face 1", "  face 2", "none.mp4"]
    assert rows[0]["P(fake)"] == rows[1]["P(fake)"] == f"{scores.files[0].summary.p_fake:.3f}"
    assert (rows[0]["frames"], rows[0]["faces"], rows[0]["status"]) == ("2/2", "2", "ok")
    assert rows[3]["P(fake)"] == "-"
    assert rows[3]["status"] == "no_face: no face found"


def test_outputs_are_named_before_anything_is_scored(clips: Path, tmp_path: Path) -> None:
    one, two, photo = clips / "one.mp4", clips / "two.mp4", clips / "photo.png"
    same = tmp_path / "one.mp4"
    shutil.copy(one, same)
    plan = plan_outputs([one, same, photo], timeline=tmp_path / "t", overlay=tmp_path / "o")
    assert [p.name for p in plan.timelines.values()] == ["one.png", "one-2.png"]
    assert [p.name for p in plan.overlays.values()] == ["one.mp4", "one-2.mp4", "photo.png"]
    assert plan_outputs([one], overlay=tmp_path / "x.mp4").overlays == {one: tmp_path / "x.mp4"}
    for files, options, message in (
        ([one, two], {"overlay": tmp_path / "x.mp4"}, "one file for 2 inputs"),
        ([photo], {"overlay": tmp_path / "x.mp4"}, r"is a \.png file"),
        ([one], {"overlay": clips}, "would replace an input"),
        ([one], {"csv": one}, "would replace an input"),
        ([one], {"csv": tmp_path}, "is a folder"),
        ([one], {"timeline": same}, "is a file, not a folder"),
        ([one], {"csv": tmp_path / "a", "json": tmp_path / "a"}, "two outputs"),
        (
            [photo, one],
            {"timeline": tmp_path / "p", "overlay": tmp_path / "p", "csv": tmp_path / "p" / "one.mp4"},
            "two outputs",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            plan_outputs(files, **options)


def test_nothing_half_written_is_left(
    clips: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfbench.scoring import overlay, score_files

    calls = []

    def stops(*arguments: object) -> np.ndarray:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(overlay, "draw", stops)
    with pytest.raises(KeyboardInterrupt):
        dfbench.score(
            clips / "one.mp4", "meso4", weights, frames=1, csv=tmp_path / "s.csv", overlay=tmp_path / "o.mp4", **QUICK
        )
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(score_files, "Scorer", None)  # refused before the detector is loaded
    with pytest.raises(UsageError, match="is a file, not a folder"):
        dfbench.score(clips / "one.mp4", "meso4", weights, frames=1, json=tmp_path / "file" / "s.json", **QUICK)


def test_a_name_in_another_script(clips: Path, weights: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    clip = tmp_path / "видео 影片 $x$.mp4"
    shutil.copy(clips / "one.mp4", clip)
    scores = dfbench.score(clip, "meso4", weights, frames=2, timeline=tmp_path / "t", csv=tmp_path / "s.csv", **QUICK)
    assert scores.written[1].name == "видео 影片 $x$.png"
    assert "видео" in (tmp_path / "s.csv").read_text("utf-8")
    assert cv2.imdecode(np.fromfile(scores.written[1], np.uint8), cv2.IMREAD_COLOR) is not None
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


ODD = [b"\xc4\xe3\xba\xc3.mp4", b"caf\xe9.png", b"\xff.mp4"]
"""Names in GBK and Latin-1, and one that no encoding explains."""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode on this system")
@pytest.mark.slow
def test_names_that_are_not_utf8_lose_nothing(clips: Path, weights: Path, tmp_path: Path) -> None:
    source = {".mp4": clips / "one.mp4", ".png": clips / "photo.png"}
    for name in ODD[:2]:
        shutil.copy(source[name[-4:].decode()], os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    (tmp_path / os.fsdecode(ODD[2])).write_bytes(b"no clip")
    plain = dfbench.score(clips / "one.mp4", "meso4", weights, frames=2, **QUICK)
    out = tmp_path / "out"
    found = dfbench.score(
        tmp_path,
        "meso4",
        weights,
        frames=2,
        csv=tmp_path / os.fsdecode(b"\xc4.csv"),
        json=out / "s.json",
        timeline=out / "time",
        overlay=out / "boxes",
        **QUICK,
    )
    names = {Path(file.file).name: file for file in found.files}
    assert list(names) == ["caf\\xe9.png", "\\xc4\\xe3\\xba\\xc3.mp4", "\\xff.mp4"]
    assert [file.status for file in found.files] == ["ok", "ok", "decode_error"]
    assert str(tmp_path) not in found.files[2].reason
    assert names["\\xc4\\xe3\\xba\\xc3.mp4"].summary == plain.files[0].summary
    drawn = {os.fsencode(path.name) for path in out.rglob("*") if path.is_file()}
    assert drawn == {b"s.json", b"\xc4\xe3\xba\xc3.png", b"\xc4\xe3\xba\xc3.mp4", b"caf\xe9.png"}
    assert [Path(f["file"]).name for f in json.loads((out / "s.json").read_text("utf-8"))["files"]] == list(names)


@pytest.mark.slow
def test_what_cannot_be_written_in_the_end_costs_nothing_else(
    clips: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full by then, and a drawing that fails in a library."""
    words = [clips / "one.mp4", clips / "photo.png"]
    scores = dfbench.score(words, "meso4", weights, frames=2, **QUICK)

    def full(*_: object, **__: object) -> None:
        raise SetupError("the table could not be written: No space left on device", "free some space")

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(outputs, "write_csv", full)
    monkeypatch.setattr("dfbench.scoring.timeline.write_timeline", failing)
    planned = plan_outputs(words, tmp_path / "s.csv", tmp_path / "s.json", tmp_path / "time", tmp_path / "boxes")
    with pytest.raises(ScoringError, match=r"No space left on device \(and 1 more") as caught:
        write_outputs(scores, words, planned, quiet=True)
    assert caught.value.exit_code == SetupError.exit_code
    assert caught.value.result.files == scores.files
    expected = [tmp_path / "s.json", tmp_path / "boxes" / "one.mp4", tmp_path / "boxes" / "photo.png"]
    assert list(caught.value.result.written) == expected
    assert all(path.is_file() for path in expected)
