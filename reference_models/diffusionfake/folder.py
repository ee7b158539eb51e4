"""The folder of a diffusion model in the layout of diffusers: whether it can be used, free of torch and diffusers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dfbench.errors import ModelError, SetupError, UsageError

TINY = "tiny"
"""In place of a folder: a small network with random weights, for tests and trials."""

TINY_MULTIPLE = 16
"""Sides of the images of the small network are multiples of this."""

TIMES = 1000
"""Times of the noise schedule of the small network, and of a folder that does not say."""

VERSIONS = ("1.5", "any")
PARTS = ("unet", "vae", "text_encoder")

_INSTALL = 'pip install "deepfake-dfbench[diffusion]"'
_WANTED = "pass the folder of Stable Diffusion 1.5 in the layout of diffusers: --method-option sd=DIR"
_UNET_15: Mapping[str, Any] = {
    "cross_attention_dim": 768,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "in_channels": 4,
    "out_channels": 4,
}
_FAMILIES = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
"""Cross-attention width of the UNet -> the family of models that has it."""


@dataclass(frozen=True)
class DiffusionConfig:
    """The shapes of a diffusion model.

    Attributes:
        unet: configuration of its UNet.
        vae: of its autoencoder.
        text: of its text encoder.
        scheduler: of its noise schedule.
    """

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    scheduler: Mapping[str, Any]

    @property
    def multiple(self) -> int:
        """Sides of images must be multiples of this: the autoencoder and the UNet halve them at each level."""
        return size_multiple(len(self.vae["block_out_channels"]), len(self.unet["block_out_channels"]))

    @property
    def times(self) -> int:
        """Number of times of the noise schedule."""
        return int(self.scheduler.get("num_train_timesteps", TIMES))


def size_multiple(vae_levels: int, unet_levels: int) -> int:
    """Return what sides of images must be multiples of.

    >>> size_multiple(4, 4)
    64
    """
    return int(2 ** (vae_levels - 1 + unet_levels - 1))


def require_diffusers() -> None:
    """Check that the packages are installed.

    Raises:
        SetupError: they are not.
    """
    missing = [name for name in ("diffusers", "transformers") if find_spec(name) is None]
    if missing:
        raise SetupError(f"the method diffusionfake needs {' and '.join(missing)}, which is not installed", _INSTALL)


def check_folder(path: str, version: str = "1.5") -> DiffusionConfig:
    """Check that a folder holds a diffusion model that the method can use.

    Args:
        path: the folder, with ``unet``, ``vae``, ``text_encoder``, ``tokenizer`` and ``scheduler``.
        version: ``1.5``: the UNet must have the shapes of Stable Diffusion 1.5; ``any``: its parts must fit together.

    Raises:
        UsageError: there is no such folder.
        ModelError: parts are missing, or the model is another one.
    """
    folder = Path(path)
    if not path:
        raise UsageError("the method diffusionfake needs a diffusion model, and none was given", _WANTED)
    if not folder.is_dir():
        said = "is a file" if folder.is_file() else "does not exist"
        raise UsageError(
            f"the folder of the diffusion model {said}: {path}",
            f"{_WANTED}; a single file is converted by diffusers: "
            "StableDiffusionPipeline.from_single_file(FILE).save_pretrained(DIR)",
        )
    for part in PARTS:
        if not any((folder / part).glob("*.safetensors")):
            raise ModelError(f"{folder / part} has no weights (*.safetensors)", _WANTED)
    _check_tokenizer(folder / "tokenizer")
    unet, vae, text = (_config(folder / part / "config.json") for part in PARTS)
    config = DiffusionConfig(unet, vae, text, _config(folder / "scheduler" / "scheduler_config.json"))
    if version == "1.5":
        _check_version(config.unet, path)
    _check_fit(config, path)
    return config


def check_size(size: int, multiple: int) -> None:
    """Check the side of the images that the diffusion model rebuilds.

    Raises:
        UsageError: it is not a multiple of what the networks need.
    """
    if size < multiple or size % multiple:
        raise UsageError(
            f"invalid value {size} of the option size of the method diffusionfake",
            f"pass a multiple of {multiple} pixels: the networks halve the images that often",
        )


def check_steps(steps: int, times: int) -> None:
    """Check a number of sampling steps.

    Args:
        steps: the number.
        times: of the noise schedule.

    Raises:
        UsageError: the noise schedule does not have as many.
    """
    if not 1 <= steps < times:
        raise UsageError(f"invalid number of sampling steps {steps}", f"pass 1 to {times - 1}; usual: 50")


def _check_tokenizer(folder: Path) -> None:
    """Raise unless the files of the tokenizer are there: without them transformers makes one of another vocabulary."""
    words = ("tokenizer.json",) if (folder / "tokenizer.json").is_file() else ("vocab.json", "merges.txt")
    missing = [name for name in ("tokenizer_config.json", *words) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {' and no '.join(missing)}", _WANTED)


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", _WANTED) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not a configuration of diffusers", _WANTED)
    return found


def _check_version(unet: Mapping[str, Any], path: str) -> None:
    different = {name: unet.get(name) for name, value in _UNET_15.items() if unet.get(name) != value}
    if not different:
        return
    width = unet.get("cross_attention_dim")
    family = _FAMILIES.get(width) if isinstance(width, int) and "cross_attention_dim" in different else None
    said = "; ".join(f"{name} {value}, not {_UNET_15[name]}" for name, value in different.items())
    raise ModelError(
        f"{path} is not Stable Diffusion 1.5{f' but {family}' if family else ''}: its UNet has {said}",
        f"{_WANTED}; or let another model be used whose parts fit together: --method-option version=any",
    )


def _check_fit(config: DiffusionConfig, path: str) -> None:
    unet, vae = config.unet, config.vae
    pairs = (
        ("channels in and out of the UNet", unet.get("in_channels"), unet.get("out_channels")),
        ("channels of the UNet and of the autoencoder", unet.get("in_channels"), vae.get("latent_channels", 4)),
        (
            "widths of the UNet's cross-attention and of the text encoder",
            unet.get("cross_attention_dim"),
            config.text.get("hidden_size"),
        ),
        ("kinds of prediction, known and wanted,", config.scheduler.get("prediction_type", "epsilon"), "epsilon"),
    )
    for what, first, second in pairs:
        if first != second:
            raise ModelError(f"{path}: the {what} differ: {first} and {second}", _WANTED)
    for part, found in (("unet", unet), ("vae", vae)):
        if not isinstance(found.get("block_out_channels"), list):
            raise ModelError(f"{path}: the configuration of {part} has no block_out_channels", _WANTED)
