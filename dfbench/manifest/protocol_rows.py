"""Whether a manifest has the frames, faces and media that a protocol requests, and which of its rows those are.

A manifest may hold more than a protocol needs: all frames where every tenth is requested, or all faces where the
largest is. The rows to use then follow from the rule and the length of each clip, as they did in preparation. Random
subsets and fractional splits of media depend only on their ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.manifest.table import ManifestTable
from dfbench.schema.random_media import FractionalSplit, RandomSubset, Unit
from dfbench.schema.sampling import FrameSampling, Rule, make_rule

if TYPE_CHECKING:
    import pandas as pd

    from dfbench.protocols.protocol import DataPart, Sampling

_COLUMNS = ("media_id", "frame_index", "frame_count")
_UNIT_COLUMN: dict[Unit, str] = {"scene_group": "scene_group", "media": "media_id", "frame": "sample_id"}


def missing_sampling(manifest: ManifestTable, part: DataPart, wanted: Sampling) -> list[str]:
    """Say what a manifest lacks of the sampling of a data part; an empty list means that it lacks nothing."""
    # Shared geometry takes frame indices from the shortest clip, which rows of the longer ones do not show.
    known = manifest.info.geometry == "own"
    rules = [have for have in _rules(manifest, part) if not have.covers(wanted.rule, media_frames_known=known)]
    if rules and all(isinstance(r, FrameSampling) for r in (*rules, wanted.rule)) and _only_stills(manifest, part):
        rules = []  # every rule for single media selects the only frame of a still image
    problems = [f"frames {have.description}, the protocol needs {wanted.rule.description}" for have in rules]
    problems += [
        f"a random subset of media ({have}), the protocol needs {part.take or 'all of them'}"
        for have in _subsets(manifest, part)
        if not have.covers(part.take)
    ]
    faces = _faces(manifest)
    if faces != wanted.faces and (faces, wanted.faces) != ("all", "largest"):
        problems.append(f"the faces {faces!r}, the protocol needs {wanted.faces!r}")
    return list(dict.fromkeys(problems))


def sampled_rows(manifest: ManifestTable, part: DataPart, wanted: Sampling) -> npt.NDArray[np.bool_]:
    """Return which rows are requested as far as frames and faces go: bool (rows,).

    The manifest must serve the data part (:func:`missing_sampling`). Rows of other splits and subsets are not
    excluded here.
    """
    keep = np.ones(len(manifest), bool)
    if _faces(manifest) != wanted.faces:
        keep &= manifest.table(["face_index"])["face_index"].to_numpy() == 0
    rule = wanted.rule
    if isinstance(rule, FrameSampling) and any(have != rule for have in _rules(manifest, part)):
        keep &= _sampled_frames(manifest, part, rule)
    return keep


def _only_stills(manifest: ManifestTable, part: DataPart) -> bool:
    """Whether all media of a data part that could be read have a single frame."""
    counts = manifest.table(["frame_count"]).filter(_of_part(manifest, part))["frame_count"].drop_null()
    return len(counts) > 0 and bool((counts.to_numpy() == 1).all())


def _of_part(manifest: ManifestTable, part: DataPart) -> npt.NDArray[np.bool_]:
    """Which rows are of the split and the subsets of a data part: bool (rows,)."""
    table = manifest.table(["split", "subset"])
    of_part = np.asarray(table["split"].to_numpy() == part.split, np.bool_)
    return of_part & np.isin(table["subset"].to_numpy().astype(str), part.subsets) if part.subsets else of_part


def _sampled_frames(manifest: ManifestTable, part: DataPart, rule: FrameSampling) -> npt.NDArray[np.bool_]:
    table = manifest.table(list(_COLUMNS)).to_pandas()
    of_part = _of_part(manifest, part)
    keep = np.zeros(len(table), bool)
    keep[of_part] = select_frames(table[of_part], rule)
    return keep


def select_frames(table: pd.DataFrame, rule: FrameSampling) -> npt.NDArray[np.bool_]:
    """Return which rows hold the frames that a rule selects of each clip: bool (rows,).

    Args:
        table: with the columns media_id, frame_index, frame_count.
        rule: which frames.

    Raises:
        DataError: the length of a clip is not known although it was read.
    """
    keep = np.zeros(len(table), bool)
    every = table["frame_index"].to_numpy()
    for media_id, rows in table.groupby("media_id", sort=False).indices.items():
        frames = every[rows]
        length = table["frame_count"].iloc[rows].max()
        if not np.isnan(length):
            keep[rows] = np.isin(frames, rule.indices(int(length), str(media_id)))
        elif (frames < 0).all():  # a clip that did not open: -1, -2, ... represent the frames
            keep[rows] = frames >= -rule.rows_if_unreadable
        else:
            raise DataError(
                f"the manifest does not say how many frames {media_id} has, so {rule.description} cannot be selected",
                "prepare a manifest of these frames: dfbench prepare with the same protocol",
            )
    return keep


def subset_rows(manifest: ManifestTable, part: DataPart, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Reduce the rows of a data part to its random subset (``take``) and then its fractional split (``share``).

    Args:
        manifest: the manifest.
        part: the data part.
        rows: bool (rows,), the rows of the data part.

    Returns:
        Bool (rows,).
    """
    keep = rows.copy()
    if part.take is not None:
        keep[rows] &= _in_subset(manifest, part.take, rows)
    if part.share is not None:
        keep[rows] &= _in_fraction(manifest, part.share, rows)
    return keep


def _in_subset(manifest: ManifestTable, take: RandomSubset, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    table = manifest.table(["media_id", "label"]).filter(rows)
    names = table["media_id"].to_pylist()
    chosen = take.select(dict(zip(names, table["label"].to_pylist(), strict=True)).items())
    return np.array([name in chosen for name in names], bool)


def _in_fraction(manifest: ManifestTable, share: FractionalSplit, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    column = _UNIT_COLUMN[share.by]
    return share.contains(manifest.table([column]).filter(rows)[column].to_pylist())


def _rules(manifest: ManifestTable, part: DataPart) -> list[Rule]:
    """The frame rules by which the media of a data part were prepared."""
    recipe = manifest.info.recipe
    default = recipe.get("sampling", {})
    found = [make_rule(prepared.get("sampling", default)) for prepared in _prepared_parts(recipe, part)]
    return list(dict.fromkeys(found)) or [make_rule(default)]


def _subsets(manifest: ManifestTable, part: DataPart) -> list[RandomSubset]:
    """The random subsets by which the media of a data part were prepared; empty where all were."""
    prepared_parts = _prepared_parts(manifest.info.recipe, part)
    return [RandomSubset(**prepared["take"]) for prepared in prepared_parts if "take" in prepared]


def _prepared_parts(recipe: dict[str, Any], part: DataPart) -> Iterator[dict[str, Any]]:
    """The parts of a recipe that have media in common with a data part."""
    for prepared in recipe.get("parts") or [{}]:
        in_split = not prepared.get("splits") or part.split in prepared["splits"]
        subsets = prepared.get("subsets")
        in_subset = not subsets or not part.subsets or set(subsets) & set(part.subsets)
        if in_split and in_subset:
            yield prepared


def _faces(manifest: ManifestTable) -> str:
    return str(manifest.info.recipe.get("face_rule", "largest"))
