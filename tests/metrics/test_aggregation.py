import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from dfbench.errors import DataError, UndefinedMetric, UsageError
from dfbench.metrics import AGGREGATIONS, aggregate, auc

REFERENCE = {
    "mean": np.mean,
    "mean-logit": lambda s: expit(np.mean(np.clip(logit(s), logit(1e-7), -logit(1e-7)))),
    "max": np.max,
    "median": np.median,
    "vote": lambda s: np.mean(np.asarray(s) >= 0.4),
}
videos_of_frames = st.dictionaries(
    st.text("ab/#_", min_size=1, max_size=4),
    st.tuples(st.integers(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=9)),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("how", AGGREGATIONS)
@given(videos_of_frames, st.randoms(use_true_random=False))
def test_against_each_video_alone(how, videos, random):
    rows = [(name, label, s) for name, (label, frames) in videos.items() for s in frames]
    random.shuffle(rows)
    names, labels, scores = zip(*rows, strict=True)
    found = aggregate(names, labels, scores, how, threshold=0.4)
    assert found.media_ids.tolist() == sorted(videos)
    for name, label, score, frames in zip(found.media_ids, found.labels, found.scores, found.frames, strict=True):
        assert label == videos[name][0]
        assert frames == len(videos[name][1])
        assert score == pytest.approx(REFERENCE[how](videos[name][1]), abs=1e-12)
        assert 0 <= score <= 1


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_equal_frames_stay_tied_whatever_their_number(how):
    counts = range(1, 60)
    names = [f"v{n:02d}" for n in counts for _ in range(n)]
    found = aggregate(names, [n % 2 for n in counts for _ in range(n)], [0.1] * len(names), how)
    assert len(set(found.scores)) == 1
    assert auc(found.labels, found.scores) == 0.5


def test_same_clip_name_under_each_manipulation_stays_apart():
    methods = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
    names = [f"ff++/c23/{m}/000_003" for m in methods for _ in range(2)]
    assert len(aggregate(names, [1] * 8, [0.5] * 8).media_ids) == 4


def test_mixed_labels_under_one_id_raise():
    with pytest.raises(DataError, match="1 media have frames of both labels, the first is b"):
        aggregate(["a", "b", "b"], [0, 0, 1], [0.1, 0.2, 0.3])


def test_bad_calls():
    with pytest.raises(UsageError, match="unknown aggregation 'avg'"):
        aggregate(["a"], [0], [0.1], "avg")
    with pytest.raises(DataError, match="different lengths: 1 and 2"):
        aggregate(["a"], [0, 1], [0.1, 0.2])
    with pytest.raises(UndefinedMetric):
        aggregate([], [], [])
