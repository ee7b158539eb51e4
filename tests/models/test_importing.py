"""Foreign weight files: every way in which one can be wrong, and what the card of a right one says."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dfbench.cli.main import run_command
from dfbench.errors import DfbenchError, ModelError, UsageError
from dfbench.io import file_sha256
from dfbench.models.build import build_model
from dfbench.models.card import IntendedUse, read_card
from dfbench.models.convert.checkpoint_files import read_checkpoint, read_foreign
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.convert.keymap import KeyMap, translate
from dfbench.models.weights import load_weights

SIZE = 64


def port_state(classes: int = 2) -> dict[str, torch.Tensor]:
    """Meso-4 as the PyTorch ports store it, for crops of 64 pixels."""
    torch.manual_seed(0)
    shapes = {"conv1": (8, 3, 3, 3), "conv2": (8, 8, 5, 5), "conv3": (16, 8, 5, 5), "conv4": (16, 16, 5, 5)}
    shapes |= {"fc1": (16, 64), "fc2": (classes, 16)}
    state = {f"backbone.{name}.weight": 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    state |= {"backbone.fc1.bias": torch.zeros(16), "backbone.fc2.bias": torch.zeros(classes)}
    for name, planes in (("bn1", 8), ("bn2", 16)):
        for what, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"backbone.{name}.{what}"] = torch.full((planes,), value)
    return state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "meso4_best.pth"
    torch.save(port_state(), path)
    return path


def refused(path: Path, model: str = "meso4", kind: type[DfbenchError] = ModelError, **keywords: object) -> str:
    out = path.with_name("out.safetensors")
    with pytest.raises(kind) as caught:
        import_weights(path, model, out, **({"size": SIZE} | keywords))  # type: ignore[arg-type]
    assert caught.value.hint
    assert not out.exists()
    assert not out.with_suffix(".json").exists()
    return f"{caught.value.message} | {caught.value.hint}"


def test_the_card_says_where_weights_come_from(file: Path) -> None:
    done = import_weights(file, "meso4", file.with_name("out.safetensors"), size=SIZE, licence="mine")
    card, origin = done.card, done.card.origin
    assert origin is not None
    assert (origin.file, origin.sha256, origin.bytes) == (file.name, file_sha256(file), file.stat().st_size)
    assert (origin.source, origin.prefix, origin.tensors) == ("deepfakebench", "backbone.", len(port_state()))
    assert (card.sha256, card.bytes) == (file_sha256(done.path), done.path.stat().st_size)
    assert (card.licence, card.train_condition, card.polarity) == ("mine", "unknown", "real=0, fake=1")
    assert len(card.golden) == 2
    assert not card.mini
    load_weights(done.path, IntendedUse(model="meso4", num_classes=2, profile="dfb256", size=SIZE, protocol="cross/v1"))
    with pytest.raises(ModelError, match="dfb256"):
        load_weights(done.path, IntendedUse(profile="native", size=SIZE))


def test_default_place(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    done = import_weights(file, "meso4", size=SIZE)
    assert done.path.name == "meso4_best.safetensors"
    assert done.path.parent.name == "imported"
    assert done.path.is_file()


@pytest.mark.parametrize("wrapping", ["state_dict", "model", "net", "model_state_dict"])
@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_are_unwrapped(tmp_path: Path, wrapping: str, legacy: bool) -> None:
    path, state = tmp_path / "checkpoint.tar", port_state()
    content = {"epoch": 3, wrapping: {f"module.{k}": v for k, v in state.items()}, "optimizer": {"lr": 0.1}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    found = read_foreign(path)
    assert {k.removeprefix("module.") for k in found} == set(state)


def averaged() -> dict[str, torch.Tensor]:
    return {name: 0.5 * tensor for name, tensor in port_state().items()}


SEVERAL = {
    "timm": ({"epoch": 3, "state_dict": port_state(), "state_dict_ema": averaged()}, "state_dict", "state_dict_ema"),
    "model_ema": ({"model": port_state(), "model_ema": averaged(), "optimizer": {}}, "model", "model_ema"),
    "callback": (
        {"state_dict": port_state(), "callbacks": {"EMA{decay: 0.99}": {"shadow": averaged()}}},
        "state_dict",
        "callbacks.EMA{decay: 0.99}.shadow",
    ),
    "nested": ({"net": {"state_dict": port_state(), "ema": averaged()}}, "net.state_dict", "net.ema"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_state_dicts_one_is_taken_and_all_are_named(file: Path, name: str) -> None:
    content, usual, other = SEVERAL[name]
    torch.save(content, file)
    found = read_checkpoint(file)
    assert (found.key, found.others) == (usual, (other,))
    assert torch.equal(found.state["backbone.fc1.weight"], port_state()["backbone.fc1.weight"])
    chosen = read_checkpoint(file, other)
    assert (chosen.key, chosen.others) == (other, (usual,))
    assert torch.equal(chosen.state["backbone.fc1.weight"], averaged()["backbone.fc1.weight"])
    with pytest.raises(ModelError, match="no state dict 'ema_model'") as caught:
        read_checkpoint(file, "ema_model")
    assert usual in caught.value.hint
    assert other in caught.value.hint


def test_the_choice_is_in_the_card_and_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": port_state(), "state_dict_ema": averaged()}, file)
    words = ["weights", "import", str(file), "--model", "meso4", "--size", str(SIZE)]
    goldens = []
    for key, other in (("state_dict", "state_dict_ema"), ("state_dict_ema", "state_dict")):
        out = file.with_name(f"{key}.safetensors")
        assert run_command([*words, "--out", str(out), *(["--weights-key", key] if "ema" in key else [])]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert f"state dict in the file: {key}" in printed
        assert f"other state dicts in it, not used: {other} (choose one with --weights-key)" in printed
        card = read_card(out)
        assert (card.origin.key, card.origin.other_keys) == (key, (other,))
        goldens.append(card.golden)
    assert goldens[0] != goldens[1]


@pytest.mark.parametrize(
    "content",
    [
        {"generator": port_state(), "discriminator": averaged()},
        {"teacher": port_state(), "student": averaged()},
        {"model": port_state(), "net": averaged()},
    ],
    ids=lambda content: " ".join(content),
)
def test_several_state_dicts_without_a_usual_one_need_a_choice(file: Path, content: dict[str, object]) -> None:
    torch.save(content, file)
    told = refused(file)
    assert "has 2 state dicts" in told
    assert f"--weights-key: {', '.join(content)}" in told
    assert read_checkpoint(file, list(content)[1]).key == list(content)[1]


def test_a_checkpoint_that_contains_itself_is_searched_once(file: Path) -> None:
    inner: dict[str, object] = {"epoch": 1, "last": {"weights": port_state()}}
    content = inner | {f"copy{n}": inner for n in range(40)}
    for n in range(40):
        inner[f"self{n}"] = inner
    torch.save(content, file)
    found = read_checkpoint(file)
    assert (found.key, found.others) == ("last.weights", ())


@pytest.mark.parametrize("key", ["module", "params", "weights", "best_model"])
def test_the_only_state_dict_may_have_any_key(file: Path, key: str) -> None:
    """The averages of an optimiser, by number or by name, are no state dict."""
    averages = {"step": torch.ones(1), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}
    optimizer = {"state": {0: averages, 1: averages}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    sharded = {"state": {"fc1.weight": averages}}
    rest = {"optimizer": optimizer, "optim": sharded, "rng": torch.get_rng_state()}
    torch.save({key: port_state()} | rest, file)
    assert read_checkpoint(file).key == key
    plain = file.with_name("plain.pth")
    torch.save(port_state(), plain)
    assert read_checkpoint(plain).key == ""
    with pytest.raises(ModelError, match="no state dict 'ema'") as caught:
        read_checkpoint(plain, "ema")
    assert "drop --weights-key" in caught.value.hint


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["script", "trace", "export", "keras", "onnx", "tflite"])
def test_programs_are_named_and_not_run(file: Path, kind: str) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1)).eval()
    if kind == "script":
        torch.jit.script(network).save(str(file))
    elif kind == "trace":
        torch.jit.trace(network, torch.zeros(1, 3, 4, 4)).save(str(file))
    elif kind in ("export", "keras"):
        name = "models/model.json" if kind == "export" else "model.weights.h5"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/archive_format" if kind == "export" else "config.json", "pt2")
            archive.writestr(f"archive/{name}" if kind == "export" else name, "{}")
    else:
        file.write_bytes(b"\x08\x0a\x12\x07onnx-ir" + bytes(90) if kind == "onnx" else bytes(4) + b"TFL3" + bytes(90))
    told = refused(file)
    expected = {"script": "TorchScript", "trace": "TorchScript", "export": "torch.export", "keras": "Keras"}
    assert expected.get(kind, "TensorFlow Lite or ONNX") in told
    assert "again" not in told
    if kind in ("script", "trace"):
        assert f"torch.jit.load('{file.name}').state_dict()" in told
        torch.save(torch.jit.load(str(file)).state_dict(), file)  # as the hint says
        assert set(read_foreign(file)) == {"0.weight", "0.bias"}


def test_whole_model_is_refused_unopened(file: Path) -> None:
    torch.save(build_model("meso4", 2, SIZE), file)
    text = refused(file)
    assert "whole Python objects" in text
    assert "reference_models.meso" in text
    assert "state_dict()" in text


class Bomb:
    """A pickle that would create a file when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("writer", ["pickle", "torch", "npz"])
def test_code_in_a_file_is_never_run(file: Path, writer: str) -> None:
    target = file.with_name("exploded")
    if writer == "pickle":
        file.write_bytes(pickle.dumps({"weights": Bomb(target)}))
    elif writer == "torch":
        torch.save({"weights": Bomb(target)}, file)
    else:
        file = file.with_suffix(".npz")
        np.savez(file, weights=np.array([Bomb(target)], dtype=object))
    refused(file)
    assert not target.exists()


@pytest.mark.filterwarnings("error")
def test_a_pickle_of_arrays_is_explained(file: Path) -> None:
    file.write_bytes(pickle.dumps({"conv1.weight": np.zeros((8, 3, 3, 3))}))
    told = refused(file)
    assert "not written by torch.save" in told or "it requires" in told
    assert "could run any code" in told


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\n <html><head>"])
def test_web_page(file: Path, start: str) -> None:
    file.write_text(start + "<title>Google Drive: virus scan warning</title>", "utf-8")
    assert "HTML page" in refused(file)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["zip", "legacy", "npz", "safetensors"])
def test_truncated(tmp_path: Path, kind: str, share: float) -> None:
    path, state = tmp_path / "cut.bin", port_state()
    if kind == "npz":
        with path.open("wb") as stream:
            np.savez(stream, **{k: v.numpy() for k, v in state.items()})
    elif kind == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    text = refused(path)
    assert any(word in text for word in ("cut short", "truncated", "damaged"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_bytes_anywhere_are_an_error_of_ours(tmp_path: Path) -> None:
    path, rng = tmp_path / "damaged.pth", np.random.default_rng(5)
    torch.save({f"layer{i}.weight": torch.zeros(2) for i in range(3)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    for _ in range(300):
        broken = bytearray(data[: rng.integers(2, len(data))])
        for place in rng.integers(2, len(broken) + 1, 3):
            broken[place - 1] = rng.integers(256)
        path.write_bytes(broken)
        try:
            read_foreign(path)
        except ModelError as error:
            assert error.hint  # noqa: PT017


def test_a_zip_of_something_else(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "weights are elsewhere")
    assert "damaged" in refused(file)


def test_other_kinds(file: Path) -> None:
    file.write_bytes(b"")
    assert "empty" in refused(file)
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "hdf5_to_npz.py" in refused(file)
    torch.save([1, 2, 3], file)
    assert "not a state dict" in refused(file)
    torch.save({"weights": torch.zeros(1), "epoch": 7}, file)
    assert "'epoch'" in refused(file)
    assert "no file" in refused(file.with_name("absent.pth"))


def test_another_architecture(file: Path) -> None:
    assert "are not those of deepfakebench or faceforensics" in refused(file, "xception")
    text = refused(file, "grnet", profile="box")  # has no sources but its own code
    assert "missing (alpha, head.bias, head.weight, ...)" in text
    assert "unused (backbone.bn1.bias" in text


def test_missing_and_strange_tensors_are_named(file: Path) -> None:
    state = port_state()
    del state["backbone.fc1.bias"]
    torch.save(state | {"backbone.extra.weight": torch.zeros(1), "head2.bias": torch.zeros(1)}, file)
    text = refused(file)
    assert "1 missing (classifier.2.bias)" in text
    assert "2 unused (backbone.extra.weight, head2.bias)" in text


def test_another_size(file: Path) -> None:
    assert "another shape (backbone.fc1.weight)" in refused(file, size=128)
    assert "multiple" in refused(file, size=100)


@pytest.mark.parametrize("classes", [1, 3])
def test_another_class_count(file: Path, classes: int) -> None:
    torch.save(port_state(classes), file)
    if classes == 1:  # one logit is binary too
        assert import_weights(file, "meso4", file.with_name("out.safetensors"), size=SIZE).card.num_classes == 1
    else:
        assert "3 classes, not 2" in refused(file)
        assert "3 classes, not 5" in refused(file, classes=("real", "a", "b", "c", "d"))


def test_values_that_are_not_numbers(file: Path) -> None:
    state = port_state()
    state["backbone.fc1.weight"][0, 0] = float("nan")
    torch.save(state, file)
    assert "not finite in 'backbone.fc1.weight'" in refused(file)


def test_what_the_user_says_wrongly(file: Path) -> None:
    assert "deepfakebench, mesonet, native" in refused(file, kind=UsageError, source="torchhub")
    assert "normalization=half" in refused(file, kind=UsageError, options={"normalization": "none"})
    assert "no option 'colour'" in refused(file, kind=UsageError, options={"colour": 3})
    assert "are not those of mesonet" in refused(file, source="mesonet")
    assert "native" in refused(file, kind=UsageError, profile="nativ")
    with pytest.raises(UsageError, match="safetensors"):
        import_weights(file, "meso4", file.with_suffix(".pt"), size=SIZE)


@pytest.mark.parametrize("wrapper", ["", "module.", "model.network."])
@pytest.mark.parametrize("logits", [1, 2])
def test_a_users_own_detector(tmp_path: Path, wrapper: str, logits: int) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        f"        super().__init__()\n        self.fc = nn.Linear(3, {logits})\n"
        "    def forward(self, x):\n        return self.fc(x.mean(dim=(2, 3)))\n",
        "utf-8",
    )
    weight = torch.arange(3.0 * logits).view(logits, 3)
    torch.save({f"{wrapper}fc.weight": weight, f"{wrapper}fc.bias": torch.zeros(logits)}, tmp_path / "mine.pth")
    model, out = f"{code}:Net", tmp_path / "mine.safetensors"
    card = import_weights(tmp_path / "mine.pth", model, out, profile="native", size=32).card
    assert (card.model, card.num_classes) == ("mine.net", logits)
    loaded, _ = load_weights(out, IntendedUse(model=model))
    with torch.inference_mode():
        assert torch.equal(loaded(torch.ones(1, 3, 32, 32)).logits, weight.sum(dim=1)[None])


def test_the_card_has_no_path_of_a_pretrained_file(tmp_path: Path) -> None:
    from dfbench.models.card import SelectionRecord, WeightCard
    from dfbench.models.weights import save_weights

    card = WeightCard(
        model="resnet18",
        options={"pretrained": "/home/someone/resnet18.pth"},
        num_classes=2,
        profile="native",
        size=SIZE,
        mini=False,
        selection=SelectionRecord(split="none", epoch=0),
    )
    written = save_weights(tmp_path / "w.safetensors", build_model("resnet18", 2, SIZE), card)
    assert written.options == {"pretrained": "resnet18.pth"}
    load_weights(tmp_path / "w.safetensors")


def test_the_profile_must_be_said_where_it_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "Meso4_DF.npz"
    np.savez(path, **{"conv2d_4/kernel": [0.0], "batch_normalization_4/gamma": [0.0], "dense_2/kernel": [0.0]})
    assert "--profile" in refused(path, kind=UsageError)


def test_classes_in_another_order_are_refused(file: Path) -> None:
    torch.save(port_state(3), file)
    out = file.with_name("out.safetensors")
    import_weights(file, "meso4", out, size=SIZE, classes=("real", "a", "b"))
    load_weights(out, IntendedUse(num_classes=3, classes=("real", "a", "b")))
    with pytest.raises(ModelError, match="real, b, a"):
        load_weights(out, IntendedUse(num_classes=3, classes=("real", "b", "a")))


def test_wrappers_are_stripped_only_where_all_marks_lie() -> None:
    one = torch.zeros(1)
    naming = KeyMap("n", "s", ("a.weight", "b.weight"))
    found = translate({"module.model.a.weight": one, "module.model.b.weight": one, "other": one}, [naming])
    assert found is not None
    assert found.prefix == "module.model."
    assert set(found.state) == {"a.weight", "b.weight", "other"}
    assert translate({"module.a.weight": one, "b.weight": one}, [naming]) is None
    assert translate({"teacher.a.weight": one, "teacher.b.weight": one}, [naming]) is None
    assert translate({}, [naming]) is None


def test_names_in_the_file_of_what_was_made_from_several_tensors_are_left_out() -> None:
    def joined(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        halves = torch.cat((state["q.weight"], state["k.weight"]))
        return {"qk.weight": halves} | {f"new.{n}": t for n, t in state.items() if n not in ("q.weight", "k.weight")}

    def by_suffix(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name.replace("old", "new"): tensor for name, tensor in state.items()}

    one = torch.zeros(1)
    file = {"module.q.weight": one, "module.k.weight": one, "module.old.bias": one}
    for convert, expected in (
        (joined, {}),
        (by_suffix, {"q.weight": "module.q.weight", "k.weight": "module.k.weight", "new.bias": "module.old.bias"}),
    ):
        found = translate(file, [KeyMap("n", "s", ("q.weight",), convert)])
        assert found is not None
        assert found.stored_names() == expected
