"""``prepare``: a data set's tree becomes a manifest; what is finished is never made twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import find_root, manifest_home, workspace
from dfbench.datasets.adapter import Scan
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.manifest.manifest import Manifest
from dfbench.preparation.execution.engine import check_engine, job_count
from dfbench.preparation.execution.output_folder import check_folder
from dfbench.preparation.execution.run import Plan, Workers, run_plan
from dfbench.preparation.extraction.masks import without_mask
from dfbench.preparation.planning.job_array import parse_portion
from dfbench.preparation.planning.recipe import Recipe
from dfbench.preparation.planning.request import MINI, Request, resolve
from dfbench.preparation.planning.sampling import FrameSampling, assign, without_base
from dfbench.preparation.planning.sharding import Shard, cut, rows_per_shard
from dfbench.preparation.planning.subset import expected_of, taken_media, too_few
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.media import Media

if TYPE_CHECKING:
    from dfbench.mini.settings import MiniSettings


def make_plan(recipe: Recipe, root: Path) -> Plan:
    """Scan the tree and cut what the recipe takes into shards.

    Raises:
        DataError: nothing of what the recipe takes lies there.
    """
    adapter = get_adapter(recipe.dataset)
    found = adapter.scan(
        root,
        _union([p.subsets for p in recipe.parts]),
        _union([p.splits for p in recipe.parts]),
        _union([p.manipulations for p in recipe.parts]),
    )
    media = taken_media(found.media, recipe)
    if not media:
        raise DataError(f"no clip in {root} is taken by the recipe", "loosen --subset, --split and --manipulation")
    scan = Scan(
        root=found.root,
        media=media,
        expected=expected_of(found.expected, recipe),
        missing=expected_of(found.missing, recipe),
        excluded=found.excluded,
        warnings=(
            *found.warnings,
            *without_base(media, recipe.face_rule),
            *without_mask(media, found.root, recipe.masks),
            *too_few(found.media, recipe),
        ),
    )
    return Plan(recipe, found.root, scan, _cut(media, recipe))


def _cut(media: Sequence[Media], recipe: Recipe) -> tuple[Shard, ...]:
    if isinstance(recipe.sampling, FrameSampling) and not any(part.sampling for part in recipe.parts):
        rows = recipe.sampling.rows_planned
        return cut(media, rows, rows_per_shard(rows * len(media)))
    rules = assign(media, recipe.rule_of)
    return cut(media, 0, rows_per_shard(sum(rule.rows_planned for rule in rules.values())), rules)


def _union(choices: Sequence[tuple[str, ...]]) -> list[str]:
    # An empty choice means all, and so does a union with one.
    return sorted({name for names in choices for name in names}) if all(choices) else []


def prepare(
    dataset: str,
    root: str | Path | None = None,
    out: str | Path | None = None,
    *,
    protocol: Protocol | str | Path | None = None,
    frames: int | None = None,
    every: int | None = None,
    max_frames: int | None = None,
    sizes: Sequence[int] | None = None,
    profile: str | None = None,
    subsets: Sequence[str] = (),
    splits: Sequence[str] = (),
    manipulations: Sequence[str] = (),
    sampling: str | Sequence[str] = (),
    face_rule: str | None = None,
    geometry: str = "own",
    jobs: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    shards: str | None = None,
    face_detector: str = "centerface",
    face_model: str | Path | None = None,
    dlib_predictor: str | Path | None = None,
    device: str = "cpu",
    landmarks: str | None = None,
    patch: bool = False,
    masks: bool = False,
    degrade: str | None = None,
    decoder: str = "pyav",
    seed: int = 0,
    quiet: bool = False,
    mini: MiniSettings | None = None,
) -> Manifest:
    """Turn a data set into a manifest of aligned face crops.

    Every requested frame gives a row with a status; finished shards are kept over kills and never made again; the
    same tree, recipe and versions give byte-identical shards with any number of jobs.

    Args:
        dataset: ``ff++``, ``mini``, ...; see ``dfbench list datasets``.
        root: the data set's folder or its parent; default: the configuration. For ``mini``: where it is generated,
            default ``data/mini`` in the workspace.
        out: the manifest's folder; default ``manifests/DATASET`` in the workspace.
        protocol: takes frames, crops and media from a protocol (name, file or object).
        frames: frames a clip, evenly spread; default 32.
        every: every so many frames, instead of ``frames``.
        max_frames: at most this many, with ``every``.
        sizes: crop sizes in pixels; default 128 and 224.
        profile: crop profile; default ``native``.
        subsets: keep these; default: all that is there.
        splits: keep these.
        manipulations: keep the fakes of these methods; reals always stay.
        sampling: other frame rules, ``[SPLIT:]RULE``: ``all``, ``random=20``, ``clips=4,length=16``, ``first=32``,
            ``total_real=N,total_per_method=N``, ``test:frames=100``; several for several splits.
        face_rule: ``largest``, ``track``, ``all`` or ``manipulated``; default ``largest``.
        geometry: ``own``: faces are found in every clip; ``shared``: in the base clip, for all made from it.
        jobs: worker processes; default: one a core.
        engine: ``local``: processes of this machine; ``dask`` or ``ray``: a cluster; ``inline``: this process.
            Default: ``inline`` for one job, else ``local``.
        address: of the cluster's scheduler; default: workers of that engine on this machine.
        shards: ``I/N``: make the I-th of N parts alone, for array jobs; ``dfbench merge`` joins them.
        face_detector: name of the face detector.
        face_model: model pack for ``insightface``: a folder or file of your own.
        dlib_predictor: landmark file for ``dlib``, which makes the profile ``dfb256`` exact.
        device: where the face detector runs: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.
        landmarks: an installed provider of dense landmarks, which are stored.
        patch: store the source around each face too, so that ``dfbench recrop`` needs no videos.
        masks: store crops of the fakes' mask videos too (``ff++``, ``dfd``).
        degrade: condition that the crops are made under, for example ``h264:crf=40@clip``; faces are found in the
            untouched frames.
        decoder: name of the video reader.
        seed: for whatever draws at random; kept in the recipe.
        quiet: no progress bar.
        mini: settings of the embedded data set.

    Raises:
        UsageError: an unknown name, an option out of range, or ``out`` holds a manifest of another recipe.
        DataError: no tree, nothing in it, or ``out`` holds something else.
        SetupError: the disk is full, a worker keeps dying, or another run is at work in ``out``.
    """
    mini = _mini_settings(dataset, mini, subsets, protocol)
    request = Request(
        dataset,
        protocol=protocol,
        frames=frames,
        every=every,
        max_frames=max_frames,
        sizes=tuple(sizes) if sizes is not None else None,
        profile=profile,
        subsets=tuple(subsets),
        splits=tuple(splits),
        manipulations=tuple(manipulations),
        sampling=(sampling,) if isinstance(sampling, str) else tuple(sampling),
        face_rule=face_rule,
        geometry=geometry,
        face_detector=face_detector,
        face_model=face_model,
        dlib_predictor=dlib_predictor,
        device=device,
        landmarks=landmarks,
        patch=patch,
        masks=masks,
        degrade=degrade,
        decoder=decoder,
        seed=seed,
        source=_source(mini),
    )
    recipe = resolve(request)
    workers = Workers(job_count(jobs), check_engine(engine, address, jobs), address)
    portion = parse_portion(shards) if shards is not None else None
    folder = plan_folder(dataset, out)
    check_folder(folder, recipe.to_json())
    tree = _tree(dataset, root, mini, job_count(jobs), quiet)
    return run_plan(make_plan(recipe, tree), folder, workers, quiet, portion)


def dry_run(
    dataset: str,
    root: str | Path | None = None,
    out: str | Path | None = None,
    *,
    sizes: Sequence[int] | None = None,
    subsets: Sequence[str] = (),
    splits: Sequence[str] = (),
    manipulations: Sequence[str] = (),
    sampling: str | Sequence[str] = (),
    mini: MiniSettings | None = None,
    **options: Any,
) -> Plan | None:
    """Check everything that :func:`prepare` would check and plan its work, writing nothing.

    Args and errors are those of :func:`prepare`.

    Returns:
        The plan; None for the embedded data set while it is not generated.
    """
    mini = _mini_settings(dataset, mini, subsets, options.get("protocol"))
    request = Request(
        dataset,
        sizes=tuple(sizes) if sizes is not None else None,
        subsets=tuple(subsets),
        splits=tuple(splits),
        manipulations=tuple(manipulations),
        sampling=(sampling,) if isinstance(sampling, str) else tuple(sampling),
        source=_source(mini),
        **options,
    )
    recipe = resolve(request)
    check_folder(plan_folder(dataset, out), recipe.to_json())
    if dataset == MINI:
        tree = _mini_root(root)
        return make_plan(recipe, tree) if (tree / "mini.json").is_file() else None
    return make_plan(recipe, find_root(dataset, root))


def plan_folder(dataset: str, out: str | Path | None) -> Path:
    """The manifest's folder: as given, else by default."""
    return Path(out).expanduser() if out is not None else manifest_home(dataset)


def _mini_root(root: str | Path | None) -> Path:
    return Path(root).expanduser() if root is not None else mini_home()


def _mini_settings(
    dataset: str, given: MiniSettings | None, subsets: Sequence[str], protocol: Protocol | str | Path | None
) -> MiniSettings | None:
    # A subset that is asked for and not generated by default is generated too.
    if dataset != MINI:
        return None
    from dfbench.mini.settings import MiniSettings

    settings = given or MiniSettings()
    wanted = set(get_adapter(MINI).filters(subsets).subsets)
    if protocol is not None:
        loaded = load_protocol(protocol) if isinstance(protocol, str | Path) else protocol
        wanted |= {subset for part in loaded.data if part.dataset == MINI for subset in part.subsets}
    return replace(settings, subsets=tuple(dict.fromkeys((*settings.subsets, *sorted(wanted)))))


def _source(settings: MiniSettings | None) -> dict[str, Any]:
    # What decides the pictures of a generated data set belongs to the recipe; one on disk decides them itself.
    if settings is None:
        return {}
    from dfbench.mini.facemodel import model_sha256

    return {"settings": settings.to_json(), "hash": settings.hash(model_sha256())}


def _tree(dataset: str, root: str | Path | None, mini: MiniSettings | None, jobs: int, quiet: bool) -> Path:
    if dataset != MINI:
        return find_root(dataset, root)
    from dfbench.mini.generate import generate

    return generate(_mini_root(root), mini, jobs=jobs, quiet=quiet)


def mini_home() -> Path:
    """Where the embedded data set is generated by default."""
    return workspace() / "data" / MINI
