"""Import weights of other projects: convert them to safetensors with a card that records their origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import weights_home
from dfbench.errors import ModelError, UsageError
from dfbench.io import check_output_file, file_sha256
from dfbench.models.build import build_model, check_options
from dfbench.models.card import ImportedFrom, SelectionRecord, WeightCard
from dfbench.models.convert.checkpoint_files import read_checkpoint
from dfbench.models.convert.keymap import KeyMap, State, Translated, translate
from dfbench.models.interface import logits_of
from dfbench.models.options import full_options
from dfbench.models.registry import get_spec
from dfbench.models.spec import ModelSpec
from dfbench.text import path_text
from dfbench.versions import library_versions

if TYPE_CHECKING:
    from torch import nn

NATIVE = "native"
_COUNTERS = "num_batches_tracked"  # of batch normalisation; missing in older files, and irrelevant for scores


@dataclass(frozen=True)
class Imported:
    """Imported weights.

    Attributes:
        path: the weight file.
        card: its card, whose ``origin`` records the conversion.
    """

    path: Path
    card: WeightCard


def import_weights(
    file: str | Path,
    model: str,
    out: str | Path | None = None,
    *,
    profile: str | None = None,
    size: int | None = None,
    classes: Sequence[str] = (),
    real_classes: Sequence[str] = (),
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    licence: str | None = None,
    train_condition: str = "unknown",
    weights_key: str | None = None,
) -> Imported:
    """Convert a weight file of another project to a weight file of dfbench with a card.

    Args:
        file: the file; see :func:`dfbench.models.convert.checkpoint_files.read_checkpoint`.
        model: the detector it belongs to: a registered name or ``file.py:attr``.
        out: the weight file to write, ``*.safetensors``; default: in the workspace, named after ``file``.
        profile: crop profile the weights were trained on; default: that of the source, if known.
        size: crop size in pixels; default: that of the source, if known.
        classes: for more than two classes, their names in the order of the outputs.
        real_classes: those of them that are of real faces; default: ``real`` if there is such a class.
        source: name of a :class:`KeyMap` of the detector, or ``native`` for a state dict of its own code; default:
            recognised by the tensor names, ``native`` for a detector without key maps.
        options: options of the detector in addition to those that the source needs.
        licence: licence of the weights; default: that of the source, if known.
        train_condition: condition of the training data, for example ``clean``.
        weights_key: which state dict of the file to take, such as ``state_dict_ema``; default: the only one, or the
            one with a usual name.

    Raises:
        UsageError: an unknown name or option, or a profile or size that is unknown and was not given.
        ModelError: the file cannot be read, or its tensors do not match the detector.
        SetupError: the weight file cannot be written.
    """
    import torch

    from dfbench.faces.profiles import get_profile
    from dfbench.models.weights import load_state, save_weights

    path, spec = Path(file), get_spec(model)
    target = _target(path, out)
    checkpoint = read_checkpoint(path, weights_key)
    foreign = checkpoint.state
    found = _recognise(spec, foreign, source, path)
    keymap = found.keymap
    profile, size = profile or keymap.profile or None, size or keymap.size
    if profile is None or size is None:
        what = "crop profile" if profile is None else "crop size"
        flag = "--profile" if profile is None else "--size"
        raise UsageError(f"the {what} that {path.name} was trained on is unknown", f"pass it with {flag}")
    get_profile(profile)
    chosen = _options(keymap, dict(options or {}), path)
    outputs = _outputs(found, classes, path)
    check_options(spec, outputs, size, chosen)
    network = build_model(model, outputs, size, **chosen)
    if keymap.name == NATIVE:
        found = _native(foreign, spec, network)
    spare = _spare(found, network)
    load_state(network, spare | found.state, str(path), found.stored_names)
    strange = [name for name, t in network.state_dict().items() if not torch.isfinite(t).all()]
    if strange:
        name = found.stored_names().get(strange[0], strange[0])
        raise ModelError(f"{path} holds values that are not finite in {name!r}", "its training has failed")
    card = WeightCard(
        model=spec.name,
        options={name: value for name, value in full_options(spec, chosen).items() if name != "pretrained"},
        num_classes=_logits(network.eval(), size),
        classes=tuple(classes) if outputs > 2 else (),
        real_classes=_real(classes if outputs > 2 else (), real_classes),
        profile=profile,
        size=size,
        train_condition=train_condition,
        training_method=keymap.training_method,
        selection=SelectionRecord(split="unknown", epoch=0, note=keymap.selection),
        licence=licence or keymap.licence or "unknown: ask whoever made the weights",
        versions=library_versions(),
        mini=False,
        origin=ImportedFrom(
            source=keymap.name,
            file=path_text(path.name),
            sha256=file_sha256(path),
            bytes=path.stat().st_size,
            prefix=found.prefix,
            tensors=len(foreign),
            left_out=found.left_out,
            filled=tuple(spare),
            key=checkpoint.key,
            other_keys=checkpoint.others,
        ),
    )
    return Imported(target, save_weights(target, network, card))


def _real(classes: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    strange = [name for name in given if name not in classes]
    if strange:
        raise UsageError(f"the real class {strange[0]!r} is none of the classes: {', '.join(classes) or 'none'}")
    return tuple(name for name in classes if name in (given or ("real",)))


def _recognise(spec: ModelSpec, state: State, source: str | None, path: Path) -> Translated:
    known = {keymap.name: keymap for keymap in spec.foreign_keys}
    if source == NATIVE or (source is None and not known):
        return Translated(state, KeyMap(NATIVE, "a state dict of the detector's own code", ()), "", (), state)
    if source is not None and source not in known:
        names = ", ".join([*known, NATIVE])
        raise UsageError(f"unknown source {source!r} of weights of {spec.name}", f"choose from: {names}")
    found = translate(state, [known[source]] if source else spec.foreign_keys)
    if found is not None:
        return found
    wanted = source or " or ".join(known)
    raise ModelError(
        f"the tensor names in {path} are not those of {wanted} for {spec.name} ({len(state)} tensors, first name: "
        f"{next(iter(state))})",
        "is it another architecture? See: dfbench weights sources. For a state dict of dfbench: --source native",
    )


def _native(state: State, spec: ModelSpec, network: nn.Module) -> Translated:
    """Convert a state dict of the detector's own code; the module of a custom detector has the prefix ``network``."""
    inside = "network." if spec.provenance == "user" else ""
    first = next(iter(network.state_dict()), "").removeprefix(inside)

    def named(part: State) -> State:
        return {inside + name: tensor for name, tensor in part.items()}

    keymap = KeyMap(NATIVE, "", (first,), named)
    return translate(state, [keymap]) or Translated(named(state), keymap, "", (), state)


def _logits(network: nn.Module, size: int) -> int:
    """Return the number of logits per image; a custom module may have one for two classes."""
    import torch

    from dfbench.models.weights import golden_images

    with torch.inference_mode():
        return int(logits_of(network(golden_images(size)), 2).shape[1])


def _options(keymap: KeyMap, given: dict[str, Any], path: Path) -> dict[str, Any]:
    for name, value in keymap.options.items():
        if given.get(name, value) != value:
            raise UsageError(
                f"the weights {path} of {keymap.name} need {name}={value}, not {given[name]}", "drop that option"
            )
    if keymap.lacks and not given.get("pretrained"):
        raise ModelError(
            f"{path} does not store {', '.join(keymap.lacks)}*: the source uses ImageNet weights for them",
            "pass these with --option pretrained=FILE, or download them with --option pretrained=true",
        )
    return dict(keymap.options) | given


def _outputs(found: Translated, classes: Sequence[str], path: Path) -> int:
    """Return the number of outputs of the file, after checking it against the number of classes."""
    head = found.state.get(found.keymap.head)
    wanted = len(classes) or 2
    if head is None:
        return wanted
    outputs = int(head.shape[0])
    if outputs == wanted or (wanted == 2 and outputs == 1):
        return outputs
    raise ModelError(
        f"the weights {path} have {outputs} classes, not {wanted}",
        "these are ImageNet weights: train with --option pretrained=FILE"
        if outputs == 1000
        else "name them in their order: --classes real,A,B",
    )


def _spare(found: Translated, network: nn.Module) -> State:
    """Return tensors that the file may lack: counters, and parts loaded by the option ``pretrained``."""
    lacks = found.keymap.lacks
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name not in found.state and (name.endswith(_COUNTERS) or (lacks and name.startswith(lacks)))
    }


def _target(path: Path, out: str | Path | None) -> Path:
    target = Path(out) if out is not None else weights_home() / "imported" / f"{path.stem}.safetensors"
    if target.suffix != ".safetensors":
        raise UsageError(
            f"weight files must be named *.safetensors, not {target.name!r}", f"--out {target.stem}.safetensors"
        )
    if target.resolve() == path.resolve():
        raise UsageError(f"{target} is the file to import itself", "choose another path with --out")
    return check_output_file(target, "--out FILE")
