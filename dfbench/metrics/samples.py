"""The samples of a metric: frames or videos, formed from the rows of a scores table.

For every metric the order is: one face per frame, then the failure policy, then one value per video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.metrics.aggregation import Videos, aggregate
from dfbench.metrics.exact_means import exact_means
from dfbench.metrics.people import People, people_of, recur_unnamed
from dfbench.metrics.validation import Labels, Scores, check_threshold
from dfbench.schema.scores import IDENTITIES

FailurePolicy = Literal["exclude", "as-real", "as-fake", "as-chance"]
FAILURE_POLICIES: tuple[FailurePolicy, ...] = get_args(FailurePolicy)
FaceAggregation = Literal["largest", "max", "mean"]
FACE_AGGREGATIONS: tuple[FaceAggregation, ...] = get_args(FaceAggregation)
_FILL: dict[str, float] = {"as-real": 0.0, "as-fake": 1.0, "as-chance": 0.5}
_PROBABILITY = "p:"
_GUESSED = "guessed"


@dataclass(frozen=True, eq=False)
class ClassCalls:
    """True and predicted class of each sample of a multi-class task.

    Attributes:
        truth: (N,) true class numbers.
        called: (N,) predicted class numbers; of equally probable classes the first.
    """

    truth: NDArray[np.int64]
    called: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MetricSamples:
    """What a metric is computed on: frames or videos.

    Attributes:
        labels: (N,) 0 real, 1 fake, int8.
        scores: (N,) P(fake), float64.
        groups: (N,) scene group number of each sample, 0 to G - 1.
        n_media: number of clips or images.
        n_real_media: number of real clips or images.
        classes: true and predicted classes of a multi-class task.
        chance: (N,) whether a sample has no score and counts as a guess in decisions, with the same share for every
            class; None: no sample does.
        people: people of each sample, where they recur in several scene groups.
        people_unknown: whether people recur in several scene groups of this data set without being named.
    """

    labels: Labels
    scores: Scores
    groups: NDArray[np.intp]
    n_media: int
    n_real_media: int
    classes: ClassCalls | None = None
    chance: NDArray[np.bool_] | None = None
    people: People | None = None
    people_unknown: bool = False

    @property
    def decided(self) -> Scores:
        """The scores that are compared with a threshold: all but those of guesses."""
        return self.scores if self.chance is None else self.scores[~self.chance]

    @property
    def cluster(self) -> str:
        """What is taken as independent: ``scene_group``, or ``people`` where they recur in several."""
        return "scene_group" if self.people is None else "people"

    @property
    def n_clusters(self) -> int:
        """Number of these units; of target or of source people, whichever is smaller."""
        return len(np.unique(self.groups)) if self.people is None else self.people.fewest

    def negatives_per_positive(self, real_positive: bool = False) -> float:
        """Return the number of negative samples for each positive one; positive is fake, or real."""
        fakes = int(self.labels.sum(dtype=np.int64))
        reals = len(self.labels) - fakes
        return fakes / reals if real_positive else reals / fakes


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Return the names of the columns with the probability of each class."""
    return [f"{_PROBABILITY}{name}" for name in classes]


def one_face(rows: pd.DataFrame, rule: str | None) -> pd.DataFrame:
    """Reduce several scored faces of a frame to one row per frame and condition.

    Args:
        rows: rows of a scores table.
        rule: ``largest``: the first face, which is the largest (or tracked) one of the frame; ``max``: the face with
            the highest score; ``mean``: the mean over the faces. For the last two, faces without a score are ignored
            if another face has one. None: a frame has one face.

    Raises:
        DataError: a frame has several rows and there is no rule.
    """
    frame = rows["sample_id"].str.rpartition(".")[0]
    again = frame.duplicated(keep=False)
    if not again.any():
        return rows
    if rule is None:
        raise DataError(
            f"several faces of one frame are scored, the first is {frame[again].iloc[0]}",
            "choose how they become one: --face-aggregation largest, max or mean; "
            "in a protocol: faces = 'largest', 'max' or 'mean' under [metrics]",
        )
    if rule == "largest":
        number = rows["sample_id"].str.rpartition(".")[2].astype(np.int64)
        return rows.loc[number.groupby(frame, sort=False).idxmin()]
    ordered = rows.assign(_failed=rows["status"] != "ok").sort_values(
        ["_failed", "score", "sample_id"], ascending=[True, False, True], kind="stable"
    )
    kept = ordered.groupby(frame, sort=False).head(1).drop(columns="_failed").sort_index()
    if rule == "mean":
        means = ["score", *(c for c in rows.columns if c.startswith(_PROBABILITY))]
        scored = rows[rows["status"] == "ok"].assign(_frame=frame).sort_values("_frame", kind="stable")
        names, counts = np.unique(scored["_frame"].to_numpy(str), return_counts=True)
        values = pd.DataFrame({c: exact_means(scored[c].to_numpy(np.float64), counts) for c in means}, index=names)
        kept = kept.assign(**{c: frame.loc[kept.index].map(values[c]) for c in means})
    return kept


def apply_policy(
    rows: pd.DataFrame, policy: str, classes: Sequence[str] = (), real_classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Apply a failure policy: rows without a score are excluded, or get the score of the policy.

    In a multi-class task ``as-real`` distributes the probability equally over ``real_classes`` (default: the classes
    of the reals in ``rows``), ``as-fake`` over the other classes, ``as-chance`` over all classes. With ``as-chance``,
    the rows without a score are marked: a score of 0.5 would be fake at a threshold of 0.5, and hence be judged as with
    ``as-fake``.
    """
    failed = rows["status"] != "ok"
    if policy == "exclude":
        return rows[~failed]
    filled = rows.assign(score=rows["score"].mask(failed, _FILL[policy]))
    if policy == "as-chance":
        filled[_GUESSED] = failed
    if classes and failed.any():
        real = set(real_classes) or set(rows.loc[rows["label"] == 0, "class"])
        share = {"as-real": [n in real for n in classes], "as-fake": [n not in real for n in classes]}
        weights = np.array(share.get(policy, [True] * len(classes)), np.float64)
        weights /= max(weights.sum(), 1)
        for column, weight in zip(probability_columns(classes), weights, strict=True):
            filled[column] = filled[column].mask(failed, weight)
    return filled


def samples_of(
    rows: pd.DataFrame, level: str, aggregation: str, threshold: float, classes: Sequence[str] = ()
) -> MetricSamples:
    """Form the frames or videos of rows that all have a score.

    Args:
        rows: one face per frame, after :func:`apply_policy`.
        level: ``frame`` or ``video``.
        aggregation: ``how`` of :func:`dfbench.metrics.aggregation.aggregate`.
        threshold: decision threshold of ``vote``.
        classes: class names of a multi-class task, in the order of the probabilities.
    """
    _, groups = np.unique(rows["scene_group"].to_numpy(str), return_inverse=True)
    guessed = rows[_GUESSED].to_numpy(bool) if _GUESSED in rows else np.zeros(len(rows), bool)
    people = None
    if set(IDENTITIES) <= set(rows.columns):
        identities = (rows[name].to_numpy(object) for name in IDENTITIES)
        people = people_of(rows["label"].to_numpy(np.int8), groups, *identities)
    unnamed = people is None and len(rows) > 0 and recur_unnamed(*rows[["dataset", "subset"]].iloc[0])
    if level == "frame" or not len(rows):
        labels, media = rows["label"].to_numpy(np.int8), rows["media_id"].to_numpy(str)
        reals = len(np.unique(media[labels == 0]))
        calls = _frame_calls(rows, classes) if classes else None
        scores = rows["score"].to_numpy(np.float64)
        chance = guessed if guessed.any() else None
        return MetricSamples(labels, scores, groups, len(np.unique(media)), reals, calls, chance, people, unnamed)
    videos = videos_of(rows, aggregation, threshold)
    calls = _video_calls(rows, classes, aggregation, guessed) if classes else None
    reals = int(np.sum(videos.labels == 0))
    chance = None
    if guessed.any():
        chance = rows.assign(**{_GUESSED: guessed}).groupby("media_id", sort=True)[_GUESSED].all().to_numpy(bool)
    people, n = None if people is None else people.of(videos.first), len(videos.labels)
    return MetricSamples(videos.labels, videos.scores, groups[videos.first], n, reals, calls, chance, people, unnamed)


def videos_of(rows: pd.DataFrame, aggregation: str, threshold: float) -> Videos:
    """Aggregate rows that all have a score; in a ``vote``, a frame that :func:`apply_policy` marked is half a vote.

    Args:
        rows: one face per frame, after :func:`apply_policy`.
        aggregation: ``how`` of :func:`dfbench.metrics.aggregation.aggregate`.
        threshold: decision threshold of ``vote``.
    """
    scores = rows["score"].to_numpy(np.float64)
    if aggregation == "vote" and _GUESSED in rows:
        scores = np.where(rows[_GUESSED], 0.5, scores >= check_threshold(threshold))
        aggregation = "mean"
    return aggregate(rows["media_id"].to_numpy(str), rows["label"].to_numpy(np.int8), scores, aggregation, threshold)


def requested_and_scored(rows: pd.DataFrame, level: str) -> dict[str, Any]:
    """Count requested media, and the scored among the requested samples of a level.

    Args:
        rows: all rows of one slice, with or without a score.
        level: ``frame``: every row is a sample; ``video``: every clip or image is one, scored if one of its rows is.

    Returns:
        The fields of a :class:`dfbench.schema.result.MetricValue` of that name: ``requested_media``, ``coverage``, and
        ``coverage_real`` and ``coverage_fake``, which are None without samples of that label.
    """
    scored, labels = rows["status"] == "ok", rows["label"]
    if level == "video":
        by_media = rows.assign(scored=scored).groupby("media_id", sort=False)
        scored, labels = by_media["scored"].any(), by_media["label"].first()

    def share(label: int) -> float | None:
        of = labels == label
        return float(scored[of].mean()) if of.any() else None

    return {
        "requested_media": int(rows["media_id"].nunique()),
        "coverage": float(scored.mean()),
        "coverage_real": share(0),
        "coverage_fake": share(1),
    }


def _frame_calls(rows: pd.DataFrame, classes: Sequence[str]) -> ClassCalls:
    table = rows[probability_columns(classes)].to_numpy(np.float64)
    return ClassCalls(_truth(rows["class"].to_numpy(str), classes), _first_highest(table))


def _video_calls(
    rows: pd.DataFrame, classes: Sequence[str], aggregation: str, guessed: NDArray[np.bool_]
) -> ClassCalls:
    """Aggregate the probability of each class like P(fake); ``vote`` counts the frames with that predicted class."""
    media, labels = rows["media_id"].to_numpy(str), rows["label"].to_numpy(np.int8)
    table = rows[probability_columns(classes)].to_numpy(np.float64)
    if aggregation == "vote":
        votes = np.eye(len(classes))[_first_highest(table)]
        table, aggregation = np.where(guessed[:, None], 1 / len(classes), votes), "mean"
    columns = [aggregate(media, labels, np.clip(column, 0, 1), aggregation) for column in table.T]
    truth = _truth(rows["class"].to_numpy(str)[columns[0].first], classes)
    return ClassCalls(truth, _first_highest(np.stack([c.scores for c in columns], axis=1)))


def _first_highest(table: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argmax(table, axis=1).astype(np.int64) if len(table) else np.zeros(0, np.int64)


def _truth(names: NDArray[np.str_], classes: Sequence[str]) -> NDArray[np.int64]:
    number = {name: i for i, name in enumerate(classes)}
    strange = sorted(set(names.tolist()) - set(number))
    if strange:
        raise DataError(
            f"the scores have the class {strange[0]!r}, the task has: {', '.join(classes)}",
            "pass the classes of the protocol that the detector was trained for",
        )
    return np.array([number[name] for name in names.tolist()], np.int64)
