"""Which weights score a user's files, and whether they may: crops as in their card, no mini weights unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.config import weights_home
from dfbench.errors import ModelError, UsageError
from dfbench.faces.base import DetectorChoice
from dfbench.faces.detectors import face_detector_names
from dfbench.models.build import check_size
from dfbench.models.card import Intended, WeightCard, check_card, crop_mismatch, read_card
from dfbench.models.files import check_file
from dfbench.models.registry import get_spec
from dfbench.preparation.planning.face_options import FaceTools, resolve_faces
from dfbench.preparation.planning.options import DEFAULT_PROFILE
from dfbench.preparation.planning.request import check_sizes


@dataclass(frozen=True)
class CropOptions:
    """What was asked for beside the card of the weights; None: as in the card.

    Attributes:
        profile: crop profile.
        size: crop size in pixels.
        face_detector: name of the face detector.
        face_model: model pack of the user's own, for ``insightface``.
        dlib_predictor: landmark file of the user's own, for ``dlib``.
    """

    profile: str | None = None
    size: int | None = None
    face_detector: str | None = None
    face_model: str | Path | None = None
    dlib_predictor: str | Path | None = None


AS_TRAINED = CropOptions()


@dataclass(frozen=True)
class Chosen:
    """A detector, its weights and the crops that it is going to see.

    Attributes:
        model: as asked for, a name or ``file.py:attr``.
        name: of the detector.
        weights: the weight file; None for a user's own detector as it comes.
        card: of the weights.
        faces: what finds and cuts faces.
        size: crop size in pixels.
        crop_mismatch: the crops that the weights were trained on, where these are others; else empty.
        real_classes: numbers of the classes that stand for real faces.
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
        """Whether the weights were trained on invented faces."""
        return self.card is not None and self.card.mini


def choose_weights(
    model: str,
    weights: str | Path | None = None,
    crops: CropOptions = AS_TRAINED,
    *,
    real_classes: Sequence[str] = (),
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
) -> Chosen:
    """Find the weights and settle the crops, without torch and before any file is opened.

    Args:
        model: a registered name, or a user's own ``file.py:attr``, which without weights is taken as it comes.
        weights: a weight file with its card; default: the only ones of this detector in the workspace.
        crops: what is to differ from the card.
        real_classes: names of the classes that stand for real faces, of a detector of several classes; default:
            ``real``.
        allow_crop_mismatch: use the weights on other crops than they were trained on.
        allow_mini_weights: use weights trained on invented faces.

    Raises:
        UsageError: an unknown name or a size out of range.
        ModelError: the weights are missing, damaged, of another detector, trained on invented faces or other crops.
        SetupError: the face detector is not installed.
    """
    spec = get_spec(model)
    place = _find(model, weights)
    card = None
    if place is not None:
        card = read_card(place)
        check_card(card, place, Intended(model=model))
        if card.mini and not allow_mini_weights:
            raise ModelError(
                f"the weights {place} were trained on invented faces (mini) and say nothing about real ones",
                "give weights trained on real data (--weights FILE), or say --allow-mini-weights to try things out",
            )
        check_file(place, card)
    faces = resolve_faces(
        crops.profile or (card.profile if card else DEFAULT_PROFILE),
        crops.face_detector or _face_detector_of(card),
        crops.face_model,
        dlib_predictor=crops.dlib_predictor,
    )
    (size,) = check_sizes([crops.size or (card.size if card else spec.sizes[0])])
    check_size(spec, size)
    mismatch = crop_mismatch(card, faces.profile, size) if card else ""
    if mismatch and not allow_crop_mismatch:
        raise ModelError(
            f"the weights {place} were trained on {mismatch} crops, and these would be {faces.profile} {size} px",
            f"{faces.note or 'leave --profile and --size away'}; or say --allow-crop-mismatch",
        )
    return Chosen(model, spec.name, place, card, faces, size, mismatch, _real_classes(card, real_classes))


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
        raise ModelError(
            f"there are no weights of {model!r} in {home}",
            f"train them: dfbench train --model {model} --protocol P; or give --weights FILE",
        )
    raise ModelError(
        f"there are {len(found)} weights of {model!r}: {', '.join(map(str, found))}", "choose with --weights FILE"
    )


def _model_of(weights: Path) -> str:
    """The detector that weights are of; empty where they have no card that can be read."""
    try:
        return read_card(weights).model
    except ModelError:
        return ""


def _face_detector_of(card: WeightCard | None) -> str:
    """The face detector that found the faces of the training, where it is one of ours and the only one."""
    names = {manifest.face_detector for manifest in card.manifests} if card else set()
    return names.pop() if len(names) == 1 and names <= set(face_detector_names()) else DetectorChoice().name


def _real_classes(card: WeightCard | None, names: Sequence[str]) -> tuple[int, ...]:
    classes = card.classes if card else ()
    if card is None or card.num_classes <= 2:
        if names:
            raise UsageError("--real-class is for detectors of several classes", "leave it away")
        return (0,)
    unknown = [name for name in names if name not in classes]
    found = tuple(n for n, name in enumerate(classes) if name in (names or ("real",)))
    if unknown or not found:
        raise UsageError(
            f"which of the classes stand for real faces? {', '.join(classes) or 'the card names none'}",
            "name them: --real-class NAME, once for each",
        )
    return found
