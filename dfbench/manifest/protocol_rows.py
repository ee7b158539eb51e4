"""Whether a manifest has the frames and faces that a protocol asks for, and which of its rows those are.

A manifest can hold more than a protocol wants: all frames where every tenth is asked for, or all faces where the
largest is. Which rows to take then follows from the rule and the length of each clip, as it did when they were made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.schema.drawing import Take
from dfbench.schema.sampling import FrameSampling, Rule, make_rule

if TYPE_CHECKING:
    import pandas as pd

    from dfbench.manifest.manifest import Manifest
    from dfbench.protocols.protocol import DataPart, Sampling

_COLUMNS = ("media_id", "split", "subset", "frame_index", "frame_count")


def unserved(manifest: Manifest, part: DataPart, wanted: Sampling) -> list[str]:
    """What a manifest lacks of the sampling of a data part, in words; empty where it serves."""
    # Shared geometry takes indices from the shortest clip, which rows of the longer ones do not tell.
    known = manifest.info.geometry == "own"
    problems = [
        f"frames {have.words}, the protocol needs {wanted.rule.words}"
        for have in _rules(manifest, part)
        if not have.covers(wanted.rule, media_frames_known=known)
    ]
    problems += [
        f"media drawn by lot ({have}), the protocol needs {part.take or 'all of them'}"
        for have in _takes(manifest, part)
        if not have.covers(part.take)
    ]
    faces = _faces(manifest)
    if faces != wanted.faces and (faces, wanted.faces) != ("all", "largest"):
        problems.append(f"the faces {faces!r}, the protocol needs {wanted.faces!r}")
    return list(dict.fromkeys(problems))


def asked_for(manifest: Manifest, part: DataPart, wanted: Sampling) -> npt.NDArray[np.bool_]:
    """Which rows of a manifest that serves a data part are asked for, as far as frames and faces go: bool (rows,).

    Rows of other splits and subsets are not told apart here.
    """
    count = sum(shard.rows for shard in manifest.info.shards)
    keep = np.ones(count, bool)
    if _faces(manifest) != wanted.faces:
        keep &= manifest.table(["face_index"])["face_index"].to_numpy() == 0
    rule = wanted.rule
    if isinstance(rule, FrameSampling) and any(have != rule for have in _rules(manifest, part)):
        keep &= _wanted_frames(manifest, part, rule)
    return keep


def _wanted_frames(manifest: Manifest, part: DataPart, rule: FrameSampling) -> npt.NDArray[np.bool_]:
    table = manifest.table(list(_COLUMNS)).to_pandas()
    here = table["split"] == part.split
    if part.subsets:
        here &= table["subset"].isin(part.subsets)
    keep = np.zeros(len(table), bool)
    keep[here.to_numpy()] = pick_frames(table[here], rule)
    return keep


def pick_frames(table: pd.DataFrame, rule: FrameSampling) -> npt.NDArray[np.bool_]:
    """Which rows hold the frames that a rule wants of each clip: bool (rows,).

    Args:
        table: with the columns media_id, frame_index, frame_count.
        rule: which frames.

    Raises:
        DataError: a clip's length is not known although it was read.
    """
    keep = np.zeros(len(table), bool)
    every = table["frame_index"].to_numpy()
    for media_id, places in table.groupby("media_id", sort=False).indices.items():
        frames = every[places]
        length = table["frame_count"].iloc[places].max()
        if not np.isnan(length):
            keep[places] = np.isin(frames, rule.indices(int(length), str(media_id)))
        elif (frames < 0).all():  # a clip that did not open: -1, -2, ... stand for the frames
            keep[places] = frames >= -rule.rows_if_unreadable
        else:
            raise DataError(
                f"the manifest does not say how many frames {media_id} has, so {rule.words} can not be picked out",
                "make a manifest of these frames: dfbench prepare, with the same protocol",
            )
    return keep


def _rules(manifest: Manifest, part: DataPart) -> list[Rule]:
    """The frame rules by which the media of a data part were prepared."""
    recipe = manifest.info.recipe
    default = recipe.get("sampling", {})
    found = [make_rule(prepared.get("sampling", default)) for prepared in _prepared_parts(recipe, part)]
    return list(dict.fromkeys(found)) or [make_rule(default)]


def _takes(manifest: Manifest, part: DataPart) -> list[Take]:
    """The draws by which the media of a data part were prepared; empty where all were."""
    return [Take(**prepared["take"]) for prepared in _prepared_parts(manifest.info.recipe, part) if "take" in prepared]


def _prepared_parts(recipe: dict[str, Any], part: DataPart) -> Iterator[dict[str, Any]]:
    """The parts of a recipe that have media in common with a data part."""
    for prepared in recipe.get("parts") or [{}]:
        in_split = not prepared.get("splits") or part.split in prepared["splits"]
        subsets = prepared.get("subsets")
        in_subset = not subsets or not part.subsets or set(subsets) & set(part.subsets)
        if in_split and in_subset:
            yield prepared


def _faces(manifest: Manifest) -> str:
    return str(manifest.info.recipe.get("face_rule", "largest"))
