"""Every Python example of README and docs, executed as written: one after the other, beginning in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow, pytest.mark.timeout(900)]

TOP = Path(__file__).parents[2]
FIRST = ("README.md", "docs/train-and-evaluate.md")
"""Their examples make what others open."""

NOT_EXECUTED = {
    'dfbench.prepare("ff++"': "needs FaceForensics++",
    'resolve_preparation("ff++"': "needs FaceForensics++",
    'dfbench.import_weights("xception_best.pth"': "needs weights of another project; see tests/models",
    'dfbench.score("clip.mp4"': "needs a clip and weights; see tests/scoring",
    'data="my_faces"': "needs a labelled folder; see tests/workflow/test_labelled_folder.py",
    'open_manifest("manifests/ff++")': "needs FaceForensics++",
    'torch.load("full_c23.p"': "needs weights of another project",
    "MiniSettings(test_pairs=50": "generates for minutes; see tests/mini",
    "[project.entry-points": "is part of a package",
    "Path(__file__)": "is part of a package; see tests/packaging/test_plugins.py",
}
"""Text of an example -> why it is left to other tests."""

EXTRAS = {"reference_models.diffusionfake.": "diffusers"}
"""Text of an example -> package without which it is skipped: one of an extra that not everybody installs."""

GIVEN = {
    "docs/degradations.md": "import numpy as np; crop = np.zeros((64, 64, 3), np.uint8); frames = [crop] * 4",
    "docs/metrics.md": (
        "import glob, numpy as np, pyarrow.parquet as pq; media_ids = groups = [f'm{i // 4}' for i in range(40)]; "
        "labels = np.array([i // 4 % 2 for i in range(40)]); scores = np.linspace(0, 1, 40) % 0.37; "
        "table = pq.read_table(sorted(glob.glob('runs/mini-grnet-*/scores.parquet'))[0])"
    ),
}
"""Page -> what its examples presume."""

ERRORS = {'parse("gausian-blur': "the example shows an error"}
"""Line of an example -> why it may raise an error of dfbench."""

CONFIGURATION = """\
[mini]
pairs = [1, 1, 1]
epochs = 1
samples_per_epoch = 32
"""
"""The smallest mini data set; docs/mini.md describes the switch."""

RUNNER = """
import json, os, sys, time, traceback

for name, code in json.load(open(sys.argv[1], encoding="utf-8")):
    start = time.monotonic()
    space = {"__name__": "__main__"}
    try:
        exec(compile(code, name, "exec"), space)
    except BaseException:
        traceback.print_exc()
        sys.exit(f"the example {name} fails")
    print(f"{time.monotonic() - start:.1f} s {name}", file=sys.stderr)
"""


def examples() -> list[tuple[str, str]]:
    """Place and code of all blocks that are executed."""
    pages = sorted(path.relative_to(TOP).as_posix() for path in (TOP / "docs").rglob("*.md"))
    found = []
    for page in (*FIRST, *(p for p in pages if p not in FIRST)):
        text = (TOP / page).read_text("utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            code = match[1]
            if any(part in code for part in NOT_EXECUTED):
                continue
            if any(part in code and find_spec(package) is None for part, package in EXTRAS.items()):
                continue
            lines = [line for line in code.splitlines() if not any(line.startswith(start) for start in ERRORS)]
            number = text[: match.start()].count("\n") + 2
            found.append((f"{page}:{number}", "\n".join([GIVEN.get(page, ""), *lines])))
    return found


def test_every_example_runs_in_an_empty_folder(tmp_path: Path) -> None:
    import json

    blocks = examples()
    told = "\n".join(code for _, code in blocks)
    assert 'dfbench.evaluate("grnet", "mini")' in told
    assert 'dfbench.evaluate(my_module, "mini")' in told
    runner, listed, empty = tmp_path / "examples.py", tmp_path / "examples.json", tmp_path / "empty"
    runner.write_text(RUNNER, "utf-8")
    listed.write_text(json.dumps(blocks), "utf-8")
    empty.mkdir()
    settings = tmp_path / "config" / "dfbench" / "dfbench.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(CONFIGURATION, "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DFBENCH")}
    done = subprocess.run(
        [sys.executable, str(runner), str(listed)],
        cwd=empty,
        env=environment
        | {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    print(done.stderr)
