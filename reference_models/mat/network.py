"""MAT, the multi-attentional network (CVPR 2021): EfficientNet-B4, attention maps, textures pooled by them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import UsageError
from reference_models.common import check_images, cross_entropy, make_normalization, timm_network
from reference_models.efficientnet.network import fix_padding
from reference_models.efficientnet.spec import IMAGENET
from reference_models.mat.attention import AttentionModule, attention_average, bilinear_attention_pooling
from reference_models.mat.degradation import choose_maps, degrade
from reference_models.mat.independence import Margins, RegionalIndependence
from reference_models.mat.texture import TextureEnhancement

SMALLEST = 96
WIDTH = 256
MAP_DROPOUT = 0.25
FINAL_DROPOUT = 0.5

CHOICES: dict[str, tuple[str, ...]] = {
    "attention": ("released", "paper"),
    "attention_layer": ("b4", "b5"),
    "texture": ("v2", "v1"),
    "texture_layer": ("b1", "b2", "b3"),
    "padding": ("fixed", "same"),
    "independence": ("v2", "v1"),
    "agda": ("soft", "linear", "none"),
}

_FIXED = {
    "conv_stem": (0, 1),
    "blocks.1.0.conv_dw": (0, 1),
    "blocks.2.0.conv_dw": (1, 2),
    "blocks.3.0.conv_dw": (0, 1),
    "blocks.5.0.conv_dw": (1, 2),
}
"""Padding (before, after) of the convolutions of stride 2, each computed as if its input had 380 pixels."""


@dataclass(frozen=True)
class MATOutput:
    """What MAT returns. In the first phase of a training there are logits alone, those of the backbone's head.

    Attributes:
        logits: N,C.
        attention: N,M,h,w, the attention maps, at least 0; h is 23 at 380 pixels.
        regions: N,M,K, a vector of length 1 for every map: averages of the shallow features, pooled by it.
        backbone_logits: N,C of the backbone's own head, between epochs of the first phase; else None.
        chosen: int64 (N,), the map by which each image was degraded (AGDA); None outside training.
        degraded_logits: N,C of the degraded images; None outside training.
        degraded_regions: N,M,K of the degraded images; None outside training.
    """

    logits: Tensor
    attention: Tensor | None = None
    regions: Tensor | None = None
    backbone_logits: Tensor | None = None
    chosen: Tensor | None = None
    degraded_logits: Tensor | None = None
    degraded_regions: Tensor | None = None


@dataclass(frozen=True)
class _Scored:
    logits: Tensor
    attention: Tensor
    regions: Tensor
    final: Tensor


class MAT(nn.Module):
    """Attention maps pool textures from a shallow feature map and semantics from the last one.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; any size of at least 96 pixels works, 380 was published.
        attention: attention module, ``released`` or ``paper``, see
            :class:`reference_models.mat.attention.AttentionModule`.
        attention_layer: stage of the backbone that the attention maps are made from: ``b4`` or ``b5``.
        texture: texture enhancement, ``v2`` or ``v1``, see :class:`reference_models.mat.texture.TextureEnhancement`.
        texture_layer: stage of the backbone that the textures are taken from: ``b1``, ``b2`` or ``b3``.
        maps: number of attention maps.
        padding: ``fixed``: every layer of stride 2 is padded as if its input had 380 pixels, as in the authors'
            program; ``same``: TensorFlow's padding.
        independence: form of the regional independence loss, ``v2`` or ``v1``, see
            :func:`reference_models.mat.independence.regional_independence`.
        margin: least distance of two feature centres.
        inner_margin_real: largest distance of the features of a real image from the centres.
        inner_margin_fake: the same for fakes; with ``v2`` a negative one is the least distance.
        squared_distances: square these distances.
        alpha: rate of the feature centres, in (0, 1].
        alpha_decay: factor on it after every epoch of the second phase.
        w_independence: weight of the regional independence loss.
        agda: attention-guided data augmentation, see :func:`reference_models.mat.degradation.degrade`: ``soft``,
            ``linear`` or ``none``.
        agda_scale: factor on the size of degraded images.
        agda_noise: standard deviation of their noise, on the scale of normalised images.
        agda_centres: whether the features of the degraded images move the centres a second time.
        w_agda: weight of the cross-entropy of the degraded images.
        w_match: weight of the distance between the features of an image and those of its degraded version.
        backbone_epochs: number of initial epochs, the first phase, in which the backbone is trained alone, with a head
            of its own. Not supported with several devices, where every parameter must receive a gradient.
        normalization: of the images, ``none``, ``half`` (to [-1,1], as published) or ``imagenet``.
        float32_scores: compute in float32 in evaluation mode, under mixed precision as well.
        pretrained: true: download ImageNet weights of the backbone; a path: load them, or weights of the detector
            ``efficientnet-b4``, from that file.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        attention: str = "released",
        attention_layer: str = "b5",
        texture: str = "v2",
        texture_layer: str = "b2",
        maps: int = 4,
        padding: str = "fixed",
        independence: str = "v2",
        margin: float = 0.8,
        inner_margin_real: float = 0.2,
        inner_margin_fake: float = -0.8,
        squared_distances: bool = False,
        alpha: float = 0.05,
        alpha_decay: float = 0.9,
        w_independence: float = 0.5,
        agda: str = "soft",
        agda_scale: float = 0.5,
        agda_noise: float = 0.1,
        agda_centres: bool = True,
        w_agda: float = 1.0,
        w_match: float = 0.1,
        backbone_epochs: int = 0,
        normalization: str = "half",
        float32_scores: bool = True,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        del image_size  # the maps are pooled, whatever their size
        _check_choices(
            {"attention": attention, "attention_layer": attention_layer, "texture": texture, "agda": agda}
            | {"texture_layer": texture_layer, "padding": padding, "independence": independence}
        )
        _check_numbers({"maps": maps, "alpha": alpha, "alpha_decay": alpha_decay, "agda_scale": agda_scale})
        _check_weights(
            {"w_independence": w_independence, "w_agda": w_agda, "w_match": w_match, "agda_noise": agda_noise}
            | {"margin": margin, "backbone_epochs": backbone_epochs}
        )
        if independence == "v1" and inner_margin_fake < 0:
            raise UsageError(
                f"independence=v1 needs inner_margin_fake of at least 0, not {inner_margin_fake}",
                "the paper has 0.1; or choose independence=v2",
            )
        self.attention_stage, self.texture_stage = (int(layer[1:]) for layer in (attention_layer, texture_layer))
        self.alpha_decay, self.w_independence = alpha_decay, w_independence
        self.agda, self.agda_scale, self.agda_noise, self.agda_centres = agda, agda_scale, agda_noise, agda_centres
        self.w_agda, self.w_match = w_agda, w_match
        self.backbone_epochs, self.float32_scores = backbone_epochs, float32_scores
        self.first_phase = False
        self.normalize = make_normalization(normalization)
        self.backbone = timm_network(
            "tf_efficientnet_b4",
            "tf_efficientnet_b4.ap_in1k",
            pretrained,
            IMAGENET,
            head="classifier",
            normalization=normalization,
            num_classes=num_classes,
            drop_rate=0.0,
            drop_path_rate=0.2,
        )
        if padding == "fixed":
            for name, sides in _FIXED.items():
                fix_padding(self.backbone, name, sides)
        head = cast("nn.Linear", self.backbone.get_submodule("classifier"))
        head.reset_parameters()  # timm's are meant for a thousand classes
        head.requires_grad_(backbone_epochs > 0)
        shallow = self._channels(self.texture_stage)
        self.attention = AttentionModule(self._channels(self.attention_stage), maps, attention)
        self.texture = TextureEnhancement(shallow, maps, texture)
        self.local = nn.Sequential(
            nn.Linear(maps * self.texture.channels, WIDTH), nn.Hardswish(), nn.Linear(WIDTH, WIDTH)
        )
        self.semantic = nn.Linear(head.in_features, WIDTH)
        self.classifier = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.Hardswish(), nn.Linear(WIDTH, num_classes))
        margins = Margins(margin, inner_margin_real, inner_margin_fake, squared_distances)
        self.independence = RegionalIndependence(maps, shallow, alpha, margins, independence)

    def forward(self, images: Tensor) -> MATOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 96 -> :class:`MATOutput`."""
        check_images(images, SMALLEST)
        inputs = self.normalize(images)
        if not self.training:
            with torch.autocast(images.device.type, enabled=False) if self.float32_scores else nullcontext():
                found = self._scored(inputs)
                head = self._head_of_backbone(found.final) if self.first_phase else None
            return MATOutput(found.logits, found.attention, found.regions, head)
        if self.first_phase:
            return MATOutput(self._head_of_backbone(self._features(inputs)[2]))
        found = self._scored(inputs)
        if self.agda == "none":
            return MATOutput(found.logits, found.attention, found.regions)
        attention = found.attention.detach()
        chosen = choose_maps(attention)
        degraded = self._scored(
            degrade(inputs.detach(), attention, chosen, self.agda, self.agda_scale, self.agda_noise)
        )
        return MATOutput(
            found.logits,
            found.attention,
            found.regions,
            chosen=chosen,
            degraded_logits=degraded.logits,
            degraded_regions=degraded.regions,
        )

    def loss(self, output: MATOutput, targets: Tensor) -> Tensor:
        """Return the cross-entropy, plus the weighted regional independence loss and the losses of degraded images.

        In training mode the feature centres move: by the features of the images, then by those of the degraded ones.
        """
        total = cross_entropy(output.logits, targets)
        if output.regions is None:
            return total
        fake = targets != 0
        regional: Tensor = self.independence(output.regions, fake)
        total = total + self.w_independence * regional
        if output.chosen is None or output.degraded_logits is None or output.degraded_regions is None:
            return total
        if self.agda_centres:
            with torch.no_grad():
                self.independence(output.degraded_regions, fake)
        total = total + self.w_agda * cross_entropy(output.degraded_logits, targets)
        return total + self.w_match * match_loss(output.regions, output.degraded_regions, output.chosen)

    def start_epoch(self, epoch: int) -> None:
        """Begin the first or the second phase; the backbone's own head learns in the first one alone."""
        self.first_phase = epoch < self.backbone_epochs
        self.backbone.get_submodule("classifier").requires_grad_(self.first_phase)

    def end_epoch(self, epoch: int) -> None:
        """In the second phase, lower the rate of the feature centres."""
        if epoch >= self.backbone_epochs:
            self.independence.decay(self.alpha_decay)

    def _channels(self, stage: int) -> int:
        """Return the width of a stage of the backbone, counted from 1."""
        layers = self.backbone.get_submodule(f"blocks.{stage - 1}").modules()
        return [layer.num_features for layer in layers if isinstance(layer, nn.BatchNorm2d)][-1]

    def _features(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps for textures and for attention, and the last one."""
        part = self.backbone.get_submodule
        x = part("bn1")(part("conv_stem")(inputs))
        stages: list[Tensor] = []
        for stage in cast("nn.Sequential", part("blocks")):
            x = stage(x)
            stages.append(x)
        final: Tensor = part("bn2")(part("conv_head")(x))
        return stages[self.texture_stage - 1], stages[self.attention_stage - 1], final

    def _head_of_backbone(self, final: Tensor) -> Tensor:
        logits: Tensor = self.backbone.get_submodule("classifier")(final.mean(dim=(2, 3)))
        return logits

    def _scored(self, inputs: Tensor) -> _Scored:
        """Normalised images -> logits, maps and vectors. Dropout leaves out whole maps, the same in both branches."""
        shallow, deep, final = self._features(inputs)
        attention = self.attention(deep)
        textures, averages = self.texture(shallow, attention)
        with torch.autocast(inputs.device.type, enabled=False):  # sums over thousands of positions
            maps = _at_least_float32(attention)
            kept = F.dropout(maps.new_ones(maps.shape[:2]), MAP_DROPOUT, self.training)
            averages = _at_least_float32(averages)
            spread = averages.std(dim=(2, 3), keepdim=True)
            averages = (averages - averages.mean(dim=(2, 3), keepdim=True)) / (spread + 1e-8)
            regions = bilinear_attention_pooling(averages, maps)
            local = bilinear_attention_pooling(_at_least_float32(textures), maps) * kept[:, :, None]
            average = attention_average(_at_least_float32(final), maps * kept[:, :, None, None])
        parts = F.hardswish(self.local(local.flatten(1)))
        semantic = F.hardswish(self.semantic(F.dropout(average, FINAL_DROPOUT, self.training)))
        return _Scored(self.classifier(torch.cat((parts, semantic), dim=1)), attention, regions, final)


def match_loss(regions: Tensor, degraded: Tensor, chosen: Tensor) -> Tensor:
    """Return the distance between the vectors of images and of degraded images, but for the maps that degraded them.

    Args:
        regions: N,M,K.
        degraded: N,M,K.
        chosen: int64 (N,), the map by which each image was degraded.

    Returns:
        The mean over images and maps, of which the chosen ones count as 0.
    """
    others = 1 - F.one_hot(chosen, regions.shape[1]).to(regions.dtype)
    distances: Tensor = torch.linalg.vector_norm(degraded - regions, dim=-1)
    return (distances * others).mean()


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_choices(chosen: Mapping[str, str]) -> None:
    for option, value in chosen.items():
        if value not in CHOICES[option]:
            raise UsageError(
                f"invalid value {value!r} of the option {option} of mat", f"choose from: {', '.join(CHOICES[option])}"
            )


def _check_numbers(values: Mapping[str, float]) -> None:
    for option, value in values.items():
        least, most = (1, 64) if option == "maps" else (0.0, 1.0)
        if not least <= value <= most or value == 0:
            bounds = "from 1 to 64" if option == "maps" else "above 0 and at most 1"
            raise UsageError(f"invalid value {value} of the option {option} of mat", f"it is {bounds}")


def _check_weights(values: Mapping[str, float]) -> None:
    for option, value in values.items():
        if value < 0:
            raise UsageError(f"invalid value {value} of the option {option} of mat", "it is at least 0")
