"""A package with one plug-in of each kind is listed, usable and named in errors, as docs/plugins.md says."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from loading import load_file

import dfbench
from dfbench import registry
from dfbench.cli.main import run_command
from dfbench.datasets.registry import DATASETS, get_adapter
from dfbench.degrade.registry import DEGRADATIONS
from dfbench.errors import DfbenchError, ModelError, SetupError
from dfbench.faces.detectors import FACE_DETECTORS, build_face_detector
from dfbench.faces.landmarks import LANDMARKS, build_landmark_provider
from dfbench.faces.profiles import CROP_PROFILES, get_profile
from dfbench.media import read, write_clip
from dfbench.media.reader import DECODERS
from dfbench.metrics.definitions import METRICS
from dfbench.models.card import read_card
from dfbench.models.registry import MODELS
from dfbench.protocols.files import PROTOCOLS, load_protocol
from dfbench.registry import Registry
from dfbench.training.methods import TRAINING_METHODS

tiny = load_file("tests/evaluation/conftest.py", "tiny_manifest").tiny

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PACKAGE = TOP / "tests" / "support" / "plugin_package"

KINDS: dict[str, tuple[Registry, str, str]] = {
    # kind -> its registry, the example's name, the command that lists it
    "models": (MODELS, "example-model", "models"),
    "datasets": (DATASETS, "example-dataset", "datasets"),
    "face_detectors": (FACE_DETECTORS, "example-detector", "face-detectors"),
    "landmarks": (LANDMARKS, "example-landmarks", "landmarks"),
    "decoders": (DECODERS, "example-decoder", "decoders"),
    "crop_profiles": (CROP_PROFILES, "example-profile", "profiles"),
    "degradations": (DEGRADATIONS, "example-degradation", "degradations"),
    "metrics": (METRICS, "example-metric", "metrics"),
    "protocols": (PROTOCOLS, "example-protocol", "protocols"),
    "training_methods": (TRAINING_METHODS, "example-method", "training-methods"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed by pip without the network."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(PACKAGE)], check=True, capture_output=True)
    return target


@pytest.fixture(autouse=True)
def plugins(installed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(installed)
    registry.forget_installed_plugins()
    yield
    registry.forget_installed_plugins()


def test_there_is_an_example_of_every_group() -> None:
    assert {r.group for r, _, _ in KINDS.values()} == {f"dfbench.{kind}" for kind in KINDS}
    assert len(KINDS) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_listed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, name, command = KINDS[kind]
    assert name in made.names()
    assert made.entry(name).origin == "package dfbench-example-plugins 1.0"
    assert run_command(["list", command]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_named_when_the_name_is_mistyped(kind: str) -> None:
    made, name, _ = KINDS[kind]
    with pytest.raises(DfbenchError) as caught:
        made.get(name[:-1] + "x")
    assert f"did you mean {name!r}" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_one_names_its_package(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, _ = KINDS[kind]
    info = tmp_path / "broken_plugin-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 2.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[dfbench.{kind}]\nbroken = nowhere_to_be_found:x\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget_installed_plugins()
    with pytest.raises(ModelError if kind == "models" else SetupError) as caught:
        made.get("broken")
    assert f"the {made.kind} 'broken' of package broken-plugin 2.0" in caught.value.message
    assert f"group 'dfbench.{kind}'" in caught.value.message


def test_the_model_is_built() -> None:
    import torch

    network = dfbench.build_model("example-model", num_classes=3, image_size=64, width=4)
    assert network(torch.zeros(2, 3, 64, 64)).logits.shape == (2, 3)


def test_the_data_set_is_read(tmp_path: Path) -> None:
    for name in ("real_a.mp4", "fake_a.mp4", "other.mp4"):
        (tmp_path / name).touch()
    scan = get_adapter("example-dataset").scan(tmp_path)
    assert [m.media_id for m in scan.media] == ["example-dataset/all/real/a", "example-dataset/all/swap/a"]
    assert list(scan.excluded.values()) == [("other.mp4",)]


def test_faces_landmarks_and_profile_make_a_crop() -> None:
    frame = np.zeros((80, 120, 3), np.uint8)
    ((face,),) = build_face_detector("example-detector").detect([frame])
    assert face.box.tolist() == [30, 20, 90, 60]
    points = build_landmark_provider("example-landmarks").find(frame, face)
    assert points is not None
    assert points.shape == (5, 2)
    matrix = get_profile("example-profile").matrix(face, 64, 120, 80)
    assert (matrix @ [30, 20, 1]).tolist() == pytest.approx([0, 0])
    assert (matrix @ [90, 60, 1]).tolist() == pytest.approx([64, 64])


def test_the_decoder_reads_frames(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 40 * n, np.uint8) for n in range(5)]
    write_clip(tmp_path / "a.mp4", frames, 25, 0)
    found = read(tmp_path / "a.mp4", lambda count: [1, count - 1], "example-decoder")
    assert sorted(found.frames) == [1, 4]
    assert abs(int(found.frames[4].image.mean()) - 160) < 4


def test_the_degradation_is_applied() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    degraded = dfbench.degrade.apply("example-degradation:bits=4", image, "a/b/c/d#000000.0")
    assert np.array_equal(degraded, image & np.uint8(240))


def test_the_metric_is_computed() -> None:
    assert dfbench.metrics.parse_metric("example-metric.frame").definition.title == "FPR"
    assert "example-metric" in dfbench.list_metrics()
    matrices = np.array([[[6.0, 2.0], [1.0, 9.0]]])
    assert METRICS.get("example-metric").confused(matrices, ("real", "fake")).tolist() == [0.25]


def test_the_protocol_is_loaded() -> None:
    rules = load_protocol("example-protocol")
    assert rules.metrics.names == ("auc.video.mean", "example-metric.frame")
    assert "example-protocol" in dfbench.protocols.list_protocols("example-*")


def test_the_training_method_makes_a_loss() -> None:
    import torch

    from dfbench.training import Batch

    torch.manual_seed(0)
    method = TRAINING_METHODS.get("example-method")
    network = dfbench.build_model("example-model", image_size=32)
    batch = Batch(torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]), ("a", "b", "c", "d"))
    result = method.new_step(network)(network, batch)
    result.loss.backward()
    assert result.output.logits.shape == (4, 2)
    recorded = {"method": "example-method", "method_version": "1", "method_options": {"alpha": 0.2}}
    assert method.record() == recorded
    assert method.with_options({"alpha": 1.0}).changes() == {"example-method.alpha": 1.0}
    assert TRAINING_METHODS.get("supervised").record() == {}


@pytest.mark.slow
def test_the_training_method_trains_by_its_name(tiny: SimpleNamespace, tmp_path: Path) -> None:
    given = ["train", "--model", "meso4", "--protocol", str(tiny.protocol), "--manifest", str(tiny.manifest)]
    given += ["--out", str(tmp_path / "w.safetensors"), "--method", "example-method", "--epochs", "1", "--quiet"]
    assert run_command([*given, "--method-option", "alpha=0"]) == 2
    assert not list(tmp_path.iterdir())
    assert run_command([*given, "--method-option", "alpha=0.4", "--device", "cpu"]) == 0
    card = read_card(tmp_path / "w.safetensors")
    assert (card.training_method, card.method_options) == ("example-method", {"alpha": 0.4})


@pytest.mark.parametrize("file", sorted((PACKAGE / "dfbench_example_plugins").glob("[a-z]*.*")), ids=lambda f: f.name)
def test_the_page_shows_the_package(file: Path) -> None:
    page = (TOP / "docs" / "plugins.md").read_text("utf-8")
    assert file.read_text("utf-8").strip() in page
    importlib.import_module("dfbench_example_plugins")
