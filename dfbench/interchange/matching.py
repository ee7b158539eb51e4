"""Convert imported scores to rows of the scores table, matched to manifests or self-contained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dfbench.datasets.label_lists import normal
from dfbench.errors import DataError
from dfbench.evaluation.dataset import role_data
from dfbench.interchange.score_file import refuse_rows, whole_numbers
from dfbench.manifest.manifest import Manifest
from dfbench.protocols.protocol import Protocol
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.scores import FROM_MANIFEST, IDENTITIES

NO_SCORE = "no_score"
"""Status of a requested sample that is not in the file."""


def matched(rows: pd.DataFrame, manifests: Sequence[Manifest], protocol: Protocol | None) -> pd.DataFrame:
    """Assign the scores of a file to the rows of manifests.

    Requested are the test samples of the protocol; without a protocol, all samples of the splits and subsets that
    occur in the file. A requested sample that is not in the file has no score and the status of the manifest, or
    ``no_score``.

    Args:
        rows: from :func:`dfbench.interchange.score_file.read_score_file`, with ``sample_id``, or ``media_id`` and
            ``frame_index``.
        manifests: manifests of the data sets.
        protocol: protocol whose test samples the file must have.

    Raises:
        DataError: unknown, repeated or missing ids, or labels that differ from those of the manifest.
    """
    known = _samples_of(manifests, protocol)
    if "sample_id" not in rows and not known["sample_id"].str.endswith(".0").all():
        raise DataError(
            "frames of the manifest have several faces", "identify the face of each score by a column 'sample_id'"
        )
    rows = _with_sample_ids(rows)
    # Manifests of earlier versions have ids as a file system spelled them; those of the file are composed.
    stored = {normal(name): name for name in known["sample_id"] if not name.isascii()}
    if stored:
        rows = rows.assign(sample_id=rows["sample_id"].map(lambda name: stored.get(name, name)))
    key = ["sample_id", "condition"]
    refuse_rows(rows, rows.duplicated(key, keep=False).to_numpy(bool), "samples that occur more than once", "keep one")
    unknown = ~rows["sample_id"].isin(known["sample_id"]).to_numpy(bool)
    what = f"of protocol {protocol.name!r}" if protocol else "of the manifest"
    hint = "ids have the form dataset/subset/manipulation/name#FRAME.FACE; see: dfbench inspect"
    refuse_rows(rows, unknown, f"ids that are not {what}", hint)
    if protocol is None:
        parts = known[known["sample_id"].isin(rows["sample_id"])][["dataset", "split", "subset"]].drop_duplicates()
        known = known.merge(parts, on=["dataset", "split", "subset"])
    wanted = known.merge(rows[["condition"]].drop_duplicates(), how="cross")
    found = wanted.merge(rows, on=key, how="left", suffixes=("", "_file"), indicator=True)
    absent = (found["_merge"] == "left_only").to_numpy(bool)
    if protocol is not None:
        lost = found[absent & (found["status"] == "ok").to_numpy(bool)]
        if len(lost):
            raise DataError(
                f"{len(lost)} samples of {protocol.name!r} have no row, the first is {lost['sample_id'].iloc[0]}",
                "add a row for every sample; where the detector failed, with an empty score and a status other than ok",
            )
    if "label_file" in found:
        wrong = found[~absent & (found["label"] != found["label_file"]).to_numpy(bool)]
        if len(wrong):
            raise DataError(
                f"{len(wrong)} labels differ from the manifest, the first is {wrong['sample_id'].iloc[0]}",
                "real is 0, fake is 1; omit the column 'label' to use the labels of the manifest",
            )
    unscored = found["status"].where(found["status"] != "ok", NO_SCORE)
    status = found["status_file"].where(~absent, unscored)
    return found[[*FROM_MANIFEST, "condition", "score"]].assign(status=status, logit=found.get("logit", np.nan))


def self_contained(rows: pd.DataFrame) -> pd.DataFrame:
    """Convert the rows of a self-contained file with ``media_id``, ``label``, ``score`` and optional columns.

    Defaults: data set ``imported``, subset ``all``, manipulation ``real`` or ``fake`` by the label, condition
    ``clean``, frame 0, scene group the media id of the file.

    Raises:
        DataError: a column is missing, a label is not 0 or 1, a row is repeated, or a media id has two labels.
    """
    if "media_id" not in rows:
        raise DataError("the file has neither 'sample_id' nor 'media_id'", "add a column 'media_id'")
    refuse_rows(rows, (rows["media_id"] == "").to_numpy(bool), "rows without a media_id", "give every row a media_id")
    label = whole_numbers(rows, "label", (0, 1), "real is 0, fake is 1")
    rows = rows.assign(label=label)
    if "manipulation" in rows:
        named_real = (rows["manipulation"] == "real").to_numpy(bool)
        refuse_rows(rows, named_real & (label == 1), "fakes whose manipulation is 'real'", "name the forging method")
    several = rows.groupby("media_id")["label"].transform("nunique").to_numpy() > 1
    refuse_rows(rows, several, "media ids with two labels", "give reals and fakes different ids")
    frame = np.zeros(len(rows), np.int64)
    if "frame_index" in rows:
        frame = whole_numbers(rows, "frame_index", None, "frames count from 0")
    filled = {
        "dataset": _text(rows, "dataset", "imported"),
        "subset": _text(rows, "subset", "all"),
        "manipulation": _text(rows, "manipulation", rows["label"].map({0: "real", 1: "fake"})),
        "scene_group": _text(rows, "scene_group", rows["media_id"]),
    }
    rows = rows.assign(**filled)
    parts = zip(rows["dataset"], rows["subset"], rows["manipulation"], rows["media_id"], strict=True)
    rows = rows.assign(media_id=[_media_id(*names) for names in parts])
    rows["sample_id"] = [sample_id(media, int(n)) for media, n in zip(rows["media_id"], frame, strict=True)]
    twice = rows.duplicated(["sample_id", "condition"], keep=False).to_numpy(bool)
    hint = "one row per frame; without a column 'frame_index', one row per media_id"
    refuse_rows(rows, twice, "media or frames that occur more than once", hint)
    rows = rows.assign(split="test")
    rows["class"] = rows["manipulation"]
    rows[list(IDENTITIES)] = None
    if "logit" not in rows:
        rows["logit"] = np.nan
    return rows[[*FROM_MANIFEST, "condition", "score", "logit"]]


def _media_id(dataset: str, subset: str, manipulation: str, name: str) -> str:
    """Build a media id from a name; a name that is a media id already is returned unchanged."""
    return (
        name
        if name.startswith(f"{dataset}/{subset}/{manipulation}/")
        else media_id(dataset, subset, manipulation, name)
    )


def _text(rows: pd.DataFrame, name: str, default: str | pd.Series[Any]) -> pd.Series[Any]:
    if name not in rows:
        return default if isinstance(default, pd.Series) else pd.Series(default, rows.index)
    return rows[name].mask(rows[name] == "", default)


def _with_sample_ids(rows: pd.DataFrame) -> pd.DataFrame:
    if "sample_id" in rows:
        return rows
    if "media_id" not in rows or "frame_index" not in rows:
        raise DataError(
            "the file has neither 'sample_id' nor 'media_id' with 'frame_index', which matching to a manifest requires",
            "add them; or drop --manifest and add the columns media_id and label",
        )
    frame = whole_numbers(rows, "frame_index", None, "frames count from 0")
    pairs = zip(rows["media_id"], frame, strict=True)
    return rows.assign(sample_id=[sample_id(media, int(n)) for media, n in pairs])


def _samples_of(manifests: Sequence[Manifest], protocol: Protocol | None) -> pd.DataFrame:
    if protocol is None:
        return pd.concat([m.to_pandas(FROM_MANIFEST) for m in manifests], ignore_index=True)
    known: pd.DataFrame = role_data(protocol, manifests, "test").table.select(FROM_MANIFEST).to_pandas()
    return known
