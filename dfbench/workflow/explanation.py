"""Resolve an explanation into a frozen plan, run it, and draw and write what it finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import runs_home
from dfbench.degrade import available, parse
from dfbench.errors import SetupError, UsageError
from dfbench.evaluation.dataset import as_path, as_protocol, find_manifests
from dfbench.explain.plan import ExplanationPlan, ExplanationSettings
from dfbench.io import check_output_folder
from dfbench.models.source import ModelLike
from dfbench.protocols.protocol import Protocol
from dfbench.workflow.evaluation import EvaluationWorkflow, resolve_evaluation
from dfbench.workflow.reconstruction import planned_reconstruction
from dfbench.workflow.steps import missing_preparations, run_preparations, same_parameters

if TYPE_CHECKING:
    from dfbench.explain.store import Explanation
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.prepare import PreparationPlan

logger = logging.getLogger("dfbench")


@dataclass(frozen=True, eq=False)
class ExplanationWorkflow:
    """An explanation and what it needs first.

    Attributes:
        explanation: the explanation.
        detector: the evaluation that provides the detector and the test data.
        preparations: manifests of validation data to be prepared, by data set.
        notes: remarks for the user.
    """

    explanation: ExplanationPlan
    detector: EvaluationWorkflow
    preparations: Mapping[str, PreparationPlan]
    notes: tuple[str, ...] = ()

    def run(self) -> Explanation:
        """Execute the plan; see :func:`explain_detector` for the errors."""
        from dfbench.evaluation.examples import RESIDUAL_FACTOR
        from dfbench.explain.explain import run_explanation
        from dfbench.explain.store import write_explanation
        from dfbench.report.explanations import explanation_figures, summary_text

        evaluation = self.detector.ready()
        made = {name: manifest for name, manifest in evaluation.manifests.items() if manifest is not None}
        made |= run_preparations({n: p for n, p in self.preparations.items() if n not in made}, ())
        plan = self.explanation.with_evaluation(evaluation, made)
        plan.check_folder()
        logger.info("explain %s on protocol %s", evaluation.source.name, evaluation.protocol.name)
        findings = run_explanation(plan)
        record = findings.record
        folder = plan.folder(record.run_id)
        figures = explanation_figures(findings, RESIDUAL_FACTOR)
        return write_explanation(folder, record, findings.maps, figures, summary_text(record))


def resolve_explanation(
    model: ModelLike,
    protocol: Protocol | str | Path | None = None,
    manifests: Sequence[str | Path | Manifest] | str | Path | Manifest = (),
    weights: str | Path | None = None,
    out: str | Path | None = None,
    *,
    role: str = "test",
    mean_images: int = 100,
    images: int = 200,
    examples: int = 3,
    map_size: int | None = None,
    centred: bool = True,
    residual: bool = False,
    reconstruct: bool = False,
    reconstruction_steps: int | None = None,
    method_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    condition: str | None = None,
    preset: str = "",
    options: Mapping[str, Any] | None = None,
    roots: Mapping[str, str | Path] | None = None,
    device: str = "auto",
    batch_size: int = 32,
    workers: int | None = None,
    precision: str = "fp32",
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> ExplanationWorkflow:
    """Check the arguments of :func:`explain_detector` and plan its work, writing nothing.

    Returns:
        The plan; ``plan.run()`` explains.

    Raises:
        DfbenchError: as :func:`explain_detector`.
    """
    where = as_path(out, "the folder of the explanation") if out is not None else None
    check_output_folder(where or runs_home(), "--out DIR")
    rules = as_protocol("mini" if protocol is None else protocol)
    settings = ExplanationSettings(role, mean_images, images, examples, map_size or 0, centred, residual, seed).checked(
        rules.crops.size
    )
    if not reconstruct and (reconstruction_steps is not None or method_options):
        raise UsageError("steps of reconstructions and options of the method decide nothing here", "add --reconstruct")
    if role == "val" and not rules.datasets("val"):
        raise UsageError(f"protocol {rules.name!r} has no validation data", "explain on test data: drop --role")
    detector = resolve_evaluation(
        model,
        rules,
        manifests,
        weights,
        conditions=(condition,) if condition is not None else (),
        preset=preset,
        options=options,
        roots=roots,
        device=device,
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        allow_crop_mismatch=allow_crop_mismatch,
        allow_mini_weights=allow_mini_weights,
        quiet=quiet,
    )
    evaluation = detector.evaluation
    faces = planned_reconstruction(evaluation, method_options or {}, reconstruction_steps) if reconstruct else None
    under = evaluation.conditions.conditions[0] if condition is None else parse(condition)
    reason = available(under)
    if reason is not None:
        raise SetupError(f"{under.name} is not available: {reason}", "see: dfbench list degradations")
    found = find_manifests(rules, manifests, ("val",))
    plan = ExplanationPlan(evaluation, settings, under, found, where, overwrite, faces)
    plan.check_folder()
    return ExplanationWorkflow(plan, detector, missing_preparations(found, rules, quiet), detector.notes)


@same_parameters(resolve_explanation)
def explain_detector(*args: Any, **options: Any) -> Explanation:  # noqa: D417
    """Explain what a detector looks at, and whether that tells how a fake was made.

    Forgery attention maps (FAM) need gradients alone, class activation maps (CAM) a final feature map. The maps of
    validation images are averaged per manipulation. The technique of every fake is named by the cosine similarity of
    its FAM to each mean, and in the same way by FAMs of the untrained network and by raw crops. Where manifests have
    masks, maps are compared with the manipulated pixels. Manifests and weights are found, and for ``mini`` made, as by
    :func:`dfbench.evaluate`. Weights of a method that has kept its own may reconstruct the two faces behind an image,
    whose distance is then measured on test fakes and reals.

    Args:
        model: see :func:`dfbench.evaluate`, as for all arguments that are not below.
        protocol: a protocol, its name or its file; default: ``mini``.
        manifests: manifests or their folders; default: those of the workspace.
        weights: a safetensors file with its card; default: those of the workspace for this model and protocol.
        out: the folder of the explanation; default: one of the workspace named after protocol, model and run.
        role: ``test``; or ``val``, where half of the validation scene groups is explained by the means of the others.
        mean_images: validation images per manipulation whose maps are averaged.
        images: fakes per manipulation whose technique is named.
        examples: images per manipulation in the figures.
        map_size: height and width of the compared maps in pixels; default: half the crop.
        centred: subtract the grand mean of the mean maps before cosines are taken.
        residual: show the residual of the detector, or that of ``grnet``, for fakes beside their reals.
        reconstruct: also reconstruct source and target face of these fakes and of as many reals as of a manipulation,
            by the weights that the training method kept, and measure how well their distance tells fakes.
        reconstruction_steps: steps of the sampler; default: 50.
        method_options: folders among the options of the training method, which cards name without their path.
        seed: of the choice of images, of the untrained network, and of the noise of reconstructions.
        condition: degradation of all crops; default: the protocol's first test condition.
        preset: preset that the weights were trained with.
        options: options of the detector in place of those in the weights' card.
        roots: data set -> root of its media, for conditions that act before cropping.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: images per step; it does not change a map beyond rounding.
        workers: processes that read images.
        precision: ``fp32``, ``bf16``, or ``fp16`` on a GPU.
        allow_crop_mismatch: accept weights that were trained on other crops.
        allow_mini_weights: accept weights that were trained on invented faces.
        overwrite: replace another explanation in ``out``.
        quiet: no progress bar.

    Returns:
        The explanation. Its folder holds ``explain.md``, ``maps.npz``, ``figures/``, and last ``explanations.json``.

    Raises:
        UsageError: an unknown name, option or device, a value out of range, a folder in use, or a method that
            reconstructs no faces.
        DataError: a manifest is missing or does not fit the protocol, or a mask is damaged.
        ModelError: the weights, or those of the method, are missing, damaged or do not fit, or the detector has no
            gradients.
        SetupError: a package, a device or an encoder is missing, or a file cannot be written.
    """
    return resolve_explanation(*args, **options).run()
