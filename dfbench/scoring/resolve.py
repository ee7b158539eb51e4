"""Resolve the detector, its weights and the crops they need, before any file is opened and without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.config import weights_home
from dfbench.errors import ModelError, UsageError
from dfbench.models.build import check_size
from dfbench.models.card import IntendedUse, WeightCard, check_card, crop_mismatch, face_detector_of, read_card
from dfbench.models.files import check_file
from dfbench.models.registry import get_spec
from dfbench.models.spec import ModelSpec
from dfbench.preparation.planning.face_options import FaceTools, resolve_faces
from dfbench.preparation.planning.options import DEFAULT_PROFILE
from dfbench.preparation.planning.request import check_sizes
from dfbench.scoring.labels import UNCALIBRATED, ScoreThreshold


@dataclass(frozen=True)
class CropOptions:
    """Crop settings that differ from the card of the weights; None: as in the card.

    Attributes:
        profile: crop profile.
        size: crop size in pixels.
        face_detector: name of the face detector.
        face_model: path of a model pack, for ``insightface``.
        dlib_predictor: path of a landmark file, for ``dlib``.
    """

    profile: str | None = None
    size: int | None = None
    face_detector: str | None = None
    face_model: str | Path | None = None
    dlib_predictor: str | Path | None = None


AS_TRAINED = CropOptions()
"""Crops as in the card of the weights."""


@dataclass(frozen=True)
class ResolvedDetector:
    """A detector, its weights, and the crops that it gets.

    Attributes:
        model: as given, a name or ``file.py:attr``.
        name: name of the detector.
        weights: the weight file; None: a custom detector with the weights from its constructor.
        card: card of the weights.
        faces: face detector and crop profile.
        size: crop size in pixels.
        crop_mismatch: the crops that the weights were trained on, if they differ from these; else empty.
        real_classes: indices of the classes that count as real.
    """

    model: str
    name: str
    weights: Path | None
    card: WeightCard | None
    faces: FaceTools
    size: int
    crop_mismatch: str
    real_classes: tuple[int, ...]

    @property
    def mini(self) -> bool:
        """Whether the weights were trained on the synthetic faces of mini."""
        return self.card is not None and self.card.mini

    @property
    def temperature(self) -> float:
        """What logits are divided by: as chosen on validation data, else 1."""
        decision = self.card.decision if self.card is not None else None
        return decision.temperature or 1.0 if decision is not None else 1.0

    @property
    def threshold(self) -> ScoreThreshold:
        """From which P(fake) on a sample counts as fake: as chosen on validation data, else 0.5."""
        decision = self.card.decision if self.card is not None else None
        if decision is None or decision.threshold is None:
            return UNCALIBRATED
        scores = f"{decision.samples} {decision.level} scores of the validation data"
        return ScoreThreshold(decision.threshold, f"chosen by the rule {decision.rule} on {scores}")


def resolve_detector(
    model: str,
    weights: str | Path | None = None,
    crops: CropOptions = AS_TRAINED,
    *,
    real_classes: Sequence[str] = (),
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
) -> ResolvedDetector:
    """Find the weights and determine the crops.

    Args:
        model: a registered name, or a custom detector ``file.py:attr``, which has the weights from its constructor
            unless ``weights`` is given.
        weights: a weight file with its card; default: the only weights of this detector in the workspace.
        crops: settings that differ from the card.
        real_classes: for a detector with several classes, names of the classes that count as real; default: as
            in the card, which states them if the weights were trained by a protocol, else ``real``.
        allow_crop_mismatch: allow crops that differ from those of the training.
        allow_mini_weights: allow weights trained on mini.

    Raises:
        UsageError: an unknown name or a size out of range.
        ModelError: the weights are missing, damaged, of another detector, trained on mini or on other crops.
        SetupError: the face detector is not installed.
    """
    spec = get_spec(model)
    path = _find(model, weights)
    card = None
    if path is not None:
        card = read_card(path)
        check_card(card, path, IntendedUse(model=model))
        if card.mini and not allow_mini_weights:
            raise ModelError(
                f"the weights {path} were trained on the synthetic faces of mini and say nothing about real ones",
                "pass weights trained on real data (--weights FILE), or --allow-mini-weights to try the command",
            )
        check_file(path, card)
    faces = resolve_faces(
        crops.profile or (card.profile if card else DEFAULT_PROFILE),
        crops.face_detector or face_detector_of(card),
        crops.face_model,
        dlib_predictor=crops.dlib_predictor,
    )
    (size,) = check_sizes([crops.size or (card.size if card else spec.sizes[0])])
    check_size(spec, size)
    mismatch = crop_mismatch(card, faces.profile, size) if card else ""
    if mismatch and not allow_crop_mismatch:
        raise ModelError(
            f"the weights {path} were trained on {mismatch} crops, but {faces.profile} {size} px were requested",
            f"{faces.note or 'drop --profile and --size'}; or pass --allow-crop-mismatch",
        )
    return ResolvedDetector(model, spec.name, path, card, faces, size, mismatch, _real_classes(card, real_classes))


def _find(model: str, weights: str | Path | None) -> Path | None:
    if weights is not None:
        return Path(weights)
    spec = get_spec(model)
    if spec.provenance == "user":
        return None
    home = weights_home()
    found = [path for path in sorted(home.rglob("*.safetensors")) if _model_of(path) == spec.name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelError(f"no weights of {model!r} in {home}: dfbench ships none and downloads none", _how_to_get(spec))
    names = ", ".join(map(str, found))
    raise ModelError(f"{len(found)} weight files of {model!r}: {names}", "choose one with --weights FILE")


def _how_to_get(spec: ModelSpec) -> str:
    """Say where weights of a registered detector come from, with the next command."""
    train = f"train them: dfbench train --model {spec.name} --protocol P (all protocols: dfbench list protocols)"
    if not spec.foreign_keys:
        return f"{train}; or pass a file that you have: --weights FILE"
    sources = ", ".join(keymap.name for keymap in spec.foreign_keys)
    return (
        f"{train}; or download weights of {sources} from their projects (dfbench weights sources) and convert them: "
        f"dfbench weights import FILE --model {spec.name}; or pass a file that you have: --weights FILE"
    )


def _model_of(weights: Path) -> str:
    """Return the detector that weights belong to; empty if their card cannot be read."""
    try:
        return read_card(weights).model
    except ModelError:
        return ""


def _real_classes(card: WeightCard | None, names: Sequence[str]) -> tuple[int, ...]:
    classes = card.classes if card else ()
    if card is None or (card.num_classes <= 2 and not classes):
        if names:
            raise UsageError("--real-class needs a detector with several classes", "drop --real-class")
        return (0,)
    unknown = [name for name in names if name not in classes]
    found = tuple(n for n, name in enumerate(classes) if name in (names or card.real_classes or ("real",)))
    if unknown or not found:
        raise UsageError(
            f"which of the classes are real? {', '.join(classes) or 'the card names none'}",
            "name them: --real-class NAME, once per class",
        )
    return found
