"""The frozen diffusion model: autoencoder, noise prediction, empty prompt, noise schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError
from dfbench.io import data_sha256
from reference_models.diffusionfake.folder import TINY, check_folder, require_diffusers, size_multiple

_TINY_SEED = 0
_SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
"""Of Stable Diffusion 1.5, for the tiny model; 1000 steps."""


@dataclass(frozen=True)
class Residuals:
    """What the guide adds to the UNet.

    Attributes:
        skips: to the outputs of its encoder that its decoder reads, 12 for Stable Diffusion 1.5.
        middle: to the output of its middle block.
    """

    skips: tuple[Tensor, ...]
    middle: Tensor


class FrozenDiffusion:
    """A diffusion model that is used and never trained.

    It is no ``nn.Module``, so that no training step that holds it trains or stores it.

    Args:
        unet: ``UNet2DConditionModel`` of diffusers that predicts the noise.
        vae: ``AutoencoderKL`` of diffusers.
        prompt: embedding of the empty prompt, (1, L, D).
        scheduler: ``DDPMScheduler`` of diffusers.

    Attributes:
        sha256: over all weights and the prompt, as they were when the object was made.
    """

    def __init__(self, unet: nn.Module, vae: nn.Module, prompt: Tensor, scheduler: Any) -> None:
        self.unet: Any = unet.requires_grad_(False).eval()
        self.vae: Any = vae.requires_grad_(False).eval()
        self.prompt = prompt.detach()
        self.scheduler = scheduler
        self.sha256 = self.hash()

    @property
    def width(self) -> int:
        """Channels of the UNet's first map: 320 for Stable Diffusion 1.5."""
        return int(self.unet.config.block_out_channels[0])

    @property
    def multiple(self) -> int:
        """Sides of images must be multiples of this: 64 for Stable Diffusion 1.5."""
        return size_multiple(len(self.vae.config.block_out_channels), len(self.unet.config.block_out_channels))

    @property
    def times(self) -> int:
        """Number of times of the noise schedule."""
        return int(self.scheduler.config.num_train_timesteps)

    def apply(self, function: Callable[[Tensor], Tensor]) -> None:
        """Apply a function to all tensors, such as a move to a device."""
        self.unet._apply(function)
        self.vae._apply(function)
        self.prompt = function(self.prompt)

    def hash(self) -> str:
        """Return the SHA-256 over all weights and the prompt, as they are now."""
        return data_sha256(self._contents())

    def check_unchanged(self) -> None:
        """Check that the weights are those that the object was made with.

        Raises:
            ModelError: they are not.
        """
        if self.hash() != self.sha256:
            raise ModelError(
                "the weights of the frozen diffusion model have changed during the training",
                "a detector or a hook must not write to them: train again without it",
            )

    def latents(self, images: Tensor, size: int) -> Tensor:
        """Encode images: the mean of the autoencoder's posterior times its scaling factor, in float32.

        Args:
            images: (N, 3, S, S), RGB in [0,1].
            size: side in pixels that they are resized to.

        Returns:
            (N, 4, size / 8, size / 8) for Stable Diffusion 1.5.
        """
        if images.shape[2:] != (size, size):
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return posterior_mean(self.vae, images) * float(self.vae.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents to images, (N, 3, S, S), RGB in [0,1]."""
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            images: Tensor = self.vae.decode(latents.float() / float(self.vae.config.scaling_factor)).sample
        return (images / 2 + 0.5).clamp(0, 1)

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Add noise to latents at times of the schedule, int64 (N,)."""
        noised: Tensor = self.scheduler.add_noise(latents, noise, times)
        return noised

    def prompts(self, count: int) -> Tensor:
        """Return the embedding of the empty prompt for a batch, (N, L, D)."""
        return self.prompt.expand(count, -1, -1)

    def predict(self, noisy: Tensor, times: Tensor, residuals: Residuals | None = None) -> Tensor:
        """Predict the noise in latents; its gradient reaches the residuals through the UNet's decoder alone.

        Args:
            noisy: (N, 4, h, w).
            times: int64 (N,).
            residuals: what the guide adds; None: nothing.
        """
        added: dict[str, Any] = {}
        if residuals is not None:
            added = {
                "down_block_additional_residuals": residuals.skips,
                "mid_block_additional_residual": residuals.middle,
            }
        predicted: Tensor = self.unet(noisy, times, encoder_hidden_states=self.prompts(len(noisy)), **added).sample
        return predicted

    def _contents(self) -> Iterator[bytes]:
        for part in (self.unet, self.vae):
            yield from _weights(part)
        yield self.prompt.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _weights(part: nn.Module) -> Iterator[bytes]:
    for name, tensor in sorted(part.state_dict().items()):
        yield name.encode()
        yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def weights_sha256(part: nn.Module) -> str:
    """Return the SHA-256 over the names and values of all tensors of a network."""
    return data_sha256(_weights(part))


def posterior_mean(vae: Any, images: Tensor) -> Tensor:
    """Return the mean of an autoencoder's posterior, in float32 and without a gradient.

    Args:
        vae: ``AutoencoderKL`` of diffusers.
        images: (N, 3, S, S), RGB in [0,1].
    """
    # float32 under mixed precision as well: it is the target of the reconstruction.
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        mean: Tensor = vae.encode(images.float() * 2 - 1).latent_dist.mean
    return mean


def load_diffusion(sd: str, version: str = "1.5") -> FrozenDiffusion:
    """Load a diffusion model from a folder; nothing is downloaded.

    Args:
        sd: the folder in the layout of diffusers, or ``tiny``: a small network with random weights.
        version: see :func:`reference_models.diffusionfake.folder.check_folder`.

    Raises:
        UsageError: there is no such folder.
        ModelError: it holds another model, or the files cannot be read.
        SetupError: diffusers or transformers is not installed.
    """
    require_diffusers()
    if sd == TINY:
        return tiny_diffusion()
    check_folder(sd, version)
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

    usual: dict[str, Any] = {"local_files_only": True}
    with _as_model_error(sd):
        weights = usual | {"torch_dtype": torch.float32, "use_safetensors": True}
        unet = UNet2DConditionModel.from_pretrained(sd, subfolder="unet", **weights)
        vae = AutoencoderKL.from_pretrained(sd, subfolder="vae", **weights)
        scheduler = DDPMScheduler.from_pretrained(sd, subfolder="scheduler", **usual)
        prompt = empty_prompt(Path(sd))
    return FrozenDiffusion(unet, vae, prompt, scheduler)


def load_autoencoder(sd: str, version: str = "1.5") -> nn.Module:
    """Load the autoencoder of a diffusion model alone; see :func:`load_diffusion`."""
    require_diffusers()
    if sd == TINY:
        return cast("nn.Module", tiny_diffusion().vae)
    check_folder(sd, version)
    from diffusers import AutoencoderKL

    with _as_model_error(sd):
        vae = AutoencoderKL.from_pretrained(
            sd, subfolder="vae", local_files_only=True, torch_dtype=torch.float32, use_safetensors=True
        )
    return cast("nn.Module", vae.requires_grad_(False).eval())


@contextmanager
def _as_model_error(sd: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"the diffusion model in {sd} cannot be loaded: {error}",
            "use an unchanged folder that diffusers wrote, with weights as *.safetensors",
        ) from error


def empty_prompt(folder: Path) -> Tensor:
    """Return the embedding of the empty prompt by the text encoder of a folder, float32 (1, L, D)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", local_files_only=True, use_safetensors=True)
    tokens = tokenizer(
        "", padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        embedding: Tensor = encoder.float().eval()(tokens.input_ids)[0]
    return embedding


def tiny_diffusion() -> FrozenDiffusion:
    """Return a small diffusion model with random weights that are the same at every call.

    Its latents have an eighth of the side of the images, as those of Stable Diffusion; images must be multiples of 16.
    """
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_TINY_SEED)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=8,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        vae = AutoencoderKL(
            block_out_channels=(4, 4, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=64,
        )
        prompt = torch.randn(1, 4, 8)
    return FrozenDiffusion(unet, vae, prompt, DDPMScheduler(**_SCHEDULE))
