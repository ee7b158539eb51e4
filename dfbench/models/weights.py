"""Weight files: safetensors with a card, checked by hash, keys and a golden score on loading."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.errors import ModelError
from dfbench.io import atomic_path, data_sha256, file_sha256, write_bytes, write_text
from dfbench.models.build import build_network
from dfbench.models.card import IntendedUse, MethodWeights, card_path, check_card, method_path, read_card
from dfbench.models.card import WeightCard as WeightCard
from dfbench.models.files import bad_file_hint, check_file, looks_like
from dfbench.models.interface import evaluation_mode, fake_probability, logits_of
from dfbench.models.options import current_options, recorded_options
from dfbench.models.source import ModelSource, model_source
from dfbench.models.spec import ModelSpec
from dfbench.storage import StoredPath

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger("dfbench")

GOLDEN_TOLERANCE = 1e-3  # P(fake) moves by less between CPUs, thread counts and memory layouts


def golden_images(size: int) -> Tensor:
    """Return two fixed smooth images, (2, 3, size, size) in [0,1], from a formula rather than a random generator."""
    import torch

    line = torch.arange(size, dtype=torch.float64) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    planes = [
        0.5 + 0.25 * torch.sin(6.0 * (k + 1) * x + k) + 0.2 * torch.cos(37.0 * y * (0.4 * k + 1) - 11.0 * k * x)
        for k in range(6)
    ]
    return torch.stack(planes).view(2, 3, size, size).float()


def golden_scores(model: nn.Module, size: int) -> tuple[float, ...]:
    """Return P(fake) of :func:`golden_images`, in float32 on the model's device; its mode is left as it was."""
    import torch

    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with evaluation_mode(model), torch.inference_mode():
        logits = logits_of(model(golden_images(size).to(device)), 2)
    return tuple(fake_probability(logits).tolist())


def rounding_effect(model: nn.Module, size: int) -> float:
    """Return the largest change of a logit of the golden images by rounding: one by one, or in another memory layout.

    A change of all logits by as much changes P(fake) by at most half of it.

    The golden images are no faces. A network whose batch norm has seen faces alone may amplify their rounding errors
    without limit, while scores of faces are stable; then they cannot tell whether its code has changed.
    """
    import torch

    images = golden_images(size)
    layouts = (images, images.contiguous(memory_format=torch.channels_last), images[:1], images[1:])
    with evaluation_mode(model), torch.inference_mode():
        both, other, *single = (logits_of(model(x), len(x)) for x in layouts)
    return max(float((found - both).abs().max()) for found in (other, torch.cat(single)))


def write_state(path: Path, state: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    write_bytes(path, _safetensors(state))


def _safetensors(state: dict[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({k: v.detach().cpu().contiguous() for k, v in state.items()})


def save_weights(path: Path, model: nn.Module, card: WeightCard, *, method_weights: Path | None = None) -> WeightCard:
    """Write weights and card, with hash, size and golden scores filled in.

    The weights are written last: a weight file always has its card, also after a kill or on a full disk.

    Args:
        path: the weight file.
        model: the detector.
        card: its card.
        method_weights: file of what the training method keeps, which is copied beside the weights; None: nothing, and
            such a file of former weights of this name is removed.

    Returns:
        The card as written.

    Raises:
        ModelError: the detector gives scores that are not finite; nothing is written.
    """
    golden = golden_scores(model, card.size)
    if not all(map(math.isfinite, golden)):
        raise ModelError(
            f"the scores of {card.model} are not finite: its training has diverged",
            "train again at a lower learning rate: dfbench train --lr",
        )
    data = _safetensors(dict(model.state_dict()))
    options = dict(card.options)
    if isinstance(options.get("pretrained"), str):
        options["pretrained"] = Path(options["pretrained"]).name  # cards travel: no paths of this machine
    full = card.model_copy(
        update={
            "options": options,
            "method_weights": None if method_weights is None else _copy(method_weights, method_path(path)),
            "sha256": data_sha256(data),
            "bytes": len(data),
            "golden": golden,
        }
    )
    write_text(card_path(path), full.model_dump_json(indent=2) + "\n")
    write_bytes(path, data)
    former = method_path(path)
    if method_weights is None and not card_path(former).is_file():
        former.unlink(missing_ok=True)
    return full


def _copy(file: Path, to: Path) -> MethodWeights:
    with atomic_path(to) as temporary, file.open("rb") as source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 24)
    return MethodWeights(sha256=file_sha256(file), bytes=file.stat().st_size)


def read_state(path: Path, hint: str = "") -> dict[str, Tensor]:
    """Read the tensors of a safetensors file; nothing in it is ever executed.

    Args:
        path: the file.
        hint: what to do about one that cannot be read; default: how to obtain weights.

    Raises:
        ModelError: it is not a complete safetensors file; the message says what it looks like.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        stored = isinstance(path, StoredPath)
        tensors: dict[str, Tensor] = load(path.read_bytes()) if stored else load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is {looks_like(path)}, not a safetensors file: {error}", hint or bad_file_hint(path)
        ) from error
    return tensors


def load_state(
    model: nn.Module,
    state: dict[str, Tensor],
    where: str,
    stored_names: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Load tensors into a model; every key and shape must fit.

    Args:
        model: the model.
        state: its tensors.
        where: where they are from, for errors.
        stored_names: for errors, the names in a file that was converted, by the converted ones.

    Raises:
        ModelError: unused or missing keys, or shapes that differ, the first three of each by name: unused ones and
            those of another shape as in the file, missing ones as in the model.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    unused = sorted(state.keys() - own.keys())
    shapes = [k for k in sorted(own.keys() & state.keys()) if own[k].shape != state[k].shape]
    if missing or unused or shapes:
        stored = stored_names()
        parts = [
            f"{len(keys)} {what} ({_some([stored.get(key, key) for key in keys])})"
            for keys, what in ((missing, "missing"), (unused, "unused"), (shapes, "of another shape"))
            if keys
        ]
        raise ModelError(
            f"the weights {where} do not fit the model: tensors {', '.join(parts)}",
            "they belong to another architecture, other options or another class count",
        )
    model.load_state_dict(state)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def load_weights(path: Path, use: IntendedUse | None = None, *, golden: bool = True) -> tuple[nn.Module, WeightCard]:
    """Check a weight file, build the detector that it belongs to and load it.

    Args:
        path: the safetensors file; its card is in the same folder.
        use: what it is about to be used for; what does not fit is refused.
        golden: also check the golden score.

    Returns:
        The detector on the CPU in evaluation mode, and its card.

    Raises:
        ModelError: anything is missing, damaged or does not fit; the message says what, the hint what to do.
    """
    use = use or IntendedUse()
    card = check_weights(path, use)
    return restore_network(model_source(use.model or card.model), path, card, golden=golden), card


def check_weights(path: Path, use: IntendedUse) -> WeightCard:
    """Check a weight file and its card against their intended use; needs no torch.

    Returns:
        The card.

    Raises:
        ModelError: the file or its card is missing, damaged, or does not fit.
    """
    card = read_card(path)
    check_card(card, path, use)
    check_file(path, card)
    return card


def restore_network(
    source: ModelSource,
    path: Path,
    card: WeightCard,
    *,
    options: Mapping[str, Any] | None = None,
    network: nn.Module | None = None,
    golden: bool = True,
) -> nn.Module:
    """Build a detector and load its weights, which :func:`check_weights` has checked.

    Args:
        source: the detector.
        path: the safetensors file.
        card: its card.
        options: options of the detector that replace those of the card.
        network: the detector, where it has already been built with these options.
        golden: also check the golden score; skipped where ``options`` changes an option.

    Returns:
        The detector on the CPU in evaluation mode.

    Raises:
        ModelError: tensors are missing or do not fit, or the golden score has changed.
    """
    chosen = card_options(source.spec, card, options)
    if network is None:
        network = build_network(source, card.num_classes, card.size, chosen)
    load_state(network, read_state(path), str(path))
    network.eval()
    if golden and card.golden and chosen == card_options(source.spec, card):
        found = golden_scores(network, card.size)
        worst = max(abs(a - b) for a, b in zip(found, card.golden, strict=True))
        if not worst <= GOLDEN_TOLERANCE:
            noise = rounding_effect(network, card.size)
            if not worst <= noise:
                raise ModelError(
                    f"the weights {path} give other scores than when they were saved (by {worst:.3g} on the golden "
                    "images)",
                    "the detector's code or a library has changed; train again, or use the versions named in the card",
                )
            logger.warning(
                "the golden images do not check the weights %s: rounding alone changes their logits by %.3g",
                path,
                noise,
            )
    return network


def card_options(spec: ModelSpec, card: WeightCard, changed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the options to build a detector with before its weights are loaded: all but ``pretrained``.

    Args:
        spec: the detector.
        card: of its weights; what an option means that it lacks says :func:`dfbench.models.options.recorded_options`.
        changed: options that replace those of the card.
    """
    options = recorded_options(spec, card.options) | current_options(spec, changed or {})
    return {name: value for name, value in options.items() if name != "pretrained"}
