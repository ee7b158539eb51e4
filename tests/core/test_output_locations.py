"""Output locations: unusable ones are refused before any work, missing ones are created, and a full disk loses nothing.

Every public function and command with an output is in one of the tables below; two tests compare the tables with the
options of the command line and with the signatures of the public functions.
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import torch
from loading import load_file
from run_folders import result_of, scores_table, write_run

import dfbench
from dfbench import io
from dfbench.cli.main import cli, run_command
from dfbench.errors import DfbenchError, SetupError
from dfbench.evaluation import run_evaluation
from dfbench.manifest.contact_sheet import write_contact_sheet
from dfbench.media import encode_png, write_clip
from dfbench.mini import MiniSettings, generate
from dfbench.models.build import build_model
from dfbench.models.card import SelectionRecord, WeightCard
from dfbench.models.weights import save_weights
from dfbench.preparation import (
    PreparationPlan,
    PreparationRequest,
    degrade,
    merge,
    plan_preparation,
    recrop,
    resolve_preparation,
    upgrade,
)
from dfbench.report import write_report
from dfbench.training import run_training, self_blended_images, triple_images, triple_similarities
from dfbench.training.fit import TrainingFolder
from dfbench.workflow import resolve_evaluation, resolve_explanation, resolve_training

tiny = load_file("tests/evaluation/conftest.py", "patterns_for_outputs").tiny

COMPUTE: dict[str, Any] = {"device": "cpu", "quiet": True}


class WorkBegan(BaseException):
    """Raised in place of the first step of the work; no code of dfbench handles it."""


def work(*_: Any, **__: Any) -> Any:
    raise WorkBegan


WORK = (
    "dfbench.preparation.prepare:plan_shards",
    "dfbench.preparation.prepare:run_plan",
    "dfbench.preparation.derived.merge:_find_parts",
    "dfbench.preparation.derived.recrop:open_manifest",
    "dfbench.preparation.derived.degrade:open_manifest",
    "dfbench.preparation.derived.upgrade:open_manifest",
    "dfbench.mini.generate:_make_pairs",
    "dfbench.manifest.manifest:Manifest.table",
    "dfbench.manifest.manifest:Manifest.crops",
    "dfbench.manifest.contact_sheet:choose",
    "dfbench.evaluation.plan:role_data",
    "dfbench.evaluation.evaluate:load_detector",
    "dfbench.training.plan:role_data",
    "dfbench.training.train:initial_network",
    "dfbench.scoring.score_files:extract_all",
    "dfbench.report.page:open_runs",
    "dfbench.report.papers:paper_table",
    "dfbench.interchange.scores:read_score_file",
    "dfbench.models.convert.import_weights:read_checkpoint",
    "dfbench.media.reader:read",
)
"""The first steps of the work of every function and command below."""


def frames_of_a_clip() -> Iterator[np.ndarray]:
    work()
    yield np.zeros((16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def inputs(tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Valid inputs of everything, made before any work is forbidden."""
    base = tmp_path_factory.mktemp("inputs")
    torch.manual_seed(0)
    card = WeightCard(
        model="meso4",
        num_classes=2,
        profile="native",
        size=64,
        selection=SelectionRecord(split="none", epoch=0, note="untrained"),
        mini=False,
    )
    save_weights(base / "meso4.safetensors", build_model("meso4", 2, 64), card)
    (base / "image.png").write_bytes(encode_png(np.full((32, 32, 3), 90, np.uint8)))
    write_clip(base / "clip.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 2, Fraction(25), 23)
    (base / "scores.csv").write_text("media_id,label,score\na,0,0.1\nb,1,0.8\nc,0,0.4\nd,1,0.3\n", "utf-8")
    torch.save(build_model("meso4", 2, 64).state_dict(), base / "foreign.pth")
    (base / "tree").mkdir()
    scores = scores_table(pairs=6, frames=1)
    write_run(base / "run", scores, result_of(scores))
    common = (tiny.protocol, [tiny.manifest])
    return SimpleNamespace(
        folder=base,
        weights=base / "meso4.safetensors",
        image=base / "image.png",
        clip=base / "clip.mp4",
        scores=base / "scores.csv",
        foreign=base / "foreign.pth",
        tree=base / "tree",
        run=base / "run",
        manifest=tiny.manifest,
        opened=dfbench.open_manifest(tiny.manifest),
        protocol=tiny.protocol,
        evaluation=resolve_evaluation(
            "meso4", *common, base / "meso4.safetensors", base / "unused", **COMPUTE
        ).evaluation,
        training=resolve_training("meso4", *common, base / "unused.safetensors", **COMPUTE).training,
        preparation=resolve_preparation("mini", base / "data", base / "unused", workers=1, quiet=True),
    )


def benchmark(command: str, x: SimpleNamespace) -> list[Any]:
    return [command, "--model", "meso4", "--protocol", x.protocol, "--manifest", x.manifest, "--device", "cpu", "-q"]


def scoring(x: SimpleNamespace, file: Path) -> list[Any]:
    return ["score", file, "--model", "meso4", "--weights", x.weights, "--workers", "1", "-q"]


# (command, option) -> the name of the output, and the words before the option
COMMANDS: dict[tuple[str, str], tuple[str, Callable[[SimpleNamespace], list[Any]]]] = {
    ("demo", "--out"): ("demo", lambda x: ["demo", "-q"]),
    ("prepare", "--out"): ("m", lambda x: ["prepare", "ff++", "--root", x.tree]),
    ("prepare", "--root"): ("data", lambda x: ["prepare", "mini", "--out", x.folder / "unused"]),
    ("merge", "--out"): ("m", lambda x: ["merge", x.tree]),
    ("recrop", "--out"): ("m", lambda x: ["recrop", x.manifest, "--size", "32"]),
    ("degrade", "--out"): ("m", lambda x: ["degrade", x.manifest, "--condition", "JP60"]),
    ("upgrade", "--out"): ("m", lambda x: ["upgrade", x.manifest]),
    ("inspect", "--faces"): ("faces.png", lambda x: ["inspect", x.manifest]),
    ("train", "--out"): ("w.safetensors", lambda x: benchmark("train", x)),
    ("evaluate", "--out"): ("run", lambda x: [*benchmark("evaluate", x), "--weights", x.weights]),
    ("explain", "--out"): ("maps", lambda x: [*benchmark("explain", x), "--weights", x.weights]),
    ("score", "--csv"): ("s.csv", lambda x: scoring(x, x.image)),
    ("score", "--json"): ("s.json", lambda x: scoring(x, x.image)),
    ("score", "--timeline"): ("plots", lambda x: scoring(x, x.clip)),
    ("score", "--overlay"): ("o.png", lambda x: scoring(x, x.image)),
    ("weights import", "--out"): (
        "w.safetensors",
        lambda x: [*"weights import --model meso4 --profile native --size 64 --source native".split(), x.foreign],
    ),
    ("table", "--out"): ("t.md", lambda x: ["table", "grnet-5", x.run]),
    ("report", "--out"): ("report", lambda x: ["report", x.run]),
    ("import scores", "--out"): ("run", lambda x: ["import", "scores", x.scores, "--resamples", "10"]),
}

INPUTS = {"--face-model", "--dlib-predictor", "--landmark-model", "--manifest", "--weights", "--data", "--root"}
INPUTS |= {"--explanation"}
"""Options that name files or folders which are read. ``prepare mini --root`` is also written, hence listed above."""


def score(x: SimpleNamespace, file: Path, **output: Path) -> None:
    dfbench.score(file, "meso4", x.weights, workers=1, **COMPUTE, **output)


# (function, parameter) -> the name of the output, and the call
FUNCTIONS: dict[tuple[Callable[..., Any], str], tuple[str, Callable[[SimpleNamespace, Path], Any]]] = {
    (dfbench.prepare, "out"): ("m", lambda x, p: dfbench.prepare("ff++", x.tree, p)),
    (dfbench.prepare, "root"): ("data", lambda x, p: dfbench.prepare("mini", p, x.folder / "unused")),
    (resolve_preparation, "out"): ("m", lambda x, p: resolve_preparation("ff++", x.tree, p)),
    (plan_preparation, "request"): ("m", lambda x, p: plan_preparation(PreparationRequest("ff++", x.tree, p))),
    (PreparationPlan.run, "self"): ("m", lambda x, p: replace(x.preparation, out=p).run()),
    (merge, "out"): ("m", lambda x, p: merge([x.tree], p)),
    (recrop, "out"): ("m", lambda x, p: recrop(x.manifest, p)),
    (degrade, "out"): ("m", lambda x, p: degrade(x.manifest, "JP60", p)),
    (upgrade, "out"): ("m", lambda x, p: upgrade(x.manifest, p)),
    (generate, "out"): ("data", lambda x, p: generate(p, MiniSettings(), workers=1, quiet=True)),
    (write_clip, "path"): ("c.mp4", lambda x, p: write_clip(p, frames_of_a_clip(), 25, 23)),
    (write_contact_sheet, "file"): ("s.png", lambda x, p: write_contact_sheet(x.opened, p)),
    (dfbench.train, "out"): (
        "w.safetensors",
        lambda x, p: dfbench.train("meso4", x.protocol, [x.manifest], p, **COMPUTE),
    ),
    (resolve_training, "out"): (
        "w.safetensors",
        lambda x, p: resolve_training("meso4", x.protocol, [x.manifest], p, **COMPUTE),
    ),
    (run_training, "plan"): ("w.safetensors", lambda x, p: run_training(replace(x.training, out=p))),
    (dfbench.evaluate, "out"): (
        "run",
        lambda x, p: dfbench.evaluate("meso4", x.protocol, [x.manifest], x.weights, p, **COMPUTE),
    ),
    (resolve_evaluation, "out"): (
        "run",
        lambda x, p: resolve_evaluation("meso4", x.protocol, [x.manifest], x.weights, p, **COMPUTE),
    ),
    (dfbench.explain_detector, "out"): (
        "maps",
        lambda x, p: dfbench.explain_detector("meso4", x.protocol, [x.manifest], x.weights, p, **COMPUTE),
    ),
    (resolve_explanation, "out"): (
        "maps",
        lambda x, p: resolve_explanation("meso4", x.protocol, [x.manifest], x.weights, p, **COMPUTE),
    ),
    (run_evaluation, "plan"): ("run", lambda x, p: run_evaluation(replace(x.evaluation, out=p))),
    (dfbench.score, "csv"): ("s.csv", lambda x, p: score(x, x.image, csv=p)),
    (dfbench.score, "json"): ("s.json", lambda x, p: score(x, x.image, json=p)),
    (dfbench.score, "timeline"): ("plots", lambda x, p: score(x, x.clip, timeline=p)),
    (dfbench.score, "overlay"): ("overlays", lambda x, p: score(x, x.clip, overlay=p)),
    (dfbench.import_scores, "out"): ("run", lambda x, p: dfbench.import_scores(x.scores, p)),
    (dfbench.import_weights, "out"): ("w.safetensors", lambda x, p: dfbench.import_weights(x.foreign, "meso4", p)),
    (write_report, "out"): ("report", lambda x, p: write_report([x.run], p)),
}

READERS = {
    *("load_protocol", "load_published", "open_explanation", "open_manifest", "open_run", "read", "requested_frames"),
    "stream_frames",
}
"""Public functions whose path is read."""

CASES = [
    *(pytest.param(("command", key), id=f"{key[0]} {key[1]}") for key in COMMANDS),
    *(pytest.param(("function", key), id=f"{key[0].__name__}({key[1]})") for key in FUNCTIONS),
]


def all_commands(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from all_commands(found, f"{path} {name}".strip())
    else:
        yield path, command


def test_every_option_of_a_path_is_an_input_or_tested_here() -> None:
    names_path = ("DIR", "FILE", "PATH", "OUT", "RUN")
    found = {
        (path, option.opts[0])
        for path, command in all_commands(cli)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        if isinstance(option.type, click.Path) or any(word in (option.metavar or "") for word in names_path)
    }
    assert {key for key in found if key[1] not in INPUTS} == set(COMMANDS) - {("prepare", "--root")}


def test_every_public_function_with_an_output_is_tested_here() -> None:
    packages = ["dfbench", *(f"dfbench.{m.name}" for m in pkgutil.iter_modules(dfbench.__path__) if m.ispkg)]
    modules = [import_module(name) for name in packages]
    public = [getattr(module, name) for module in modules for name in getattr(module, "__all__", ())]
    outputs = {"out", "csv", "json", "timeline", "overlay", "path", "file", "folder", "request", "plan"}
    found = {
        (function, name)
        for function in public
        if inspect.isfunction(function) and function.__name__ not in READERS
        for name, parameter in inspect.signature(function).parameters.items()
        if name in outputs
    }
    inputs = {
        (dfbench.import_scores, "file"),
        (dfbench.import_weights, "file"),
        (self_blended_images, "request"),
        (triple_images, "request"),
        (triple_similarities, "request"),
    }
    assert (dfbench.train, "out") in found
    assert found - inputs <= set(FUNCTIONS)


def name_of(case: Any) -> str:
    kind, key = case
    return COMMANDS[key][0] if kind == "command" else FUNCTIONS[key][0]


def call(case: Any, x: SimpleNamespace, location: Path) -> int:
    """Run a command or call a function; returns the exit code."""
    kind, key = case
    if kind == "command":
        return run_command([*map(str, COMMANDS[key][1](x)), key[1], str(location)])
    FUNCTIONS[key][1](x, location)
    return 0


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch, inputs: SimpleNamespace) -> None:
    for name in WORK:
        module, _, attribute = name.partition(":")
        owner, _, method = attribute.rpartition(".")
        place = import_module(module)
        monkeypatch.setattr(getattr(place, owner) if owner else place, method, work)


@pytest.fixture
def locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Folders in which nothing can be created, whoever the user is."""
    (tmp_path / "file.txt").write_text("mine", "utf-8")
    closed = tmp_path / "closed"
    closed.mkdir()
    trial = tempfile.TemporaryFile

    def refuse(*args: Any, dir: Path, **options: Any) -> Any:
        if Path(dir).resolve().is_relative_to(closed.resolve()):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))
        return trial(*args, dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DFBENCH_WORKSPACE", str(tmp_path / "workspace"))
    return {
        "below a file": tmp_path / "file.txt" / "sub",
        "read-only": closed / "sub",
        "proc": Path("/proc/dfbench-x"),
        "missing": tmp_path / "new" / "sub",
    }


@pytest.mark.parametrize("where", ["below a file", "read-only", "proc"])
@pytest.mark.parametrize("case", CASES)
def test_an_unusable_location_is_refused_before_any_work(
    case: Any,
    where: str,
    inputs: SimpleNamespace,
    no_work: None,
    locations: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if where == "proc" and not Path("/proc/self").is_dir():
        pytest.skip("no file system here that refuses every user")
    location = locations[where] / name_of(case)
    before = sorted(tmp_path.rglob("*"))
    if case[0] == "command":
        assert call(case, inputs, location) in (2, 5)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert f"error: {locations[where]}" in shown.err or f"error: the folder {locations[where]}" in shown.err
        assert "\nhint: " in shown.err
        assert case[1][1] in shown.err
    else:
        with pytest.raises(DfbenchError, match=str(locations[where])) as caught:
            call(case, inputs, location)
        assert caught.value.exit_code in (2, 5)
        assert caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file.txt").read_text("utf-8") == "mine"


@pytest.mark.parametrize("case", CASES)
def test_a_missing_location_is_accepted(
    case: Any, inputs: SimpleNamespace, no_work: None, locations: dict[str, Path]
) -> None:
    """Also shows that the work of every case is in :data:`WORK`."""
    with pytest.raises(WorkBegan):
        call(case, inputs, locations["missing"] / name_of(case))


CREATE = [
    ("degrade", "--out"),
    ("inspect", "--faces"),
    ("weights import", "--out"),
    ("table", "--out"),
    ("report", "--out"),
    ("import scores", "--out"),
]


@pytest.mark.parametrize("key", CREATE, ids=" ".join)
def test_a_missing_location_is_created(key: tuple[str, str], inputs: SimpleNamespace, tmp_path: Path) -> None:
    location = tmp_path / "new" / "sub" / COMMANDS[key][0]
    assert call(("command", key), inputs, location) == 0
    assert location.exists()
    assert not [p for p in tmp_path.rglob("*") if io.is_temporary(p)]


# --- a full disk


class FullDisk:
    """The disk fills up at the n-th file whose name matches; the temporary file is there, half-written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._replace = os.replace

    def fail_at(self, pattern: str, number: int = 1) -> None:
        count = 0

        def replacing(source: Any, target: Any, **options: Any) -> None:
            nonlocal count
            if io.is_temporary(source) and Path(target).match(pattern):
                count += 1
                if count >= number:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
            self._replace(source, target, **options)

        self._monkeypatch.setattr(os, "replace", replacing)

    def free(self) -> None:
        self._monkeypatch.setattr(os, "replace", self._replace)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)


def refused(function: Callable[[], Any]) -> None:
    with pytest.raises(SetupError, match="could not be written: No space left on device") as caught:
        function()
    assert "free some space" in caught.value.hint
    assert "run the same command again" in caught.value.hint


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_preparation_keeps_finished_shards(
    disk: FullDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trees = load_file("tests/preparation/conftest.py", "trees_for_outputs")
    root, out = tmp_path_factory.mktemp("tree"), tmp_path / "m"
    for a, b in (("000", "003"), ("071", "054")):
        trees.write_pair(root, a, b, frames=2, methods=())
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)

    def prepare() -> Any:
        return dfbench.prepare("ff++", root, out, frames=1, sizes=[64], workers=1, quiet=True)

    disk.fail_at("shard-*.parquet", 2)
    refused(prepare)
    assert names(out) == ["manifest.json", "media-state.parquet", "prepare-log.jsonl", "shard-00000.parquet"]
    assert not json.loads((out / "manifest.json").read_text("utf-8"))["complete"]
    kept = (out / "shard-00000.parquet").stat()
    disk.free()
    manifest = prepare()
    assert manifest.info.complete
    assert manifest.verify() == []
    assert len(manifest.info.shards) == 2
    again = (out / "shard-00000.parquet").stat()
    assert (again.st_mtime_ns, again.st_ino) == (kept.st_mtime_ns, kept.st_ino)


def test_a_degraded_manifest_keeps_nothing_half_written(
    inputs: SimpleNamespace, disk: FullDisk, tmp_path: Path
) -> None:
    disk.fail_at("shard-*.parquet")
    refused(lambda: degrade(inputs.manifest, "JP60", tmp_path / "m", workers=1, quiet=True))
    assert names(tmp_path / "m") == ["manifest.json"]
    disk.free()
    assert degrade(inputs.manifest, "JP60", tmp_path / "m", workers=1, quiet=True).verify() == []


@pytest.mark.parametrize(
    ("pattern", "number", "left"),
    [
        ("last.pt", 2, ["w.training/best.safetensors", "w.training/last.pt"]),
        ("w.json", 1, ["w.curve.csv", "w.curve.svg", "w.training/best.safetensors", "w.training/last.pt"]),
    ],
)
def test_training_keeps_finished_epochs(
    pattern: str,
    number: int,
    left: list[str],
    inputs: SimpleNamespace,
    disk: FullDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "new" / "w.safetensors"

    def train() -> Path:
        return dfbench.train("meso4", inputs.protocol, [inputs.manifest], out, save_every=1e6, **COMPUTE)

    disk.fail_at(pattern, number)
    refused(train)
    assert names(out.parent) == left
    disk.free()
    loaded = []
    load = TrainingFolder.load

    def remember(self: TrainingFolder, model: Any) -> Any:
        stored = load(self, model)
        loaded.append(len(stored.state.curve))
        return stored

    monkeypatch.setattr(TrainingFolder, "load", remember)
    assert train() == out
    assert loaded == [1 if pattern == "last.pt" else 2]
    assert names(out.parent) == ["w.curve.csv", "w.curve.svg", "w.json", "w.safetensors"]


@pytest.mark.parametrize(
    ("conditions", "pattern", "number", "kept"),
    [
        (("JP60",), "conditions/*.parquet", 2, 1),
        (("JP60",), "scores.parquet", 1, 2),
        ((), "scores.parquet", 1, 1),
        ((), "examples.parquet", 1, 1),
        ((), "result.json", 1, 1),
    ],
)
def test_evaluation_keeps_the_scores_of_finished_conditions(
    conditions: tuple[str, ...],
    pattern: str,
    number: int,
    kept: int,
    inputs: SimpleNamespace,
    disk: FullDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dfbench.evaluation import inference

    out = tmp_path / "new" / "run"
    scored = []
    score_images = inference.score_images

    def count(*args: Any, **options: Any) -> Any:
        scored.append(1)
        return score_images(*args, **options)

    monkeypatch.setattr(inference, "score_images", count)

    def evaluate() -> Any:
        given = (inputs.protocol, [inputs.manifest], inputs.weights, out)
        return dfbench.evaluate("meso4", *given, conditions=conditions, **COMPUTE)

    disk.fail_at(pattern, number)
    refused(evaluate)
    assert "result.json" not in names(out)
    assert len([name for name in names(out) if name.startswith("conditions")]) == kept
    assert not [name for name in names(out) if io.is_temporary(name)]
    disk.free()
    scored.clear()
    run = evaluate()
    assert len(scored) == 1 + len(conditions) - kept
    assert names(out) == ["examples.parquet", "result.json", "scores.parquet"]
    assert dfbench.open_run(out).result == run.result


@pytest.mark.parametrize("pattern", ["scores.parquet", "result.json"])
def test_an_import_of_scores_has_no_result_without_scores(
    pattern: str, inputs: SimpleNamespace, disk: FullDisk, tmp_path: Path
) -> None:
    disk.fail_at(pattern)
    refused(lambda: dfbench.import_scores(inputs.scores, tmp_path / "run"))
    assert "result.json" not in names(tmp_path)
    assert not [name for name in names(tmp_path) if io.is_temporary(name)]


def test_a_report_is_written_as_whole_files(
    inputs: SimpleNamespace,
    disk: FullDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("dfbench.report.page.render_page", lambda *arguments: f"<title>{arguments[5]}</title>")
    page = write_report([inputs.run], tmp_path / "report", "old")
    disk.fail_at("index.html")
    assert run_command(["report", str(inputs.run), "--out", str(page.parent), "--title", "new"]) == 5
    shown = capsys.readouterr().err
    assert f"error: {page} could not be written: No space left on device" in shown
    assert "hint: free some space" in shown
    assert page.read_text("utf-8") == "<title>old</title>"
    assert not [name for name in names(tmp_path) if io.is_temporary(name)]
    disk.free()
    disk.fail_at("videos.csv")
    refused(lambda: write_report([inputs.run], tmp_path / "second"))
    assert "second/index.html" not in names(tmp_path)
