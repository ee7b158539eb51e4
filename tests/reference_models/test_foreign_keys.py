"""Weights in the naming of other projects, made by tables written for this test, score as the same weights of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.interface import fake_probability
from dfbench.models.registry import get_spec, model_names
from dfbench.models.weights import load_weights

pytestmark = pytest.mark.slow

SIZE = 64
# Ours -> theirs, applied in turn.
TO_DEEPFAKEBENCH_XCEPTION = [(r"^backbone\.fc\.", "backbone.last_linear.")]
TO_FACEFORENSICS = [(r"^backbone\.fc\.", "model.last_linear.1."), (r"^backbone\.", "model.")]
TO_DEEPFAKEBENCH_CAPSULE = [(r"^vgg\.", "vgg_ext.vgg_1.")]


def trained(name: str, classes: int = 2, **options: object) -> nn.Module:
    """A detector with random weights whose running statistics are not the fresh ones."""
    torch.manual_seed(21)
    model = build_model(name, classes, SIZE, **options)
    model.train()
    with torch.no_grad():
        model(torch.rand(4, 3, SIZE, SIZE))
    return model.eval()


def renamed(model: nn.Module, table: list[tuple[str, str]]) -> dict[str, Tensor]:
    result = {}
    for name, tensor in model.state_dict().items():
        for pattern, new in table:
            name = re.sub(pattern, new, name)
        result[name] = tensor.clone()
    return result


def images() -> Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def logits(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model(images()).logits


def test_xception_of_deepfakebench(tmp_path: Path) -> None:
    model = trained("xception")
    state = renamed(model, TO_DEEPFAKEBENCH_XCEPTION)
    adjust = {
        "backbone.adjust_channel.0.weight": torch.zeros(512, 2048, 1, 1),
        "backbone.adjust_channel.1.bias": torch.zeros(512),
    }
    torch.save(state | adjust, tmp_path / "xception_best.pth")
    done = import_weights(tmp_path / "xception_best.pth", "xception", tmp_path / "x.safetensors", size=SIZE)
    loaded, card = load_weights(done.path)
    assert torch.equal(logits(loaded), logits(model))
    assert (card.profile, card.options) == ("dfb256", {"normalization": "half", "head_epochs": 0})
    assert "test data" in card.selection.note
    assert card.selection.split == "unknown"
    assert "NC" in card.licence
    assert card.origin is not None
    assert set(card.origin.left_out) == set(adjust)
    assert (card.origin.source, card.origin.prefix, card.origin.tensors) == ("deepfakebench", "backbone.", 278)
    assert card.golden
    assert card.protocol is None


def test_xception_of_faceforensics_without_counters(tmp_path: Path) -> None:
    model = trained("xception")
    state = {k: v for k, v in renamed(model, TO_FACEFORENSICS).items() if "num_batches" not in k}
    torch.save(state, tmp_path / "full_c23.pth")
    done = import_weights(tmp_path / "full_c23.pth", "xception", tmp_path / "x.safetensors", size=SIZE)
    assert torch.equal(logits(load_weights(done.path)[0]), logits(model))
    assert done.card.profile == "ffpp13"
    assert done.card.origin is not None
    assert all(name.endswith("num_batches_tracked") for name in done.card.origin.filled)
    assert len(done.card.origin.filled) == len([n for n in model.state_dict() if n.endswith("num_batches_tracked")])


def test_xception_of_several_classes_needs_their_names(tmp_path: Path) -> None:
    model = trained("xception", 5)
    torch.save(renamed(model, TO_FACEFORENSICS), tmp_path / "multi.pth")
    with pytest.raises(ModelError, match="5 classes, not 2"):
        import_weights(tmp_path / "multi.pth", "xception", tmp_path / "x.safetensors", size=SIZE)
    names = ("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    done = import_weights(tmp_path / "multi.pth", "xception", tmp_path / "x.safetensors", size=SIZE, classes=names)
    assert (done.card.num_classes, done.card.classes) == (5, names)


def test_capsule_of_deepfakebench_reports_its_softmax_of_scores(tmp_path: Path) -> None:
    model = trained("capsule", normalization="half")
    torch.save(renamed(model, TO_DEEPFAKEBENCH_CAPSULE), tmp_path / "capsule_best.pth")
    done = import_weights(tmp_path / "capsule_best.pth", "capsule", tmp_path / "c.safetensors", size=SIZE)
    loaded, _ = load_weights(done.path)
    scores = logits(model).softmax(1)  # the published class scores
    assert torch.allclose(fake_probability(logits(loaded)), scores.double().softmax(1)[:, 1], atol=1e-6)


def vgg19_file(path: Path) -> dict[str, Tensor]:
    torch.manual_seed(2)
    state: dict[str, Tensor] = timm.create_model("vgg19", num_classes=10).state_dict()
    state = {k: v for k, v in state.items() if k.startswith("features.")} | {"classifier.6.bias": torch.zeros(1000)}
    torch.save(state, path)
    return state


def test_capsule_of_its_authors_needs_the_imagenet_features(tmp_path: Path) -> None:
    vgg, file, out = tmp_path / "vgg19.pth", tmp_path / "capsule_21.pt", tmp_path / "c.safetensors"
    stored = vgg19_file(vgg)
    model = trained("capsule", pretrained=str(vgg))
    assert torch.equal(model.vgg[16].weight, stored["features.16.weight"])
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("vgg.")}
    assert len(own) == 281
    torch.save(own, file)
    with pytest.raises(ModelError, match="ImageNet") as caught:
        import_weights(file, "capsule", out, profile="box", size=SIZE)
    assert "pretrained=FILE" in caught.value.hint
    done = import_weights(file, "capsule", out, profile="box", size=SIZE, options={"pretrained": str(vgg)})
    vgg.unlink()
    loaded, card = load_weights(out)
    assert torch.equal(logits(loaded), logits(model))
    assert "pretrained" not in card.options
    assert card == done.card


@pytest.mark.parametrize(("model", "architecture"), [("resnet18", "resnet18"), ("grnet", "resnet18")])
def test_resnet18_from_a_file(tmp_path: Path, model: str, architecture: str) -> None:
    torch.manual_seed(3)
    state = timm.create_model(architecture).state_dict()
    torch.save(state, tmp_path / "resnet18-f37072fd.pth")
    found = build_model(model, 2, SIZE, pretrained=str(tmp_path / "resnet18-f37072fd.pth"))
    for stream in ("backbone",) if model == "resnet18" else ("rgb", "residual"):
        assert torch.equal(
            found.get_submodule(stream).state_dict()["layer4.1.bn2.weight"], state["layer4.1.bn2.weight"]
        )
        assert torch.equal(found.get_submodule(stream).state_dict()["conv1.weight"], state["conv1.weight"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "architecture", "tensor"),
    [
        ("resnet34", "resnet34", "layer4.2.bn2.weight"),
        ("resnet50", "resnet50", "layer4.2.bn3.weight"),
        ("xception", "legacy_xception", "conv4.pointwise.weight"),
        ("efficientnet-b4", "tf_efficientnet_b4", "blocks.6.1.bn3.weight"),
    ],
)
def test_other_backbones_of_grnet_from_a_file(tmp_path: Path, backbone: str, architecture: str, tensor: str) -> None:
    torch.manual_seed(3)
    state = {
        n: t + 0.01 if t.is_floating_point() else t for n, t in timm.create_model(architecture).state_dict().items()
    }
    torch.save(state, tmp_path / "imagenet.pth")
    found = build_model("grnet", 2, SIZE, backbone=backbone, pretrained=str(tmp_path / "imagenet.pth"))
    for stream in ("rgb", "residual"):
        assert torch.equal(found.get_submodule(stream).state_dict()[tensor], state[tensor])


@pytest.mark.parametrize("head", ["fc", "last_linear"])
def test_xception_from_an_imagenet_file(tmp_path: Path, head: str) -> None:
    torch.manual_seed(3)
    state = timm.create_model("legacy_xception").state_dict()
    old = {
        name.replace("fc.", f"{head}."): t[:, :, 0, 0] if name.endswith("pointwise.weight") else t
        for name, t in state.items()
    }
    torch.save(old, tmp_path / "xception-b5690688.pth")
    found = build_model("xception", 2, SIZE, pretrained=str(tmp_path / "xception-b5690688.pth"))
    assert torch.equal(found.backbone.conv4.pointwise.weight, state["conv4.pointwise.weight"])
    assert found.backbone.fc.weight.shape == (2, 2048)
    with pytest.raises(ModelError, match="1000 classes") as caught:
        import_weights(tmp_path / "xception-b5690688.pth", "xception", tmp_path / "x.safetensors", size=SIZE)
    assert "pretrained=FILE" in caught.value.hint


@pytest.mark.slow
def test_vit_from_torchvision_gives_the_same_features(tmp_path: Path) -> None:
    from torchvision.models import vit_b_16

    torch.manual_seed(3)
    theirs = vit_b_16().eval()
    nn.init.normal_(theirs.heads.head.weight)
    path = str(tmp_path / "vit_b_16.pth")
    torch.save(theirs.state_dict(), path)
    with pytest.raises(ModelError, match="'imagenet', not 'half'") as caught:
        build_model("vit-b16", 2, 224, pretrained=path)
    assert "normalization=imagenet" in caught.value.hint
    ours = build_model("vit-b16", 2, 224, pretrained=path, normalization="imagenet").eval()
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        theirs.heads = nn.Identity()
        expected = theirs(ours.normalize(images))
        found = ours.backbone.forward_features(ours.normalize(images))[:, 0]
    assert torch.allclose(found, expected, atol=1e-4)


def test_another_network_is_no_backbone(tmp_path: Path) -> None:
    path = str(tmp_path / "resnet34.pth")
    torch.save(timm.create_model("resnet34").state_dict(), path)
    with pytest.raises(ModelError, match=r"unused \(layer1\.2"):
        build_model("resnet18", 2, SIZE, pretrained=path)
    with pytest.raises(ModelError, match="the tensor names in"):
        build_model("xception", 2, SIZE, pretrained=path)
    with pytest.raises(ModelError, match="no file"):
        build_model("xception", 2, SIZE, pretrained="nowhere.pth")


def test_our_own_state_dict_without_a_card(tmp_path: Path) -> None:
    model = trained("mislnet")
    torch.save(model.state_dict(), tmp_path / "own.pth")
    keywords = {"source": "native", "profile": "native", "size": SIZE, "train_condition": "clean"}
    done = import_weights(tmp_path / "own.pth", "mislnet", tmp_path / "own.safetensors", **keywords)
    assert torch.equal(logits(load_weights(done.path)[0]), logits(model))
    assert done.card.train_condition == "clean"


def test_every_source_is_described() -> None:
    for name in model_names():
        spec = get_spec(name)
        for keymap in spec.foreign_keys:
            assert keymap.source
            assert keymap.marks
            assert set(keymap.options) <= set(spec.options)
            assert "normalization" in keymap.options or "normalization" not in spec.options
            assert keymap.size in spec.sizes
        names = [keymap.name for keymap in spec.foreign_keys]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "model", ["meso4", "mesoinception4", "xception", "efficientnet-b4", "mat", "vit-b16", "capsule"]
)
def test_an_unknown_normalisation_is_refused(model: str) -> None:
    with pytest.raises(UsageError, match="normalization"):
        build_model(model, 2, 224, normalization="caffe")
