"""Weight files: the round trip, and every way in which one can be wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from dfbench.errors import ModelError
from dfbench.models.build import build_model
from dfbench.models.card import IntendedUse, SelectionRecord, WeightCard, card_path
from dfbench.models.files import looks_like
from dfbench.models.registry import get_spec
from dfbench.models.weights import (
    golden_images,
    load_weights,
    read_state,
    rounding_effect,
    save_weights,
    write_state,
)
from dfbench.schema.result import ProtocolRef

SIZE = 64


def card(model: str = "meso4", **changes: object) -> WeightCard:
    fields = {
        "model": model,
        "options": dict(get_spec(model).options),
        "num_classes": 2,
        "profile": "native",
        "size": SIZE,
        "protocol": ProtocolRef(name="mini", version=1, hash="h"),
        "selection": SelectionRecord(split="val", metric="auc.video.mean", value=0.7, epoch=3),
        "mini": True,
    }
    return WeightCard.model_validate(fields | changes)


def test_weights_that_give_no_scores_are_not_written(tmp_path: Path) -> None:
    model = build_model("meso4", 2, SIZE)
    with torch.no_grad():
        model.classifier[-1].bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        save_weights(tmp_path / "w.safetensors", model, card())
    assert not list(tmp_path.iterdir())


def test_a_header_whose_length_reads_like_a_web_page_is_none(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(bytes((0x20, 0x3C, 0x21, 0, 0, 0, 0, 0)) + b'{"a": ')
    assert looks_like(file) == "a damaged file"
    for page in (b"<!doctype html>", b"\xef\xbb\xbf\n<HTML>", b"<?xml "):
        file.write_bytes(page)
        assert looks_like(file) == "an HTML page"
    file.write_bytes(b'{"model": "meso4"}')
    assert "JSON" in looks_like(file)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "meso4.safetensors"
    torch.manual_seed(1)
    save_weights(path, build_model("meso4", 2, SIZE), card())
    return path


@pytest.mark.parametrize("name", ["grnet", "meso4", "resnet18"])
def test_round_trip_gives_identical_scores(tmp_path: Path, name: str) -> None:
    torch.manual_seed(2)
    model = build_model(name, 2, SIZE)
    images = torch.rand(4, 3, SIZE, SIZE)
    model(images)  # moves the running statistics of batch norm
    if name == "grnet":
        model.alpha.copy_(torch.tensor([0.3, 0.7]))
    written = save_weights(tmp_path / "w.safetensors", model, card(name))
    loaded, found = load_weights(
        tmp_path / "w.safetensors", IntendedUse(model=name, num_classes=2, profile="native", size=SIZE)
    )
    assert found == written
    assert found.bytes == (tmp_path / "w.safetensors").stat().st_size
    with torch.inference_mode():
        assert torch.equal(model.eval()(images).logits, loaded(images).logits)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.json", "w.safetensors"]


def refuse(path: Path, *words: str, **intended: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_weights(path, IntendedUse(**intended))  # type: ignore[arg-type]
    text = f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint
    for word in words:
        assert word in text
    return caught.value


def accept(path: Path, **intended: object) -> None:
    """Load weights, and compare the card and every tensor with the files."""
    network, found = load_weights(path, IntendedUse(**intended))  # type: ignore[arg-type]
    assert found == WeightCard.model_validate_json(card_path(path).read_text("utf-8"))
    state, loaded = read_state(path), network.state_dict()
    assert state.keys() == loaded.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    assert not network.training


def test_missing_file_names_a_neighbour(weights: Path) -> None:
    refuse(weights.with_name("mesoo4.safetensors"), "there are no weights", "meso4.safetensors")


def test_missing_card(weights: Path) -> None:
    card_path(weights).unlink()
    refuse(weights, "no card")


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "not valid JSON"), ("[]", "does not fit"), ('{"format_version": 99}', "format 99"), ("{}", "does not fit")],
)
def test_bad_card(weights: Path, text: str, word: str) -> None:
    card_path(weights).write_text(text, "utf-8")
    refuse(weights, word)


def test_another_detector(weights: Path) -> None:
    refuse(weights, "'meso4'", "'grnet'", model="grnet")


def test_another_class_count(weights: Path) -> None:
    refuse(weights, "2 classes", "5", num_classes=5)


@pytest.mark.parametrize("crops", [{"profile": "box"}, {"size": 128}])
def test_other_crops(weights: Path, crops: dict[str, object]) -> None:
    refuse(weights, "--allow-crop-mismatch", **crops)
    accept(weights, allow_crop_mismatch=True, **crops)


def test_mini_weights_elsewhere(weights: Path) -> None:
    refuse(weights, "invented faces", "--allow-mini-weights", protocol="cross/v1")
    accept(weights, protocol="mini")
    accept(weights, protocol="cross/v1", allow_mini_weights=True)


def test_truncated(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-100])
    refuse(weights, "truncated")


def test_empty(weights: Path) -> None:
    weights.write_bytes(b"")
    refuse(weights, "an empty file")


def test_changed_in_place(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[-1] ^= 255
    weights.write_bytes(data)
    refuse(weights, "SHA-256")


def test_web_page(weights: Path) -> None:
    weights.write_text("<!DOCTYPE html><html><body>404</body></html>", "utf-8")
    refuse(weights, "an HTML page", "download")


class Bomb:
    """A pickle that would create a file when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


def test_pickle_is_refused_unopened(weights: Path) -> None:
    target = weights.with_name("exploded")
    weights.write_bytes(pickle.dumps(Bomb(target)))
    refuse(weights, "a pickle")
    with pytest.raises(ModelError, match="pickle"):
        read_state(weights)
    assert not target.exists()


def test_torch_save_is_refused(weights: Path) -> None:
    torch.save(build_model("meso4", 2, SIZE).state_dict(), weights)
    refuse(weights, "torch.save")


def edit_card(weights: Path, **changes: object) -> None:
    raw = json.loads(card_path(weights).read_text("utf-8")) | changes
    card_path(weights).write_text(json.dumps(raw), "utf-8")


def rewrite(weights: Path, state: dict[str, torch.Tensor]) -> None:
    from dfbench.io import file_sha256

    write_state(weights, state)
    edit_card(weights, sha256=file_sha256(weights), bytes=weights.stat().st_size)


def test_missing_and_unused_tensors_are_named(weights: Path) -> None:
    state = read_state(weights)
    state["stranger"] = state.pop("classifier.2.bias")
    rewrite(weights, state)
    refuse(weights, "classifier.2.bias", "stranger", "1 missing", "1 unused")


def test_other_shapes_are_named(weights: Path) -> None:
    state = read_state(weights)
    state["classifier.5.bias"] = torch.zeros(3)
    rewrite(weights, state)
    refuse(weights, "another shape", "classifier.5.bias")


def test_golden_score_guards_the_forward_pass(weights: Path) -> None:
    state = read_state(weights)
    state["classifier.5.bias"] = state["classifier.5.bias"] + torch.tensor([0.0, 0.5])
    rewrite(weights, state)
    refuse(weights, "other scores")
    network, _ = load_weights(weights, golden=False)
    assert torch.equal(network.state_dict()["classifier.5.bias"], state["classifier.5.bias"])


def test_golden_scores_that_rounding_decides_are_no_check(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    network, card = load_weights(weights)
    with torch.inference_mode():
        logits = network(golden_images(card.size)).logits
    state = read_state(weights)
    weight, bias = state["classifier.5.weight"], state["classifier.5.bias"]
    # The logits of the first image become 1e10 times their rounding error.
    state["classifier.5.weight"], state["classifier.5.bias"] = 1e10 * weight, 1e10 * (bias - logits[0])
    rewrite(weights, state)
    loaded, _ = load_weights(weights)
    assert "do not check the weights" in caplog.text
    assert torch.equal(loaded.state_dict()["classifier.5.weight"], 1e10 * weight)


def test_rounding_of_a_usual_network_is_small(weights: Path) -> None:
    network, card = load_weights(weights)
    assert rounding_effect(network, card.size) < 1e-5
