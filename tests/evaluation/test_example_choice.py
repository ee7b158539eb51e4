"""Which samples a run stores images of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dfbench.evaluation.examples import WORST, choose_examples
from dfbench.schema.ids import media_id, sample_id


def frame_of(scores: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    rows = [
        {"sample_id": sample_id(clip, i), "media_id": clip, "dataset": "d", "subset": "s", "manipulation": method,
         "label": int(method != "real"), "score": score}
        for (method, name), values in scores.items()
        for clip in [media_id("d", "s", method, name)]
        for i, score in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_worst_are_of_different_clips() -> None:
    frame = frame_of({("real", "a"): [0.9, 0.95, 0.99], ("real", "b"): [0.5, 0.1], ("real", "c"): [0.2]})
    found = [(frame["sample_id"][place].rpartition("/")[2], kind) for place, kind in choose_examples(frame)]
    assert found[0][1] == "typical"
    assert [name for name, kind in found if kind == "worst"] == ["a#000002.0", "b#000000.0", "c#000000.0"]


def test_each_manipulation_has_its_own_and_no_more_than_asked() -> None:
    rng = np.random.default_rng(0)
    frame = frame_of({(m, str(i)): rng.random(3).tolist() for m in ("real", "x", "y") for i in range(6)})
    found = list(choose_examples(frame))
    for method, part in frame.groupby("manipulation"):
        own = [(place, kind) for place, kind in found if frame["manipulation"][place] == method]
        assert [kind for _, kind in own] == ["typical"] + ["worst"] * WORST
        away = (part["score"] - part["label"]).abs()
        assert away[own[1][0]] == away.max()
        typical = part["score"][own[0][0]]
        assert (part["score"] - part["score"].median()).abs().min() == abs(typical - part["score"].median())
