"""GRnet: RGB and guided residual, a ResNet-18 for each, fused by attention (arXiv 2205.00753, Fig. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfbench.errors import UsageError
from reference_models.backbones import feature_network, get_backbone
from reference_models.common import Normalize, check_images, cross_entropy
from reference_models.grnet.fusion import ALPHA_FORMS, FUSIONS, fuse, stream_weights
from reference_models.grnet.residual import GUIDES, guided_residual

SMALLEST = 32

CHOICES: dict[str, tuple[str, ...]] = {
    "guide": GUIDES,
    "residual_norm": ("imagenet", "batch", "none"),
    "residual_at": ("after", "before"),
    "afm_at": ("map", "vector"),
    "alpha_update": ("epoch", "batch", "fixed"),
    "alpha_form": tuple(ALPHA_FORMS),
    "fusion": FUSIONS,
    "streams": ("both", "rgb-twice", "rgb", "residual"),
}


@dataclass(frozen=True)
class GRnetOutput:
    """What GRnet returns.

    Attributes:
        logits: N,C of the fused head.
        rgb_logits: N,C of the spatial stream's head; None without stream heads.
        residual_logits: N,C of the second stream's head; None without stream heads.
        residual: N,3,H,W, the guided residual before normalisation, at least 0; None if no stream uses it.
    """

    logits: Tensor
    rgb_logits: Tensor | None
    residual_logits: Tensor | None
    residual: Tensor | None


class GRnet(nn.Module):
    """Two streams with separate weights over RGB and its guided residual.

    With several GPUs the stream weights follow the losses on the first device.

    Args:
        num_classes: outputs of each head; 1 gives one logit.
        image_size: ignored; any size of at least 32 pixels works.
        radius: the guided filter's window radius in pixels.
        eps: the guided filter's regularisation, on the [0,1] range.
        guide: ``channel``, every RGB channel guides itself; ``color``, all three guide each; ``gray``, the luma.
        gain: factor on the residual.
        residual_norm: normalisation of the residual: ``imagenet``, like RGB; ``batch``, by the mean and variance of the
            batch, at inference their running averages (a batch normalisation without learned parameters); ``none``.
        residual_at: compute the residual ``after`` the geometric augmentation, or ``before`` it and augment it along
            with the image.
        afm_at: fuse the last feature ``map``, or the pooled ``vector``.
        afm_scale: divide the dot products of the attention by the square root of the number of positions.
        afm_residual: add the features to those that the attention has mixed.
        alpha_update: update the stream weights from the mean losses of each ``epoch``, from those of the previous
            ``batch``, or keep them ``fixed`` at one half each.
        alpha_form: how weights are computed from losses, see :func:`reference_models.grnet.stream_weights`.
        w_aux: weight of the two stream losses; with 0 the stream heads are trained on detached features.
        backbone: of both streams, see :data:`reference_models.backbones.BACKBONES`.
        fusion: ``afm``, or one of the alternatives of Table III.
        streams: ``both``; ``rgb-twice`` for the ablation without the residual (Table I); ``rgb`` or ``residual`` for
            one stream alone, with one head.
        stream_heads: whether each stream has its own head and loss, which adaptive stream weights need.
        pretrained: true: download ImageNet weights for the streams; a path: load them from that file.
    """

    alpha: Tensor
    loss_sums: Tensor

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        radius: int = 2,
        eps: float = 0.01,
        guide: str = "channel",
        gain: float = 1.0,
        residual_norm: str = "imagenet",
        residual_at: str = "after",
        afm_at: str = "map",
        afm_scale: bool = True,
        afm_residual: bool = True,
        alpha_update: str = "epoch",
        alpha_form: str = "softmax",
        w_aux: float = 1.0,
        backbone: str = "resnet18",
        fusion: str = "afm",
        streams: str = "both",
        stream_heads: bool = True,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        del image_size  # fully convolutional up to the pooling
        chosen = {"guide": guide, "residual_at": residual_at, "afm_at": afm_at, "alpha_update": alpha_update}
        chosen |= {"residual_norm": residual_norm, "alpha_form": alpha_form, "fusion": fusion, "streams": streams}
        _check_choices(chosen)
        _check_numbers(radius, eps, gain, w_aux)
        single = streams in ("rgb", "residual")
        if not stream_heads and not single and fusion == "afm" and alpha_update != "fixed":
            raise UsageError(
                "grnet's stream weights need the losses of the stream heads, but stream_heads=false removes them",
                "set alpha_update=fixed, or a fusion other than afm, or stream_heads=true",
            )
        self.radius, self.eps, self.guide, self.gain = radius, eps, guide, gain
        self.residual_norm, self.residual_at, self.afm_at = residual_norm, residual_at, afm_at
        self.afm_scale, self.afm_residual = afm_scale, afm_residual
        self.alpha_update, self.alpha_form, self.w_aux = alpha_update, alpha_form, w_aux
        self.fusion, self.streams, self.stream_heads = fusion, streams, stream_heads and not single
        self.normalize = Normalize(get_backbone(backbone).mean, get_backbone(backbone).std)
        if residual_norm == "batch" and self._uses_residual:
            self.residual_statistics = nn.BatchNorm2d(3, eps=1e-7, affine=False)  # variances are near 1e-4
        for name in _stream_names(streams):
            network, features = feature_network(backbone, pretrained)
            self.add_module(name, network)
            if self.stream_heads:
                self.add_module(f"{name}_head", nn.Linear(features, num_classes))
        width = len(_stream_names(streams)) * features if fusion == "concat" else features
        self.head = nn.Linear(width, num_classes)
        self.register_buffer("alpha", torch.full((len(_stream_names(streams)),), 1.0 / len(_stream_names(streams))))
        # Sums of the two stream losses since the last update of the weights, and the number of samples.
        self.register_buffer("loss_sums", torch.zeros(3, dtype=torch.float64), persistent=False)

    def before_augmentation(self, images: Tensor) -> Tensor:
        """Return the input of the augmentation: N,3,H,W in [0,1] -> same, or N,6,H,W with ``residual_at="before"``."""
        if self.residual_at == "after" or not self._uses_residual:
            return images
        return torch.cat((images, self._residual_of(images).to(images.dtype)), dim=1)

    def forward(self, images: Tensor) -> GRnetOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> :class:`GRnetOutput`.

        Images that :meth:`before_augmentation` concatenated with their residual have the shape N,6,H,W.
        """
        residual: Tensor | None = None
        if self.residual_at == "before" and images.ndim == 4 and images.shape[1] == 6:
            images, residual = images[:, :3], images[:, 3:]
        check_images(images, SMALLEST)
        if residual is None and self._uses_residual:
            residual = self._residual_of(images)
        if self.training and self.alpha_update == "batch":
            self._update_alpha()
        inputs = self._inputs(images, residual)
        maps = [self.get_submodule(name)(inputs[name]) for name in inputs]
        pooled = [_pool(m) for m in maps]
        if self.afm_at == "vector":
            maps = [vector[:, :, None, None] for vector in pooled]
        alpha = self.alpha.clone()  # a later batch may change it before backward
        fused = _pool(fuse(maps, self.fusion, alpha, scale=self.afm_scale, residual=self.afm_residual))
        rgb_logits, residual_logits = self._stream_logits(pooled)
        return GRnetOutput(self.head(fused), rgb_logits, residual_logits, residual)

    def loss(self, output: GRnetOutput, targets: Tensor) -> Tensor:
        """Return the cross-entropy of the fused head plus ``w_aux`` times those of the streams, and record the latter.

        With ``w_aux = 0`` the stream heads are still trained (weight 1), but on detached features.
        """
        fused = cross_entropy(output.logits, targets)
        if output.rgb_logits is None or output.residual_logits is None:
            return fused
        streams = torch.stack([cross_entropy(x, targets) for x in (output.rgb_logits, output.residual_logits)])
        if self.training:
            self.loss_sums[:2] += streams.detach().double() * len(targets)
            self.loss_sums[2] += len(targets)
        return fused + (self.w_aux or 1.0) * streams.sum()

    def start_epoch(self, epoch: int) -> None:
        """Reset the sums of losses."""
        del epoch
        self.loss_sums.zero_()

    def end_epoch(self, epoch: int) -> None:
        """Set the stream weights from the mean training losses of the epoch (or of its last batch)."""
        del epoch
        if self.alpha_update != "fixed":
            self._update_alpha()

    @property
    def _uses_residual(self) -> bool:
        return self.streams in ("both", "residual")

    def _residual_of(self, images: Tensor) -> Tensor:
        return guided_residual(images, self.radius, self.eps, self.gain, self.guide)

    def _inputs(self, images: Tensor, residual: Tensor | None) -> dict[str, Tensor]:
        """Return the input of each stream by its name."""
        inputs: dict[str, Tensor] = {}
        if self.streams != "residual":
            inputs["rgb"] = self.normalize(images)
        if residual is not None:
            inputs["residual"] = self._normalized(residual.to(images.dtype))
        elif self.streams == "rgb-twice":
            inputs["residual"] = inputs["rgb"]
        return inputs

    def _normalized(self, residual: Tensor) -> Tensor:
        if self.residual_norm == "none":
            return residual
        normalize = self.normalize if self.residual_norm == "imagenet" else self.residual_statistics
        normalized: Tensor = normalize(residual)
        return normalized

    def _stream_logits(self, pooled: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        if not self.stream_heads:
            return None, None
        rgb, residual = (vector.detach() if self.w_aux == 0 else vector for vector in pooled)
        return self.get_submodule("rgb_head")(rgb), self.get_submodule("residual_head")(residual)

    def _update_alpha(self) -> None:
        if self.loss_sums[2] > 0:
            self.alpha.copy_(stream_weights(self.loss_sums[:2] / self.loss_sums[2], self.alpha_form))
            self.loss_sums.zero_()


def _stream_names(streams: str) -> tuple[str, ...]:
    """Return the names of the streams."""
    return (streams,) if streams in ("rgb", "residual") else ("rgb", "residual")


def _check_choices(chosen: dict[str, str]) -> None:
    for option, value in chosen.items():
        if value not in CHOICES[option]:
            raise UsageError(
                f"invalid value {value!r} of the option {option} of grnet", f"choose from: {', '.join(CHOICES[option])}"
            )


def _check_numbers(radius: int, eps: float, gain: float, w_aux: float) -> None:
    if radius < 1 or eps <= 0 or gain <= 0 or w_aux < 0:
        raise UsageError(
            f"grnet needs radius >= 1, eps > 0, gain > 0 and w_aux >= 0, got {radius}, {eps}, {gain} and {w_aux}",
            "the defaults are 2, 0.01, 1.0 and 1.0",
        )


def _pool(maps: Tensor) -> Tensor:
    """Global average pooling: N,C,H,W -> N,C."""
    return maps.mean(dim=(2, 3))
