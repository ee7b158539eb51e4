"""What several detector families need: normalisation, backbones and their ImageNet weights, a check of the input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, SetupError, UsageError
from dfbench.models import KeyMap
from dfbench.models.convert.checkpoint_files import read_foreign
from dfbench.models.convert.keymap import translate
from dfbench.models.weights import load_state
from reference_models.resnet.keys import IMAGENET as RESNET18_FILES

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NORMALIZATIONS = ("none", "half", "imagenet")


class Normalize(nn.Module):
    """``(x - mean) / std`` per channel; the constants are buffers that weight files do not store."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """N,C,H,W in [0,1] -> N,C,H,W."""
        return (images - self.mean) / self.std


def make_normalization(name: str) -> nn.Module:
    """The normalisation of RGB in [0,1] by name.

    Args:
        name: ``none``: as it is; ``half``: mean and deviation 0.5, to [-1,1]; ``imagenet``: ImageNet's statistics.

    Raises:
        UsageError: an unknown name.
    """
    if name not in NORMALIZATIONS:
        raise UsageError(f"option normalization can not be {name!r}", f"choose from: {', '.join(NORMALIZATIONS)}")
    if name == "none":
        return nn.Identity()
    return Normalize() if name == "imagenet" else Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def check_images(images: Tensor, smallest: int, exact: int | None = None) -> None:
    """Refuse what is not a batch of RGB pictures of a size the network can take.

    Args:
        images: the input of a detector.
        smallest: smallest height and width in pixels.
        exact: the only height and width that fits, where the network has a fixed one.

    Raises:
        ModelError: the shape or the size does not fit.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(
            f"a detector takes RGB batches of shape (N, 3, H, W), not {tuple(images.shape)}",
            "put the colours first and add the batch dimension: image.permute(2, 0, 1)[None]",
        )
    height, width = int(images.shape[2]), int(images.shape[3])
    if exact is not None and (height, width) != (exact, exact):
        raise ModelError(
            f"this detector was built for {exact} x {exact} pixels, the images are {height} x {width}",
            f"build it with image_size={height}, or use crops of {exact} pixels",
        )
    if min(height, width) < smallest:
        raise ModelError(
            f"images of {height} x {width} pixels are too small for this detector",
            f"it takes {smallest} x {smallest} and more; prepare larger crops with --size",
        )


def timm_network(
    architecture: str,
    weights: str,
    pretrained: bool | str,
    files: Sequence[KeyMap],
    *,
    head: str = "",
    normalization: str = "",
    **options: Any,
) -> nn.Module:
    """A network of timm, with random weights unless ``pretrained``.

    Args:
        architecture: timm's name.
        weights: timm's name with the tag of the ImageNet weights.
        pretrained: true: fetch those weights; a path: take a file of ImageNet weights, without any network.
        files: the namings that such a file may have.
        head: timm's name of the last layer, which is not taken from a file.
        normalization: the one in front of the network; empty: not asked.
        options: what else timm's factory takes.

    Raises:
        SetupError: the weights can not be fetched.
        ModelError: the file can not be read, belongs to another network or needs another normalisation.
    """
    import timm

    if isinstance(pretrained, str):
        network = timm.create_model(architecture, pretrained=False, **options)
        load_imagenet(network, pretrained, files, head, normalization)
        return network
    if not pretrained:
        return timm.create_model(architecture, pretrained=False, **options)
    try:
        return timm.create_model(weights, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"the ImageNet weights {weights} can not be fetched: {error}",
            "check the network connection, give a file (pretrained=FILE), or build the detector with pretrained=False",
        ) from error


def load_imagenet(
    network: nn.Module, path: str, files: Sequence[KeyMap], head: str = "", normalization: str = ""
) -> None:
    """Load a file of ImageNet weights into a backbone; its head keeps its random weights.

    Args:
        network: the backbone.
        path: the file; see :func:`dfbench.models.convert.checkpoint_files.read_foreign`.
        files: the namings that it may have.
        head: name of the last layer, which is left alone.
        normalization: the one in front of the network; empty: not asked.

    Raises:
        ModelError: the file can not be read, belongs to another network or needs another normalisation.
    """
    state = read_foreign(Path(path))
    found = translate(state, files)
    if found is None:
        known = " or ".join(dict.fromkeys(keymap.source for keymap in files))
        raise ModelError(f"{path} does not have the names of {known} (first: {next(iter(state))})", "another network?")
    needed = found.keymap.options.get("normalization", normalization)
    if normalization and needed != normalization:
        raise ModelError(
            f"the weights {path} ({found.keymap.source}) expect the normalisation {needed!r}, not {normalization!r}",
            f"add the option normalization={needed}",
        )
    own = network.state_dict()
    body = {name: tensor for name, tensor in found.state.items() if not head or not name.startswith(f"{head}.")}
    spare = {k: v for k, v in own.items() if k.endswith("num_batches_tracked") or (head and k.startswith(f"{head}."))}
    load_state(network, spare | body, path)


def resnet18(pretrained: bool | str = False) -> nn.Module:
    """ResNet-18 without pooling and head: N,3,H,W -> N,512,H/32,W/32, with torchvision's parameter names.

    Args:
        pretrained: true: fetch torchvision's ImageNet weights through timm (Hugging Face hub, 47 MB); a path: take
            them from that file.

    Raises:
        SetupError: the weights can not be fetched.
        ModelError: the file can not be read or belongs to another network.
    """
    return timm_network("resnet18", "resnet18.tv_in1k", pretrained, RESNET18_FILES, num_classes=0, global_pool="")
