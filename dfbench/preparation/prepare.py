"""``prepare``: a data set's tree becomes a manifest; what is finished is never made twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import find_root, manifests_home, workspace
from dfbench.datasets.adapter import Counts, Scan
from dfbench.datasets.counts import flat, nested
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.manifest.info import read_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, read_stamp, sha256_of
from dfbench.preparation.engine import job_count, run_tasks
from dfbench.preparation.finish import finish, start
from dfbench.preparation.folder import check_folder, clear_temporary, locked, remove_stale_shards
from dfbench.preparation.plan import Shard, cut, rows_per_shard
from dfbench.preparation.recipe import Recipe
from dfbench.preparation.resolve import MINI, Request, resolve
from dfbench.preparation.tally import watched
from dfbench.preparation.versions import pixel_versions
from dfbench.preparation.worker import ShardTask, run_shard
from dfbench.progress import progress
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.manifest import ShardInfo

if TYPE_CHECKING:
    from dfbench.mini.settings import MiniSettings


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        recipe: what decides rows and pixels.
        root: the data set's tree.
        scan: what lies there, within the recipe.
        shards: the work.
    """

    recipe: Recipe
    root: Path
    scan: Scan
    shards: tuple[Shard, ...]


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
    media = tuple(m for m in found.media if recipe.takes(m.subset, m.split, m.manipulation))
    if not media:
        raise DataError(f"no clip in {root} is taken by the recipe", "loosen --subset, --split and --manipulation")
    if any(m.kind == "sequence" for m in media):
        raise DataError(
            f"{root} holds image sequences, which this version does not prepare", "give the tree of the clips instead"
        )
    scan = Scan(
        root=found.root,
        media=media,
        expected=_narrow(found.expected, recipe),
        missing=_narrow(found.missing, recipe),
        left_out=found.left_out,
        warnings=found.warnings,
    )
    rows = recipe.sampling.rows_planned
    return Plan(recipe, found.root, scan, cut(media, rows, rows_per_shard(rows * len(media))))


def _union(choices: Sequence[tuple[str, ...]]) -> list[str]:
    # An empty choice means all, and so does a union with one.
    return sorted({name for names in choices for name in names}) if all(choices) else []


def _narrow(counts: Counts, recipe: Recipe) -> Counts:
    return nested((cell, n) for cell, n in flat(counts) if recipe.takes(cell[0], cell[1], cell[3]))


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
    jobs: int | None = None,
    face_detector: str = "centerface",
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
        jobs: worker processes; default: one a core.
        face_detector: name of the face detector.
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
        face_detector=face_detector,
        decoder=decoder,
        seed=seed,
        source=_source(mini),
    )
    recipe = resolve(request)
    workers = job_count(jobs)
    folder = _out(dataset, out)
    check_folder(folder, recipe.to_json())
    tree = _tree(dataset, root, mini, workers, quiet)
    return run_plan(make_plan(recipe, tree), folder, workers, quiet)


def dry_run(
    dataset: str,
    root: str | Path | None = None,
    out: str | Path | None = None,
    *,
    sizes: Sequence[int] | None = None,
    subsets: Sequence[str] = (),
    splits: Sequence[str] = (),
    manipulations: Sequence[str] = (),
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
        source=_source(mini),
        **options,
    )
    recipe = resolve(request)
    check_folder(_out(dataset, out), recipe.to_json())
    if dataset == MINI:
        tree = _mini_root(root)
        return make_plan(recipe, tree) if (tree / "mini.json").is_file() else None
    return make_plan(recipe, find_root(dataset, root))


def _out(dataset: str, out: str | Path | None) -> Path:
    return Path(out).expanduser() if out is not None else manifests_home() / dataset


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


def run_plan(plan: Plan, out: Path, jobs: int, quiet: bool = False) -> Manifest:
    """Make what is not yet made of a plan, and finish the manifest.

    Args:
        plan: from :func:`make_plan`.
        out: the manifest's folder.
        jobs: worker processes.
        quiet: no progress bar.
    """
    with locked(out):
        check_folder(out, plan.recipe.to_json())
        clear_temporary(out)
        try:
            return _run(plan, out, jobs, quiet)
        finally:
            clear_temporary(out)


def _run(plan: Plan, out: Path, jobs: int, quiet: bool) -> Manifest:
    finished = [shard for shard in plan.shards if _is_finished(out, shard, plan.recipe)]
    known = _known_hashes(out)
    names = {shard.file for shard in finished}
    todo = [shard for shard in plan.shards if shard.file not in names]
    if not todo and set(known) == names:
        return open_manifest(out)
    start(plan.recipe, plan.scan, out)
    remove_stale_shards(out, {shard.file for shard in plan.shards})
    versions = pixel_versions()
    tasks = [ShardTask(shard, plan.root, out, plan.recipe, _stamp(plan.recipe, shard, versions)) for shard in todo]
    clips = len(plan.scan.media)
    done = sum(len(shard.media) for shard in finished)
    with progress(f"prepare {plan.recipe.dataset}", clips, "clips", done, quiet) as advance, watched(out, advance):
        made = run_tasks(run_shard, tasks, jobs, out)
    kept = [_describe(out, shard, known) for shard in finished]
    finish(plan.recipe, plan.scan, out, sorted([*made, *kept], key=lambda s: s.file))
    return open_manifest(out)


def _stamp(recipe: Recipe, shard: Shard, versions: dict[str, str]) -> Stamp:
    return Stamp(recipe_hash=recipe.hash, plan_hash=shard.hash, versions=versions)


def _is_finished(out: Path, shard: Shard, recipe: Recipe) -> bool:
    # Versions may differ: a finished shard is kept, and manifest.json names all versions that took part.
    stamp = read_stamp(out / shard.file)
    return stamp is not None and stamp == _stamp(recipe, shard, stamp.versions)


def _known_hashes(out: Path) -> dict[str, ShardInfo]:
    try:
        info = read_info(out)
    except DataError:
        return {}
    return {s.file: s for s in info.shards} if info.complete else {}


def _describe(out: Path, shard: Shard, known: dict[str, ShardInfo]) -> ShardInfo:
    if shard.file in known:
        return known[shard.file]
    import pyarrow.parquet as pq

    path = out / shard.file
    return ShardInfo(file=shard.file, sha256=sha256_of(path), rows=pq.read_metadata(path).num_rows)
