"""Weight files: safetensors with a card beside them, checked by hash, by keys and by a golden score on loading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfbench.errors import ModelError
from dfbench.io import file_sha256, write_bytes, write_text
from dfbench.models.build import build_model
from dfbench.models.card import Intended, card_path, check_card, read_card
from dfbench.models.card import WeightCard as WeightCard
from dfbench.models.files import bad_file_hint, check_file, looks_like
from dfbench.models.interface import fake_probability, logits_of

if TYPE_CHECKING:
    from torch import Tensor, nn

GOLDEN_TOLERANCE = 1e-3  # P(fake) moves by less between CPUs, thread counts and memory layouts


def golden_images(size: int) -> Tensor:
    """Two fixed smooth pictures, (2, 3, size, size) in [0,1], from a formula rather than a random generator."""
    import torch

    line = torch.arange(size, dtype=torch.float64) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    planes = [
        0.5 + 0.25 * torch.sin(6.0 * (k + 1) * x + k) + 0.2 * torch.cos(37.0 * y * (0.4 * k + 1) - 11.0 * k * x)
        for k in range(6)
    ]
    return torch.stack(planes).view(2, 3, size, size).float()


def golden_scores(model: nn.Module, size: int) -> tuple[float, ...]:
    """P(fake) of :func:`golden_images`, in float32 on the device where the model is; the mode is left as it was."""
    import torch

    was_training = model.training
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        logits = logits_of(model(golden_images(size).to(device)), 2)
    model.train(was_training)
    return tuple(fake_probability(logits).tolist())


def write_state(path: Path, state: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    from safetensors.torch import save

    write_bytes(path, save({k: v.detach().cpu().contiguous() for k, v in state.items()}))


def save_weights(path: Path, model: nn.Module, card: WeightCard) -> WeightCard:
    """Write weights and card; hash, size and golden scores are filled in here.

    Returns:
        The card as written.

    Raises:
        ModelError: the detector gives scores that are not finite; nothing is written.
    """
    golden = golden_scores(model, card.size)
    if not all(map(math.isfinite, golden)):
        raise ModelError(
            f"the scores of {card.model} are not finite: its training has diverged",
            "train again at a lower rate: dfbench train --lr",
        )
    write_state(path, dict(model.state_dict()))
    options = dict(card.options)
    if isinstance(options.get("pretrained"), str):
        options["pretrained"] = Path(options["pretrained"]).name  # cards travel: no paths of this machine
    full = card.model_copy(
        update={
            "options": options,
            "sha256": file_sha256(path),
            "bytes": path.stat().st_size,
            "golden": golden,
        }
    )
    place = card_path(path)
    write_text(place, full.model_dump_json(indent=2) + "\n")
    return full


def read_state(path: Path, hint: str = "") -> dict[str, Tensor]:
    """Read the tensors of a safetensors file; nothing in it is ever executed.

    Args:
        path: the file.
        hint: what to do about one that can not be read; default: how weights are had.

    Raises:
        ModelError: it is not a whole safetensors file; the message says what it looks like.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is {looks_like(path)}, not a safetensors file: {error}", hint or bad_file_hint(path)
        ) from error
    return tensors


def load_state(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Put tensors into a model; every key and shape must fit.

    Raises:
        ModelError: unused or missing keys, or shapes that differ, the first three of each by name.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    unused = sorted(state.keys() - own.keys())
    shapes = [k for k in sorted(own.keys() & state.keys()) if own[k].shape != state[k].shape]
    if missing or unused or shapes:
        parts = [
            f"{len(keys)} {what} ({_some(keys)})"
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


def load_weights(path: Path, intended: Intended | None = None, *, golden: bool = True) -> tuple[nn.Module, WeightCard]:
    """Build the detector a weight file belongs to and load it: card, hash, keys, golden score.

    Args:
        path: the safetensors file; its card lies beside it.
        intended: where it is about to be used; what does not fit is refused.
        golden: also check the golden score.

    Returns:
        The detector on the CPU in evaluation mode, and its card.

    Raises:
        ModelError: anything is missing, damaged or does not fit; the message says what, the hint what to do.
    """
    card = read_card(path)
    use = intended or Intended()
    check_card(card, path, use)
    check_file(path, card)
    options = {k: v for k, v in card.options.items() if k != "pretrained"}  # the weights come from the file
    model = build_model(use.model or card.model, card.num_classes, card.size, **options)
    load_state(model, read_state(path), str(path))
    model.eval()
    if golden and card.golden:
        found = golden_scores(model, card.size)
        worst = max(abs(a - b) for a, b in zip(found, card.golden, strict=True))
        if not worst <= GOLDEN_TOLERANCE:
            raise ModelError(
                f"the weights {path} give other scores than when they were saved (by {worst:.3g} on the golden images)",
                "the detector's code or a library has changed; train again, or use the versions named in the card",
            )
    return model, card
