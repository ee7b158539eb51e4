import brute_force
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from dfbench import metrics as m
from dfbench.errors import DataError, UndefinedMetric, UsageError

labels_and_scores = st.integers(1, 25).flatmap(
    lambda n: (
        st.tuples(
            st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda y: len(set(y)) == 2),
            st.one_of(
                st.lists(st.floats(0, 1), min_size=n, max_size=n),
                st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n),  # heavily tied
                st.floats(0, 1).map(lambda v: [v] * n),  # constant
            ),
        )
        if n > 1
        else st.nothing()
    )
)


@given(labels_and_scores, st.floats(0, 1))
def test_against_brute_force(case, threshold):
    y, s = case
    assert m.auc(y, s) == pytest.approx(brute_force.auc(y, s), abs=1e-12)
    assert m.eer(y, s) == pytest.approx(brute_force.eer(y, s), abs=1e-12)
    assert m.accuracy(y, s, threshold) == pytest.approx(brute_force.accuracy(y, s, threshold), abs=1e-12)
    assert m.balanced_accuracy(y, s, threshold) == pytest.approx(brute_force.balanced(y, s, threshold), abs=1e-12)


@pytest.mark.slow
@given(labels_and_scores)
def test_against_sklearn(case):
    y, s = np.array(case[0]), np.array(case[1])
    assert m.auc(y, s) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)
    assert m.accuracy(y, s) == pytest.approx(sk.accuracy_score(y, s >= 0.5), abs=1e-12)
    assert m.balanced_accuracy(y, s) == pytest.approx(sk.balanced_accuracy_score(y, s >= 0.5), abs=1e-12)
    fpr, tpr, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    curve = m.roc_curve(y, s)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


@given(labels_and_scores, st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.5, 0.9]))
def test_more_metrics_against_brute_force(case, limit):
    y, s = case
    assert m.average_precision(y, s) == pytest.approx(brute_force.average_precision(y, s), abs=1e-12)
    assert m.tpr_at_fpr(y, s, limit) == brute_force.tpr_at_fpr(y, s, limit)
    area = brute_force.partial_auc(y, s, limit)
    assert m.partial_auc(y, s, limit) == pytest.approx(area, abs=1e-12)
    least, most = limit**2 / 2, limit
    assert m.partial_auc_mcclish(y, s, limit) == pytest.approx((1 + (area - least) / (most - least)) / 2, abs=1e-12)
    assert m.ece(y, s) == pytest.approx(brute_force.ece(y, s), abs=1e-12)


@pytest.mark.slow
@given(labels_and_scores, st.sampled_from([0.05, 0.3, 0.7]))
def test_more_metrics_against_sklearn(case, limit):
    y, s = np.array(case[0]), np.array(case[1])
    assert m.average_precision(y, s) == pytest.approx(sk.average_precision_score(y, s), abs=1e-12)
    assert m.partial_auc_mcclish(y, s, limit) == pytest.approx(sk.roc_auc_score(y, s, max_fpr=limit), abs=1e-12)
    assert m.brier(y, s) == pytest.approx(sk.brier_score_loss(y, s), abs=1e-12)
    assert m.log_loss(y, s) == pytest.approx(sk.log_loss(y, np.stack([1 - s, s], axis=1)), rel=1e-9, abs=1e-12)


@given(st.integers(2, 5).flatmap(lambda c: st.lists(st.tuples(*[st.integers(0, c - 1)] * 2), min_size=1, max_size=30)))
def test_several_classes_against_sklearn_and_brute_force(pairs):
    truth, called = zip(*pairs, strict=True)
    classes = 1 + max(*truth, *called)
    np.testing.assert_array_equal(
        m.confusion_matrix(truth, called, classes), sk.confusion_matrix(truth, called, labels=range(classes))
    )
    assert m.multiclass_accuracy(truth, called, classes) == pytest.approx(sk.accuracy_score(truth, called))
    occurring = sorted(set(truth))
    expected = sk.f1_score(truth, called, labels=occurring, average="macro", zero_division=0)
    assert m.macro_f1(truth, called, classes) == pytest.approx(expected)
    assert m.macro_f1(truth, called, classes) == pytest.approx(
        np.mean([brute_force.f1(truth, called, name) for name in occurring])
    )


def test_classes_are_checked():
    with pytest.raises(DataError, match="between 0 and 1"):
        m.confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(DataError, match="vector of integers"):
        m.confusion_matrix([0.5], [0], 2)
    with pytest.raises(DataError, match="different lengths: 2 and 1"):
        m.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(UndefinedMetric):
        m.macro_f1([], [], 2)


@pytest.mark.slow
def test_large_input():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200_000)
    for s in (rng.random(len(y)), np.round(rng.random(len(y)), 2), np.full(len(y), 0.3)):
        assert m.auc(y, s) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)
        assert m.average_precision(y, s) == pytest.approx(sk.average_precision_score(y, s), abs=1e-10)
        fpr, tpr, _ = sk.roc_curve(y, s, drop_intermediate=False)
        crossing = np.interp(0, tpr + fpr - 1, fpr)
        assert m.eer(y, s) == pytest.approx(crossing, abs=1e-9)
        assert m.tpr_at_fpr(y, s, 0.001) == pytest.approx(tpr[fpr <= 0.001].max())


@pytest.mark.slow
@given(labels_and_scores)
def test_invariances(case):
    y, s = np.array(case[0]), np.array(case[1])
    ranks = np.unique(s, return_inverse=True)[1] / len(s)  # a strictly increasing transform that keeps ties
    assert m.auc(y, ranks) == m.auc(y, s)
    assert m.eer(y, ranks) == m.eer(y, s)
    flipped = 1 - np.unique(s, return_inverse=True)[1] / len(s)
    assert m.auc(1 - y, flipped) == pytest.approx(m.auc(y, s), abs=1e-12)
    assert m.eer(1 - y, flipped) == pytest.approx(m.eer(y, s), abs=1e-12)
    order = np.random.default_rng(0).permutation(len(y))
    assert m.auc(y[order], s[order]) == m.auc(y, s)


@given(labels_and_scores)
def test_eer_threshold_is_finite_and_between_scores(case):
    point = m.equal_error(*case)
    assert min(case[1]) <= point.threshold <= max(case[1])
    assert 0 <= point.value <= 1


def test_constant_scores_are_chance_and_not_row_order():
    for y in ([0, 0, 1], [1, 0, 0]):
        assert m.auc(y, [0.7] * 3) == 0.5
        assert m.eer(y, [0.7] * 3) == 0.5
        assert m.equal_error(y, [0.7] * 3).threshold == 0.7


def test_eer_differs_from_the_nearest_vertex():
    # No vertex of this ROC has equal errors; (0, 1/2) and (1/3, 1) are nearest. The crossing lies between.
    y, s = [1, 0, 1, 0, 0], [0.9, 0.6, 0.6, 0.2, 0.1]
    assert m.eer(y, s) == pytest.approx(0.2)
    assert m.equal_error(y, s).threshold == pytest.approx(0.9 + 0.6 * (0.6 - 0.9))


def test_threshold_is_inclusive_and_ties_are_counted():
    assert m.accuracy([0, 1], [0.5, 0.5]) == 0.5
    assert m.class_recalls([0, 1], [0.5, 0.5]) == (0.0, 1.0)
    assert m.ties_at([0.5, 0.5, 0.4]) == 2


@pytest.mark.parametrize(
    "metric",
    [
        m.auc,
        m.eer,
        m.equal_error,
        m.balanced_accuracy,
        m.class_recalls,
        m.roc_curve,
        m.average_precision,
        lambda y, s: m.tpr_at_fpr(y, s, 0.1),
        lambda y, s: m.partial_auc(y, s, 0.1),
    ],
)
@pytest.mark.parametrize(
    ("labels", "reason"), [([1, 1], "only fake"), ([0, 0], "only real"), ([], "no scored samples")]
)
def test_undefined_has_a_reason(metric, labels, reason):
    with pytest.raises(UndefinedMetric, match=reason):
        metric(labels, [0.3] * len(labels))


@pytest.mark.parametrize(
    "metric",
    [m.accuracy, m.auc, m.eer, m.balanced_accuracy, m.roc_curve, m.average_precision, m.log_loss, m.brier, m.ece],
)
@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1, 1], [0.1, np.nan, np.inf], "not finite at positions 1, 2"),
        ([0, 1, 1], [0.1, 1.5, -0.1], r"outside \[0,1\] at positions 1, 2"),
        ([0, 2, 1], [0.1, 0.2, 0.3], "labels other than 0 .* at positions 1$"),
        ([0, 1], [0.1], "labels and scores have different lengths: 2 and 1"),
        ([0, 1], ["a", "b"], "not numbers"),
        (["real", "fake"], [0.1, 0.2], "labels must be 0"),
        ([[0, 1]], [[0.1, 0.2]], "must be one-dimensional"),
    ],
)
def test_bad_input_is_named(metric, labels, scores, message):
    with pytest.raises(DataError, match=message):
        metric(labels, scores)


def test_many_bad_positions_are_summed_up():
    with pytest.raises(DataError, match="0, 1, 2, 3, 4 and 5 more"):
        m.auc([0, 1] * 5, [2.0] * 10)


def test_threshold_out_of_range():
    with pytest.raises(DataError, match="threshold"):
        m.accuracy([0], [0.5], 1.5)


def test_majority():
    assert m.majority(10, 7) == m.majority(10, 3) == 0.7
    with pytest.raises(UndefinedMetric):
        m.majority(0, 0)


@pytest.mark.parametrize("rate", [0, 1, 5.0, -0.1, float("nan")])
def test_a_rate_outside_zero_and_one_is_refused(rate):
    with pytest.raises(UsageError, match="false positive rate"):
        m.partial_auc([0, 1], [0.1, 0.2], rate)


def test_certain_and_wrong_stays_finite():
    assert m.log_loss([1], [0.0]) == pytest.approx(36.04, abs=0.01)
    assert m.brier([1], [0.0]) == 1.0
