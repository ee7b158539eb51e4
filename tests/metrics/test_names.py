import pytest

from dfbench.errors import UsageError
from dfbench.metrics import metric_names, parse_metric


@pytest.mark.parametrize("name", metric_names())
def test_names_parse_and_print_the_same(name):
    assert str(parse_metric(name)) == name


@pytest.mark.parametrize(
    "name", ["auc.vidoe.mean", "aucc.frame", "auc", "acc.frame.mean", "auc.video.mean.max", "", "."]
)
def test_unknown_names_are_answered_with_the_nearest(name):
    with pytest.raises(UsageError, match="unknown metric") as caught:
        parse_metric(name)
    assert "metrics acc, bacc, auc" in caught.value.hint


def test_did_you_mean():
    with pytest.raises(UsageError) as caught:
        parse_metric("auc.vidoe.mean")
    assert caught.value.hint.startswith("did you mean 'auc.video.mean'")


def test_video_needs_an_aggregation():
    with pytest.raises(UsageError, match="has no aggregation of frames to videos") as caught:
        parse_metric("auc.video")
    assert "auc.video.mean" in caught.value.hint
