"""Shared by several families: normalisation, timm networks with their ImageNet weights, checks of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, SetupError, UsageError
from dfbench.models import KeyMap
from dfbench.models.convert.checkpoint_files import read_foreign
from dfbench.models.convert.keymap import translate
from dfbench.models.weights import load_state

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NORMALIZATIONS = ("none", "half", "quarter", "imagenet")


@dataclass(frozen=True)
class LogitsOutput:
    """The output of a detector that returns logits only.

    Attributes:
        logits: N,C; with C = 1, the sigmoid is P(fake).
    """

    logits: Tensor


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
    """Return the normalisation of RGB in [0,1] by name.

    Args:
        name: ``none``: unchanged; ``half``: mean and standard deviation 0.5, to [-1,1]; ``quarter``: mean 0.5 and
            standard deviation 0.25, to [-2,2]; ``imagenet``: statistics of ImageNet.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in NORMALIZATIONS:
        raise UsageError(
            f"invalid value {name!r} of the option normalization", f"choose from: {', '.join(NORMALIZATIONS)}"
        )
    if name == "none":
        return nn.Identity()
    if name == "imagenet":
        return Normalize()
    deviation = 0.5 if name == "half" else 0.25
    return Normalize((0.5, 0.5, 0.5), (deviation, deviation, deviation))


def check_images(images: Tensor, smallest: int, exact: int | None = None) -> None:
    """Check that the input is a batch of RGB images of a supported size.

    Args:
        images: the input of a detector.
        smallest: smallest height and width in pixels.
        exact: the only supported height and width, for a network with a fixed input size.

    Raises:
        ModelError: the shape or the size is not supported.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(
            f"a detector expects RGB batches of shape (N, 3, H, W), got {tuple(images.shape)}",
            "move the channels to the front and add the batch dimension: image.permute(2, 0, 1)[None]",
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
            f"the smallest supported size is {smallest} x {smallest}; prepare larger crops with --size",
        )


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy in float32, binary for one logit.

    Args:
        logits: N,C.
        targets: int64 (N,), class numbers.
    """
    logits = logits.float()
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], targets.float())
    return F.cross_entropy(logits, targets)


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
    """Build a network of timm, with random weights unless ``pretrained``.

    Args:
        architecture: timm's name.
        weights: timm's name with the tag of the ImageNet weights.
        pretrained: true: download those weights; a path: load ImageNet weights from that file, without network access.
        files: key maps that such a file may match.
        head: timm's name of the last layer, which is not loaded from a file.
        normalization: name of the normalisation in front of the network; empty: not checked.
        options: further arguments of timm's factory.

    Raises:
        SetupError: the weights cannot be downloaded.
        ModelError: the file cannot be read, belongs to another network or needs another normalisation.
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
            f"the ImageNet weights {weights} cannot be downloaded: {error}",
            "check the network connection, pass a file (pretrained=FILE), or build the detector with pretrained=False",
        ) from error


def load_imagenet(
    network: nn.Module, path: str, files: Sequence[KeyMap], head: str = "", normalization: str = ""
) -> None:
    """Load ImageNet weights from a file into a backbone; the head keeps its random weights.

    Args:
        network: the backbone.
        path: the file; see :func:`dfbench.models.convert.checkpoint_files.read_foreign`.
        files: key maps that it may match.
        head: name of the last layer, which is not loaded.
        normalization: name of the normalisation in front of the network; empty: not checked.

    Raises:
        ModelError: the file cannot be read, belongs to another network or needs another normalisation.
    """
    state = read_foreign(Path(path))
    found = translate(state, files)
    if found is None:
        known = " or ".join(dict.fromkeys(keymap.source for keymap in files))
        raise ModelError(
            f"the tensor names in {path} are not those of {known} (first name: {next(iter(state))})",
            "the file seems to belong to another network; see docs/weights.md for the supported files",
        )
    needed = found.keymap.options.get("normalization", normalization)
    if normalization and needed != normalization:
        raise ModelError(
            f"the weights {path} ({found.keymap.source}) expect the normalisation {needed!r}, not {normalization!r}",
            f"add the option normalization={needed}",
        )
    own = network.state_dict()
    body = {name: tensor for name, tensor in found.state.items() if not head or not name.startswith(f"{head}.")}
    spare = {k: v for k, v in own.items() if k.endswith("num_batches_tracked") or (head and k.startswith(f"{head}."))}
    load_state(network, spare | body, path, found.stored_names)
