"""``score``: P(fake) of the user's files, by the code of ``prepare`` and ``evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dfbench.deprecation import renamed_keywords
from dfbench.errors import unknown_name
from dfbench.media.reader import check_decoder
from dfbench.metrics.aggregation import AGGREGATIONS
from dfbench.metrics.samples import FACE_AGGREGATIONS
from dfbench.models.device import check_device_name, check_precision
from dfbench.preparation.execution.engine import DEFAULT_TIME_LIMIT, check_time_limit, worker_count
from dfbench.preparation.planning.options import DEFAULT_FRAMES
from dfbench.progress import progress
from dfbench.schema.sampling import FrameSampling
from dfbench.scoring.clip_workers import extract_all
from dfbench.scoring.face_crops import CropSettings, check_face_rule, parse_condition
from dfbench.scoring.inputs import find_files
from dfbench.scoring.labels import compute_file_metrics, find_labels
from dfbench.scoring.outputs import plan_outputs, write_outputs
from dfbench.scoring.resolve import AS_TRAINED, CropOptions, ResolvedDetector, resolve_detector
from dfbench.scoring.results import AggregationRules, FileScore, ScoringResult, file_score
from dfbench.scoring.scorer import Scorer
from dfbench.text import path_text
from dfbench.versions import library_versions, pixel_versions


@renamed_keywords(faces="face_rule", frame_face="face_aggregation", jobs="workers")
def score(
    files: Sequence[str | Path] | str | Path,
    model: str,
    weights: str | Path | None = None,
    *,
    frames: int | None = None,
    every: int | None = None,
    max_frames: int | None = None,
    face_rule: str = "all",
    face_aggregation: str = "largest",
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
    workers: int | None = None,
    time_limit: float = DEFAULT_TIME_LIMIT,
    csv: str | Path | None = None,
    json: str | Path | None = None,
    timeline: str | Path | None = None,
    overlay: str | Path | None = None,
    quiet: bool = False,
) -> ScoringResult:
    """Compute P(fake) of images and clips.

    A score is the output of one detector. It is not the probability that a file is forged; see
    :data:`dfbench.scoring.CAUTION`. If a folder has subfolders ``real`` and ``fake``, or a ``media.csv`` with labels,
    the result has AUC and ACC too.

    Args:
        files: files, folders (recursively) and patterns; the type of a file is determined by its content.
        model: a registered name, or a custom detector ``file.py:attr``, which has the weights from its constructor
            unless ``weights`` is given.
        weights: a weight file with its card; default: the only weights of this detector in the workspace.
        frames: frames per clip, evenly spaced; default 32.
        every: use every N-th frame instead of ``frames``.
        max_frames: maximum number of frames per clip, with ``every``.
        face_rule: which faces are scored: ``all``; or one per frame, ``largest`` or ``track``, as in ``prepare``.
        face_aggregation: score of a frame with several faces: that of the ``largest``, the ``max`` or the ``mean``.
        aggregation: score of a clip from those of its frames: ``mean``, ``mean-logit``, ``max``, ``median``, or
            ``vote``, the fraction of frames with a score at or above the threshold: 0.5, or that of the card.
        condition: degradation of the crops, for example ``h264:crf=40@clip``.
        crops: crop settings and face detector that differ from the card of the weights.
        decoder: name of the video decoder.
        real_classes: for a detector with several classes, the names of those that count as real; default: those
            of the card, else ``real``.
        allow_crop_mismatch: allow crops that differ from those of the training.
        allow_mini_weights: allow weights trained on the synthetic faces of mini.
        device: device of the detector: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: crops per step; it changes scores by rounding errors only.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: processes for decoding and face detection; default: one per CPU core, at most one per file. 1: this
            process, which a crash of a decoder ends.
        time_limit: seconds without a frame after which a file is interrupted; tried again alone, it is then
            ``decode_error``.
        csv: file for a table with a row per face and frame.
        json: file for everything.
        timeline: folder for a plot per clip, the scores of every tracked face over time.
        overlay: ``*.mp4`` or ``*.png`` for a single input, else a folder: the inputs with boxes and scores.
        quiet: no progress bar.

    Returns:
        A :class:`~dfbench.scoring.results.FileScore` per file, including files without a face and files that cannot
        be decoded, with status and reason; and the metrics of labelled files.

    Raises:
        UsageError: an unknown name, an option out of range, or an output that would replace an input.
        DataError: a name matches no file.
        ModelError: the weights are missing, damaged, trained on mini, or on other crops.
        SetupError: the face detector, the video decoder or the device is not available, or an output cannot be
            written.
        ScoringError: after the work, an output could not be written, or the worker of a file was killed from outside
            or ran out of memory twice; it has the scores of all others.
    """
    words = [files] if isinstance(files, str | Path) else list(files)
    _check_rules(face_aggregation, aggregation)
    sampling = _sampling(frames, every, max_frames)
    rule, degradation = check_face_rule(face_rule), parse_condition(condition)
    check_decoder(decoder)
    check_device_name(device)
    check_precision(precision, device)
    processes = worker_count(workers)
    check_time_limit(time_limit)
    detector = resolve_detector(
        model,
        weights,
        crops,
        real_classes=real_classes,
        allow_crop_mismatch=allow_crop_mismatch,
        allow_mini_weights=allow_mini_weights,
    )
    rules = AggregationRules(face_aggregation, aggregation, detector.threshold)
    inputs = find_files(words)
    labels = find_labels(words, inputs.files)
    outputs = plan_outputs(inputs.files, csv, json, timeline, overlay)
    tools = detector.faces
    settings = CropSettings(sampling, rule, tools.profile, detector.size, tools.detector, decoder, degradation)
    scorer = Scorer(detector, device, batch_size, precision)
    started = datetime.now(UTC)
    extracted = extract_all(
        inputs.files, settings, None if workers == 1 else min(processes, len(inputs.files)), time_limit
    )
    by_number: dict[int, FileScore] = {}
    with progress(f"score {detector.name}", len(inputs.files), "files", quiet=quiet) as advance:
        for number, (rows, p_fake, logits) in scorer.score_all(extracted):
            path = inputs.files[number]
            known = labels.by_file.get(path)
            by_number[number] = file_score(
                path_text(path), rows, p_fake, logits, rules, None if known is None else known.label
            )
            advance()
    found = [by_number[number] for number in range(len(inputs.files))]
    result = ScoringResult(
        settings=_settings(detector, settings, rules)
        | {
            "weights": scorer.weights,
            "precision": precision,
            "device": scorer.device,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
            "versions": library_versions() | pixel_versions(),
            "skipped": [path_text(path) for path in inputs.skipped],
            "label_notes": list(labels.notes),
            "doubt": scorer.doubt,
        },
        mini=detector.mini,
        crop_mismatch=detector.crop_mismatch,
        files=tuple(found),
        metrics=compute_file_metrics(
            [labels.by_file.get(path) for path in inputs.files],
            [file.p_fake for file in found],
            rules.threshold.of_files(aggregation),
        ),
        threshold=rules.threshold,
    )
    return write_outputs(result, inputs.files, outputs, decoder, quiet)


def _check_rules(face_aggregation: str, aggregation: str) -> None:
    if face_aggregation not in FACE_AGGREGATIONS:
        raise unknown_name("face aggregation", face_aggregation, FACE_AGGREGATIONS)
    if aggregation not in AGGREGATIONS:
        raise unknown_name("aggregation", aggregation, AGGREGATIONS)


def _sampling(frames: int | None, every: int | None, max_frames: int | None) -> FrameSampling:
    if frames is None and every is None and max_frames is None:
        return FrameSampling(frames=DEFAULT_FRAMES)
    return FrameSampling(frames, every, max_frames)


def _settings(detector: ResolvedDetector, crops: CropSettings, rules: AggregationRules) -> dict[str, Any]:
    return {
        "model": detector.name,
        "profile": crops.profile,
        "size": crops.size,
        "sampling": crops.sampling.to_json(),
        "face_rule": crops.face_rule,
        "face_aggregation": rules.face_aggregation,
        "aggregation": rules.aggregation,
        "threshold": {"value": rules.threshold.value, "chosen": rules.threshold.chosen},
        "temperature": detector.temperature,
        "condition": crops.condition.name,
        "face_detector": {"name": crops.detector.name, "fingerprint": detector.faces.fingerprint},
        "decoder": crops.decoder,
    }
