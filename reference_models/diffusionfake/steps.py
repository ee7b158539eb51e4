"""The steps of DiffusionFake: the detector's loss, two reconstructions by a frozen diffusion model, two weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from dfbench.errors import DataError, ModelError
from dfbench.explain import captured_outputs
from dfbench.training import Batch, StepResult, supervised_step
from reference_models.diffusionfake.branches import Branch, Guide
from reference_models.diffusionfake.diffusion import FrozenDiffusion, Residuals, load_diffusion
from reference_models.diffusionfake.features import find_feature_map
from reference_models.diffusionfake.folder import check_size

FACES = ("source", "target")


@dataclass(frozen=True)
class LossWeights:
    """Factors of the losses; that of the detector has the factor 1.

    Attributes:
        source: of the reconstruction of the source.
        target: of that of the target.
        similarity: of each weight network's squared error.
    """

    source: float
    target: float
    similarity: float = 1.0


LOSSES = {"paper": LossWeights(0.7, 1.0), "code": LossWeights(1.0, 1.0)}


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the detector's features say about a batch; the source of all images comes first, then their target.

    Attributes:
        hints: (2N, width, h, w).
        weights: (2N,), in (0,1).
    """

    hints: Tensor
    weights: Tensor


class DiffusionFake(nn.Module):
    """The steps of one training. The diffusion model is neither trained nor stored.

    Args:
        detector: any detector with a last feature map.
        sd: folder of the diffusion model, or ``tiny``.
        version: ``1.5``, or ``any`` diffusion model whose parts fit together.
        size: side in pixels of the images that are reconstructed.
        losses: ``paper`` or ``code``, see :data:`LOSSES`.
        filter: with the feature filters.
        weight: with the weight networks.
        guide: first weights of the guide: ``pretrained`` or ``random``.
        keep: store the trained parts beside the weights of the detector.

    Raises:
        ModelError: the detector has no last feature map, or the diffusion model cannot be used.
        UsageError: there is no such folder, or the size does not fit the model.
        SetupError: diffusers is not installed.
    """

    def __init__(
        self,
        detector: nn.Module,
        *,
        sd: str,
        version: str = "1.5",
        size: int = 256,
        losses: str = "paper",
        filter: bool = True,
        weight: bool = True,
        guide: str = "pretrained",
        keep: bool = False,
    ) -> None:
        super().__init__()
        self.feature_map = find_feature_map(detector)
        self.diffusion: FrozenDiffusion = load_diffusion(sd, version)
        check_size(size, self.diffusion.multiple)
        self.size, self.losses = size, LOSSES[losses]
        channels, width = self.feature_map.channels, self.diffusion.width
        self.branches = nn.ModuleDict(
            {face: Branch(channels, width, filtered=filter, weighted=weight) for face in FACES}
        )
        self.guide = Guide(self.diffusion, pretrained=guide == "pretrained")
        self.weighted, self.keep = weight, keep

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DiffusionFake:
        """Move the diffusion model along with the trained parts."""
        self.diffusion.apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def get_extra_state(self) -> str:
        """Return the hash of the diffusion model, which is stored in its place."""
        return self.diffusion.sha256

    def set_extra_state(self, state: Any) -> None:
        """Check that a stored training used the same diffusion model.

        Raises:
            ModelError: it used another one.
        """
        if state != self.diffusion.sha256:
            raise ModelError(
                "the interrupted training used another diffusion model than the one in the folder now",
                "pass the former folder with --method-option sd=DIR, or begin anew: --out FILE",
            )

    def record(self) -> dict[str, Any]:
        """Return what the card tells of the diffusion model."""
        return {"diffusion_sha256": self.diffusion.sha256}

    def trained(self) -> nn.ModuleDict:
        """Return the trained parts: branches and guide."""
        return nn.ModuleDict({"branches": self.branches, "guide": self.guide})

    def kept_weights(self) -> Mapping[str, Tensor]:
        """Return the weights of the trained parts where they are to be kept."""
        return self.trained().state_dict() if self.keep else {}

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Check that the frozen weights are unchanged."""
        self.diffusion.check_unchanged()

    def after_backward(self, detector: nn.Module) -> None:
        """Do nothing."""

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Return the sum of all losses of a batch.

        Raises:
            DataError: the batch has no source and target images, or no similarities.
        """
        faces = torch.cat([_other(batch, face) for face in FACES])
        with captured_outputs(detector, self.feature_map.module) as outputs:
            result = supervised_step(detector, batch)
        features = self.feature_map.of(outputs[-1])
        latents = self.diffusion.latents(faces, self.size)
        guidance = self.guidance(features, (int(latents.shape[2]), int(latents.shape[3])))
        source, target = self.reconstruction_losses(latents, guidance)
        loss = result.loss + self.losses.source * source + self.losses.target * target
        if self.weighted:
            known = torch.stack([_other(batch, f"{face}_similarity").float() for face in FACES])
            errors = (guidance.weights.float() - known.flatten()).square()
            loss = loss + self.losses.similarity * 2 * errors.mean()  # the sum of the two branches' means
        return replace(result, loss=loss)

    def reconstruction_losses(self, latents: Tensor, guidance: Guidance) -> tuple[Tensor, Tensor]:
        """Return the mean squared errors of the noise that is predicted for sources and targets.

        Both have the same noise and the same times, which are drawn from torch's global generator.

        Args:
            latents: of the sources, then of the targets, (2N, 4, h, w).
            guidance: of the same images.
        """
        count, device = len(latents) // 2, latents.device
        # Drawn on the CPU, so that they do not depend on the device.
        noise = torch.randn(count, *latents.shape[1:]).to(device).repeat(2, 1, 1, 1)
        times = torch.randint(self.diffusion.times, (count,)).to(device).repeat(2)
        predicted = self.predict(self.diffusion.noisy(latents, noise, times), times, guidance)
        errors = (predicted.float() - noise).square().flatten(1).mean(1)
        return errors[:count].mean(), errors[count:].mean()

    def guidance(self, features: Tensor, size: tuple[int, int]) -> Guidance:
        """Return what guides the reconstructions of a batch.

        Args:
            features: the detector's last map, (N, C, h, w).
            size: height and width of the latents.
        """
        branches = [cast("Branch", self.branches[face]) for face in FACES]
        hints = torch.cat([branch.hint(features, size) for branch in branches])
        return Guidance(hints, torch.cat([branch.weights(features) for branch in branches]))

    def predict(self, noisy: Tensor, times: Tensor, guidance: Guidance) -> Tensor:
        """Predict the noise in latents (2N, 4, h, w) at times (2N,)."""
        prompts = self.diffusion.prompts(len(noisy))
        added: Residuals = self.guide(noisy, times, prompts, guidance.hints, guidance.weights)
        return self.diffusion.predict(noisy, times, added)


def _other(batch: Batch, name: str) -> Tensor:
    if name not in batch.others:
        raise DataError(
            f"the method diffusionfake needs {name.replace('_', ' ')} of every training image, and the batch has none",
            "prepare a manifest with frames of source and target: docs/diffusionfake.md",
        )
    return batch.others[name]
