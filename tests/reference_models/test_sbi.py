"""The pairing ``sbi``: the official program's weights and answers, and what the import of its files records."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from efficientnet_names import package_name
from formula_weights import formula_images, formula_state, key_digest

from dfbench.errors import ModelError
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.registry import get_spec
from dfbench.models.weights import load_weights

# The official program (mapooon/SelfBlendedImages, efficientnet_pytorch 0.7.1) with formula weights and images of 380
# pixels, only divided by 255: logits, and their float32 noise. With a gain of 1 both images give one answer.
OFFICIAL = {
    1.0: ([[0.08324683, -0.04778779], [0.08324684, -0.04778779]], 1.5e-8),
    3.25: ([[0.5502021, -0.6765955], [0.4362358, -0.516963]], 1.3e-6),
}
OFFICIAL_KEYS = "d1eb43621aabf9a0"


def official_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes as the official program stores them."""
    import timm

    with torch.device("meta"):
        network = timm.create_model("tf_efficientnet_b4", num_classes=2)
    named = {f"net.{package_name(k)}": tuple(t.shape) for k, t in network.state_dict().items()}
    assert key_digest(named) == OFFICIAL_KEYS
    return named


@pytest.mark.slow
@pytest.mark.parametrize("gain", OFFICIAL)
def test_parity_with_the_official_program(gain: float, tmp_path: Path) -> None:
    file = tmp_path / "FFc23.tar"
    state = formula_state(official_shapes(), gain)
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": []}, "epoch": 99}, file)
    done = import_weights(file, "sbi", tmp_path / "w.safetensors")
    network, card = load_weights(done.path)
    with torch.inference_mode():
        logits = network(formula_images(380)).logits.double()
    expected = torch.tensor(OFFICIAL[gain][0], dtype=torch.float64)
    tolerance = max(10 * OFFICIAL[gain][1], 1e-5 * float(expected.abs().max()))
    assert float((logits - expected).abs().max()) <= tolerance
    assert (card.model, card.training_method, card.size, card.profile) == ("sbi", "sbi", 380, "sbi")
    assert (card.options["normalization"], card.options["stem"]) == ("none", "same")
    assert card.origin is not None
    assert (card.origin.source, card.origin.prefix) == ("sbi", "net.")


@pytest.mark.parametrize("model", ["sbi", "efficientnet-b4"])
def test_a_file_with_one_wrong_key_is_refused_by_its_name(model: str, tmp_path: Path) -> None:
    state = {name: torch.zeros(()).expand(shape) for name, shape in official_shapes().items()}  # small files
    state["net._blocks.21._bn1.scale"] = state.pop("net._blocks.21._bn1.weight")
    torch.save({"model": state}, tmp_path / "FFc23.tar")
    with pytest.raises(ModelError, match=r"1 missing .*, 1 unused \(net\._blocks\.21\._bn1\.scale\)$"):
        import_weights(tmp_path / "FFc23.tar", model, tmp_path / "w.safetensors", profile="box")
    assert not (tmp_path / "w.safetensors").exists()


def test_the_plain_network_reads_the_same_files() -> None:
    plain, pairing = get_spec("efficientnet-b4"), get_spec("sbi")
    assert pairing.target == plain.target
    assert pairing.foreign_keys[0] in plain.foreign_keys
    assert pairing.options.keys() == plain.options.keys()
    assert pairing.training_method == pairing.foreign_keys[0].training_method == "sbi"
