"""A clip costs its own rows at most; what is the machine's fault costs none."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfbench.errors import SetupError
from dfbench.media.encode import write_clip
from dfbench.preparation.execution import shard_worker
from dfbench.preparation.extraction import scene
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

REALS = "original_sequences/youtube/c23/videos"
PAIRS = (("000", "003"), ("071", "054"))
ERRORS = [KeyError("mask"), RuntimeError("a library\nsays more"), RecursionError(), cv2.error("x")]


@pytest.fixture
def reals(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / REALS).mkdir(parents=True)
    for name in ("000", "003", "071", "054"):
        plain = [np.full((48, 64, 3), 40 + int(name) % 100 + n, np.uint8) for n in range(2)]
        write_clip(root / REALS / f"{name}.mp4", plain, 25, 23)
    return root


def make(root: Path, out: Path, **options):
    return prepare("ff++", root, out, **({"frames": 2, "sizes": [16], "workers": 1, "quiet": True} | options))


@pytest.mark.parametrize("error", ERRORS)
def test_any_error_of_a_clip_becomes_its_rows(reals, tmp_path, monkeypatch, error):
    rows_of_clip = scene.rows_of_clip

    def fail(media, clip):
        if media.name == "003":
            raise error
        return rows_of_clip(media, clip)

    monkeypatch.setattr(scene, "rows_of_clip", fail)
    made = make(reals, tmp_path / "m")
    table = made.to_pandas().set_index("media_id")
    bad = table.loc["ff++/c23/real/003"]
    assert bad["status"].tolist() == ["decode_error"] * 2
    assert bad["frame_index"].tolist() == [-1, -2]
    assert bad["reason"].iloc[0].startswith(type(error).__name__)
    assert "\n" not in bad["reason"].iloc[0]
    assert set(table.drop("ff++/c23/real/003")["status"]) == {"no_face"}
    log = (made.path / "prepare-log.jsonl").read_text("utf-8")
    assert type(error).__name__ in log


def test_what_lacks_on_the_machine_becomes_no_rows(reals, tmp_path, monkeypatch):
    def fail(media, clip):
        raise SetupError("a library is missing", "install it")

    monkeypatch.setattr(scene, "rows_of_clip", fail)
    with pytest.raises(SetupError, match="a library is missing"):
        make(reals, tmp_path / "m")


def test_a_degradation_that_fails_costs_its_clip_alone(reals, tmp_path, monkeypatch):
    class Failing:
        def rows(self, rows):
            if rows[0]["media_id"].endswith("003"):
                raise ValueError("it does not encode")
            return rows

    monkeypatch.setattr(shard_worker, "_degrader", lambda recipe, root: Failing())
    statuses = make(reals, tmp_path / "m", condition="jpeg:q=60").to_pandas().set_index("media_id")["status"]
    assert statuses["ff++/c23/real/003"].tolist() == ["decode_error"] * 2
    assert (statuses == "no_face").sum() == 6


def test_a_broken_image_gives_one_row_whatever_the_frames(reals, tmp_path):
    png = cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes()
    (reals / REALS / "000.mp4").write_bytes(png[:60])
    huge = bytearray(png)
    huge[16:24] = (30_000).to_bytes(4, "big") * 2
    (reals / REALS / "003.mp4").write_bytes(huge)
    table = make(reals, tmp_path / "m", frames=8).to_pandas().set_index("media_id")
    broken = table.loc["ff++/c23/real/000"]
    assert (broken["frame_index"], broken["status"]) == (-1, "decode_error")
    assert "30000x30000 pixels" in table.loc["ff++/c23/real/003"]["reason"]


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_a_file_whose_rest_was_never_downloaded_ends_at_the_time_limit(reals, tmp_path, engine):
    """Half of a clip, and room for the rest that holds zeros: no index says where its frames end."""
    clip = reals / REALS / "000.mp4"
    frames = [np.full((48, 64, 3), 40 + n, np.uint8) for n in range(20)]
    write_clip(clip, frames, 25, 23)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    whole = (tmp_path / "a.mkv").read_bytes()
    clip.write_bytes(whole[: len(whole) * 2 // 3])
    with clip.open("r+b") as file:
        file.truncate(2**30)  # no block of it is used
    workers = {"inline": 1, "local": 2}[engine]
    table = make(reals, tmp_path / "m", workers=workers, engine=engine, time_limit=1).to_pandas().set_index("media_id")
    bad = table.loc["ff++/c23/real/000"]
    assert bad["status"].tolist() == ["decode_error"] * 2
    assert set(bad["reason"]) == {"time limit"}
    assert set(table.drop("ff++/c23/real/000")["status"]) == {"no_face"}


PROGRAM = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from dfbench.errors import SetupError
    from dfbench.preparation.prepare import prepare
    from dfbench.preparation.planning import sharding
    sharding.LEAST_ROWS = 1
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    options = dict(frames=2, sizes=[16], workers=1, quiet=True)
    prepare("ff++", root, out / "warm", manipulations=["FaceSwap"], splits=["train"], **options)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    for extra in (60, 700, 3000):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + extra * 2**20, hard))
        try:
            prepare("ff++", root, out / str(extra), **options)
        except SetupError as error:
            print(error.exit_code, error.message)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print(len(list((out / str(extra)).glob("shard-*"))))
        prepare("ff++", root, out / str(extra), **options)
    prepare("ff++", root, out / "fresh", **options)
    """
)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="used memory is read from /proc")
def test_little_memory_leaves_a_shard_unfinished_and_changes_no_status(reals, tmp_path):
    (reals / REALS / "000.mp4").write_bytes(cv2.imencode(".png", np.zeros((6000, 6000, 3), np.uint8))[1].tobytes())
    words = [sys.executable, "-c", PROGRAM, str(reals), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    first, number, *others = done.stdout.splitlines()
    assert first.startswith("5 1 shards were left unfinished")
    assert "out of memory while it read ff++/c23/real/000" in first
    assert number == "1"  # the other pair was finished
    assert others[-1] == "2"
    # How much memory there was shows in nothing that is stored.
    fresh, *limited = (
        {p.name: p.read_bytes() for p in (tmp_path / name).glob("shard-*")} for name in ("fresh", "60", "700", "3000")
    )
    assert len(fresh) == 2
    assert limited == [fresh] * 3
