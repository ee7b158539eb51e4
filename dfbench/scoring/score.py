"""``score``: P(fake) of a user's own files, through the pipeline that ``prepare`` and ``evaluate`` are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dfbench.errors import unknown_name
from dfbench.media.reader import check_decoder
from dfbench.metrics.aggregation import AGGREGATIONS
from dfbench.metrics.samples import FACE_AGGREGATIONS
from dfbench.models.device import check_device_name, check_precision
from dfbench.preparation.execution.engine import worker_count
from dfbench.preparation.planning.options import DEFAULT_FRAMES
from dfbench.progress import progress
from dfbench.schema.sampling import FrameSampling
from dfbench.scoring.face_crops import Looking, check_face_rule, look_at_all, parse_condition
from dfbench.scoring.inputs import find_files, label_of
from dfbench.scoring.outputs import plan_outputs
from dfbench.scoring.predictor import Scorer
from dfbench.scoring.results import FileScore, Joining, Scores, outcome_of
from dfbench.scoring.weights import AS_TRAINED, Chosen, CropOptions, choose_weights
from dfbench.scoring.write_outputs import write_outputs
from dfbench.versions import library_versions, pixel_versions


def score(
    files: Sequence[str | Path] | str | Path,
    model: str,
    weights: str | Path | None = None,
    *,
    frames: int | None = None,
    every: int | None = None,
    max_frames: int | None = None,
    faces: str = "all",
    frame_face: str = "largest",
    aggregation: str = "mean",
    condition: str = "clean",
    crops: CropOptions = AS_TRAINED,
    decoder: str = "pyav",
    real_classes: Sequence[str] = (),
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
    device: str = "auto",
    batch_size: int = 64,
    precision: str = "fp32",
    jobs: int | None = None,
    csv: str | Path | None = None,
    json: str | Path | None = None,
    timeline: str | Path | None = None,
    overlay: str | Path | None = None,
    quiet: bool = False,
) -> Scores:
    """P(fake) of images and clips of one's own.

    A score is one detector's answer. It is not the probability that a file is forged; see
    :data:`dfbench.scoring.disclaimer.CAUTION`.

    Args:
        files: files, folders (with all below them) and patterns; what a file is, its content says.
        model: a registered name, or a user's own ``file.py:attr``, which without ``weights`` is taken as it comes.
        weights: a weight file with its card; default: the only ones of this detector in the workspace.
        frames: frames a clip, evenly spread; default 32.
        every: every so many frames, instead of ``frames``.
        max_frames: at most this many, with ``every``.
        faces: ``all``: every face; ``largest`` or ``track``: one a frame, as in ``prepare``.
        frame_face: which score a frame with several faces has: that of the ``largest``, the ``max`` or the ``mean``.
        aggregation: how the frames of a clip become one score: ``mean``, ``mean-logit``, ``max``, ``median``, or
            ``vote``, the share of frames at 0.5 and above.
        condition: degradation that the crops are made under, for example ``h264:crf=40@clip``.
        crops: crops and face detector where they are to differ from those in the card of the weights.
        decoder: name of the video reader.
        real_classes: of a detector of several classes, the names of those that stand for real faces; default ``real``.
        allow_crop_mismatch: use the weights on other crops than they were trained on.
        allow_mini_weights: use weights trained on invented faces.
        device: where the detector runs: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: crops a step; it does not change a score beyond rounding.
        precision: ``fp32`` or ``bf16``.
        jobs: processes that look for faces; default: one a core, at most one a file.
        csv: write a table with a row for every face of every frame.
        json: write everything.
        timeline: folder for a picture a clip, the scores of every followed face over time.
        overlay: ``*.mp4`` or ``*.png`` for the only input, else a folder: the inputs with boxes and scores.
        quiet: no progress bar.

    Returns:
        A :class:`FileScore` for every file, those without a face or that do not decode among them, with status and
        reason.

    Raises:
        UsageError: an unknown name, an option out of range, or an output that would replace an input.
        DataError: a name leads to no file.
        ModelError: the weights are missing, damaged, trained on invented faces, or on other crops.
        SetupError: the face detector, the video reader or the device is not here, or an output can not be written.
    """
    words = [files] if isinstance(files, str | Path) else list(files)
    joining = _check_joining(frame_face, aggregation)
    sampling = _sampling(frames, every, max_frames)
    face_rule, under = check_face_rule(faces), parse_condition(condition)
    check_decoder(decoder)
    check_device_name(device)
    check_precision(precision)
    workers = worker_count(jobs)
    chosen = choose_weights(
        model,
        weights,
        crops,
        real_classes=real_classes,
        allow_crop_mismatch=allow_crop_mismatch,
        allow_mini_weights=allow_mini_weights,
    )
    inputs = find_files(words)
    outputs = plan_outputs(inputs.files, csv, json, timeline, overlay)
    tools = chosen.faces
    looking = Looking(sampling, face_rule, tools.profile, chosen.size, tools.detector, decoder, under)
    scorer = Scorer(chosen, device, batch_size, precision)
    started = datetime.now(UTC)
    looks = look_at_all(inputs.files, looking, min(workers, len(inputs.files)))
    found: list[FileScore] = []
    with progress(f"score {chosen.name}", len(inputs.files), "files", quiet=quiet) as advance:
        for path, (rows, p_fake, logits) in zip(inputs.files, scorer.each(looks), strict=True):
            found.append(outcome_of(label_of(path), rows, p_fake, logits, joining))
            advance()
    how = _how(chosen, looking, joining) | {
        "weights": scorer.weights,
        "precision": precision,
        "device": scorer.device,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
        "versions": library_versions() | pixel_versions(),
        "passed_over": [label_of(path) for path in inputs.passed_over],
    }
    scores = Scores(how, chosen.mini, chosen.crop_mismatch, tuple(found))
    return replace(scores, written=write_outputs(scores, inputs.files, outputs, decoder, quiet))


def _check_joining(frame_face: str, aggregation: str) -> Joining:
    if frame_face not in FACE_AGGREGATIONS:
        raise unknown_name("rule for several faces", frame_face, FACE_AGGREGATIONS)
    if aggregation not in AGGREGATIONS:
        raise unknown_name("aggregation", aggregation, AGGREGATIONS)
    return Joining(frame_face, aggregation)


def _sampling(frames: int | None, every: int | None, most: int | None) -> FrameSampling:
    if frames is None and every is None and most is None:
        return FrameSampling(frames=DEFAULT_FRAMES)
    return FrameSampling(frames, every, most)


def _how(chosen: Chosen, looking: Looking, joining: Joining) -> dict[str, Any]:
    return {
        "model": chosen.name,
        "profile": looking.profile,
        "size": looking.size,
        "sampling": looking.sampling.to_json(),
        "faces": looking.face_rule,
        "frame_face": joining.frame_face,
        "aggregation": joining.aggregation,
        "condition": looking.condition.name,
        "face_detector": {"name": looking.detector.name, "fingerprint": chosen.faces.fingerprint},
        "decoder": looking.decoder,
    }
