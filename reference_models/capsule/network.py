"""Capsule-Forensics v2 (Nguyen, Yamagishi and Echizen) as its authors published it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, UsageError
from reference_models.capsule.routing import Routing, squash
from reference_models.capsule.spec import IMAGENET
from reference_models.common import check_images, load_imagenet, make_normalization, timm_network

SMALLEST = 16
CAPSULES = 10
DIMENSION = 8
LOSSES = ("vectors", "scores")
SCORES = ("once", "twice")
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0)  # 0: pooling by 2


@dataclass(frozen=True)
class CapsuleOutput:
    """What the detector returns.

    Attributes:
        logits: N,C; the logarithm of the published class scores, so that their softmax is those scores (with
            ``scores="twice"`` the scores themselves).
        vectors: N,4,C; the output capsules.
    """

    logits: Tensor
    vectors: Tensor


class Statistics(nn.Module):
    """Mean and unbiased standard deviation of every channel; N,C,H,W -> N,2,C, in float32 under mixed precision."""

    def forward(self, maps: Tensor) -> Tensor:
        """N,C,H,W with H*W >= 2 -> N,2,C."""
        flat = maps.flatten(2)
        if flat.dtype in (torch.bfloat16, torch.float16):
            flat = flat.float()
        return torch.stack((flat.mean(dim=2), flat.std(dim=2)), dim=1)


class PrimaryCapsules(nn.Module):
    """Ten small networks in parallel with eight outputs each; squashed *along the capsules*, as published."""

    def __init__(self) -> None:
        super().__init__()
        self.capsules = nn.ModuleList(_capsule() for _ in range(CAPSULES))
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, maps: Tensor) -> Tensor:
        """N,256,H,W -> N,8,10."""
        stacked = torch.stack([capsule(maps) for capsule in self.capsules], dim=-1)
        with torch.autocast(maps.device.type, enabled=False):
            return squash(stacked.float() if stacked.dtype == torch.bfloat16 else stacked, dim=-1)


class CapsuleNet(nn.Module):
    """Frozen VGG-19 features up to the third pooling, ten primary capsules, dynamic routing.

    Parameter names under ``fea_ext`` and ``routing_stats`` are the published ones.

    Args:
        num_classes: outputs, at least 2.
        image_size: ignored; any size of at least 16 pixels works, 300 was published.
        noise: standard deviation of the routing noise during training.
        dropout: fraction of the routing predictions dropped during training.
        loss_on: ``vectors``: cross-entropy of the output capsules (the authors' later code); ``scores``: of their
            softmax, so that it is applied twice (their earlier code).
        scores: ``once``: the published class scores; ``twice``: their softmax, which DeepfakeBench reports.
        normalization: ``none``, ``half`` (to [-1,1]) or ``imagenet``, as published.
        pretrained: true: download VGG-19's ImageNet weights, as published; a path: load them from that file; false:
            the frozen features are random until a weight file is loaded.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        noise: float = 0.01,
        dropout: float = 0.05,
        loss_on: str = "vectors",
        scores: str = "once",
        normalization: str = "imagenet",
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        del image_size
        if num_classes < 2:
            raise ModelError(
                "capsule needs at least 2 classes, got 1: its scores are a softmax over classes",
                "build it with num_classes=2",
            )
        for option, value, choices in (("loss_on", loss_on, LOSSES), ("scores", scores, SCORES)):
            if value not in choices:
                raise UsageError(
                    f"invalid value {value!r} of the option {option} of capsule", f"choose from: {', '.join(choices)}"
                )
        if noise < 0 or not 0 <= dropout < 1:
            raise UsageError(
                f"capsule needs noise >= 0 and 0 <= dropout < 1, got {noise} and {dropout}",
                "the published values are 0.01 and 0.05",
            )
        self.loss_on, self.scores = loss_on, scores
        self.normalize = make_normalization(normalization)
        self.vgg = vgg19_features(pretrained)
        self.fea_ext = PrimaryCapsules()
        self.routing_stats = Routing(CAPSULES, DIMENSION, num_classes, noise, dropout)

    def train(self, mode: bool = True) -> CapsuleNet:
        """Switch the mode of all layers except the frozen features, which stay in evaluation mode."""
        super().train(mode)
        self.vgg.eval()
        return self

    def forward(self, images: Tensor) -> CapsuleOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 16 -> :class:`CapsuleOutput`."""
        check_images(images, SMALLEST)
        with torch.no_grad():
            maps = self.vgg(self.normalize(images))
        vectors = self.routing_stats(self.fea_ext(maps))
        logits = torch.logsumexp(F.log_softmax(vectors, dim=2), dim=1) - math.log(vectors.shape[1])
        return CapsuleOutput(logits if self.scores == "once" else logits.exp(), vectors)

    def loss(self, output: CapsuleOutput, targets: Tensor) -> Tensor:
        """Return the cross-entropy of each of the four components of the output capsules, summed."""
        vectors = torch.softmax(output.vectors, dim=2) if self.loss_on == "scores" else output.vectors
        losses = [F.cross_entropy(vectors[:, number], targets) for number in range(vectors.shape[1])]
        return torch.stack(losses).sum()


def vgg19_features(pretrained: bool | str = False) -> nn.Sequential:
    """Build the first 19 layers of VGG-19, frozen, in evaluation mode: N,3,H,W -> N,256,H/8,W/8.

    Args:
        pretrained: true: download timm's ``vgg19.tv_in1k``; a path: load the weights from that file.

    Raises:
        SetupError: the weights cannot be downloaded.
        ModelError: the file cannot be read or belongs to another network.
    """
    layers: list[nn.Module] = []
    inside = 3
    for width in _VGG:
        if width:
            layers += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU(inplace=True)]
            inside = width
        else:
            layers.append(nn.MaxPool2d(2))
    features = nn.Sequential(*layers)
    if isinstance(pretrained, str):
        load_imagenet(features, pretrained, IMAGENET)
    elif pretrained:
        whole = timm_network("vgg19", "vgg19.tv_in1k", True, IMAGENET)
        features.load_state_dict(cast("nn.Sequential", whole.features)[: len(layers)].state_dict())
    else:
        for module in features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return features.requires_grad_(False).eval()


def _capsule() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(256, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Statistics(),
        nn.Conv1d(2, 8, 5, stride=2, padding=2),
        nn.BatchNorm1d(8),
        nn.Conv1d(8, 1, 3, padding=1),
        nn.BatchNorm1d(1),
        nn.Flatten(),
    )
