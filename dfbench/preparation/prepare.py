"""``prepare``: a data set's tree becomes a manifest. First everything is resolved and checked, then the plan is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import find_root, manifest_home, workspace
from dfbench.datasets.registry import get_adapter
from dfbench.deprecation import renamed_keywords
from dfbench.errors import UsageError
from dfbench.io import check_output_folder, translate_os_errors
from dfbench.manifest.manifest import Manifest
from dfbench.preparation.execution.engine import Workers, check_engine, check_time_limit, worker_count
from dfbench.preparation.execution.inventory import ResumeOptions, parse_retry
from dfbench.preparation.execution.output_folder import check_folder
from dfbench.preparation.execution.run import run_plan
from dfbench.preparation.planning.job_array import ArrayPart, parse_array_part
from dfbench.preparation.planning.options import MINI, PreparationRequest, called_with_options
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.request import as_protocol, make_recipe
from dfbench.preparation.planning.shard_plan import ShardPlan, plan_shards
from dfbench.storage import StoredPath, as_path

if TYPE_CHECKING:
    from dfbench.mini.settings import MiniSettings

OLD_KEYWORDS = {"jobs": "workers", "shards": "array", "degrade": "condition"}
"""Keywords of version 0.1 -> those of today."""


@dataclass(frozen=True)
class PreparationPlan:
    """All that a preparation is going to do; everything in it has been checked.

    Attributes:
        recipe: what decides rows and pixels.
        root: the data set's tree.
        out: the manifest's folder.
        workers: who does the work.
        shards: what was found in the tree, cut into shards; None where the tree must be generated first.
        mini: settings with which the embedded data set is generated, or completed, in ``root`` as the first step; None
            where nothing has to be generated.
        array_part: the part of an array job to prepare; None: everything.
        quiet: no progress bars.
        resume: what to do with what the folder holds.
    """

    recipe: PreparationRecipe
    root: Path
    out: Path
    workers: Workers
    shards: ShardPlan | None
    mini: MiniSettings | None = None
    array_part: ArrayPart | None = None
    quiet: bool = False
    resume: ResumeOptions = field(default_factory=ResumeOptions)

    def run(self) -> Manifest:
        """Do the work: generate the data set where necessary, then make what is not finished of the manifest.

        Raises:
            DataError: the tree vanished since the plan was made, or lacks media of finished shards.
            SetupError: the disk is full, a worker keeps dying, or another run is at work in the same folder.
        """
        check_output_folder(self.out, "--out DIR")
        if self.mini is not None:
            from dfbench.mini.generate import generate

            generate(self.root, self.mini, workers=self.workers.count, quiet=self.quiet)
        shards = self.shards or plan_shards(self.recipe, self.root)
        return run_plan(shards, self.out, self.workers, self.quiet, self.array_part, self.resume)


@renamed_keywords(**OLD_KEYWORDS)
@called_with_options(PreparationRequest)
def resolve_preparation(request: PreparationRequest) -> PreparationPlan:
    """Check everything that :func:`prepare` needs and plan its work, writing nothing.

    Names, numbers, options, the data set's root, the output folder and the engine are checked, and the tree is listed.
    The arguments are those of :func:`prepare`: the fields of :class:`PreparationRequest`.

    Returns:
        The plan; ``plan.run()`` prepares the manifest, ``plan.out`` is its folder.

    Raises:
        UsageError: an unknown name, an option out of range, or ``out`` holds a manifest with another recipe.
        DataError: the tree is missing or empty, or ``out`` holds files that do not belong to a manifest.
        SetupError: a package, a model file or an encoder is missing.
    """
    return plan_preparation(request)


@renamed_keywords(**OLD_KEYWORDS)
@called_with_options(PreparationRequest)
def prepare(request: PreparationRequest) -> Manifest:
    """Turn a data set into a manifest of aligned face crops.

    Every requested frame gives a row with a status. Finished shards survive a kill and are never made again; the same
    tree, recipe and versions give byte-identical shards with any number of workers. The arguments are the fields of
    :class:`PreparationRequest`.

    Returns:
        The manifest. With ``array``, the manifest of that part; ``dfbench merge`` joins the parts.

    Raises:
        UsageError: an unknown name, an option out of range, or ``out`` holds a manifest with another recipe.
        DataError: the tree is missing or empty or lacks media of finished shards, or ``out`` holds files that do not
            belong to a manifest.
        SetupError: a package is missing, the disk is full, a worker keeps dying, or another run is at work in ``out``.
    """
    return plan_preparation(request).run()


def plan_preparation(request: PreparationRequest) -> PreparationPlan:
    """:func:`resolve_preparation` of a request that is at hand."""
    mini = _mini_settings(request)
    recipe = make_recipe(request, _source(mini))
    count = worker_count(request.workers)
    engine = check_engine(request.engine, request.address, request.workers)
    workers = Workers(count, engine, request.address, check_time_limit(request.time_limit))
    part = parse_array_part(request.array) if request.array is not None else None
    resume = ResumeOptions(request.allow_missing, parse_retry(request.retry))
    out = as_path(request.out) if request.out is not None else manifest_home(request.dataset)
    check_output_folder(out, "--out DIR")
    check_folder(out, recipe.to_json())
    if mini is None:
        root = find_root(request.dataset, request.root)
    else:
        root = as_path(request.root) if request.root is not None else mini_home()
        mini = _unless_generated(root, mini)
    shards = plan_shards(recipe, root) if mini is None else None
    return PreparationPlan(recipe, root, out, workers, shards, mini, part, request.quiet, resume)


def _unless_generated(root: Path, settings: MiniSettings) -> MiniSettings | None:
    # The settings, unless the complete data set with these settings is there already.
    from dfbench.mini.generate import is_generated

    with translate_os_errors(root):
        if is_generated(root, settings):
            return None
    if isinstance(root, StoredPath):
        raise UsageError(
            f"{root} does not hold the complete mini data set with these settings, and it is not generated in a store",
            "generate it on disk, dfbench prepare mini --root DIR, then copy DIR there",
        )
    check_output_folder(root, "--root DIR")
    return settings


def mini_home() -> Path:
    """Where the embedded data set is generated by default."""
    return workspace() / "data" / MINI


def _mini_settings(request: PreparationRequest) -> MiniSettings | None:
    # A requested subset that is not generated by default is generated as well.
    if request.dataset != MINI:
        if request.mini is not None:
            raise UsageError("settings of the embedded data set require the data set mini", "drop mini=")
        return None
    from dfbench.mini.settings import default_settings

    settings = request.mini or default_settings()
    subsets = set(get_adapter(MINI).filters(request.subsets).subsets)
    protocol = as_protocol(request.protocol)
    if protocol is not None:
        subsets |= {subset for part in protocol.data if part.dataset == MINI for subset in part.subsets}
    return replace(settings, subsets=tuple(dict.fromkeys((*settings.subsets, *sorted(subsets)))))


def _source(settings: MiniSettings | None) -> dict[str, Any]:
    # The settings of a generated data set decide its pixels and belong to the recipe; files on disk decide themselves.
    if settings is None:
        return {}
    from dfbench.mini.facemodel import model_sha256

    return {"settings": settings.to_json(), "hash": settings.hash(model_sha256())}
