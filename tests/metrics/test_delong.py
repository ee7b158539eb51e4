import brute_force
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench import metrics as m
from dfbench.errors import DataError, UndefinedMetric

# Ovarian cancer patients: albumin, total protein, K-G score, whether surgery helped. DeLong, DeLong and Clarke-Pearson
# 1988; as printed in the SAS/STAT user's guide, PROC LOGISTIC, "Comparing Receiver Operating Characteristic Curves".
PATIENTS = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1 3.8 5.7 5 1
3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0
4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1
4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1
2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1
"""
TABLE = np.array(PATIENTS.split(), float).reshape(-1, 4)
BENEFIT = TABLE[:, 3].astype(int)
TESTS = {"albumin": TABLE[:, 0] / 10, "protein": TABLE[:, 1] / 10, "kg": 1 - TABLE[:, 2] / 10}


@pytest.mark.parametrize(
    ("test", "area", "error"), [("kg", 0.7258, 0.1028), ("albumin", 0.7366, 0.0927), ("protein", 0.6478, 0.1000)]
)
def test_published_areas_and_errors(test, area, error):
    found = m.delong(BENEFIT, TESTS[test])
    assert (round(found.value, 4), round(found.error, 4)) == (area, error)
    assert found.low == pytest.approx(found.value - 1.96 * found.error, abs=1e-4)


@pytest.mark.parametrize(
    ("test", "difference", "error", "p"), [("albumin", 0.0108, 0.0953, 0.9102), ("protein", -0.0780, 0.1046, 0.4561)]
)
def test_published_contrasts(test, difference, error, p):
    found = m.delong_test(BENEFIT, TESTS[test], TESTS["kg"])
    assert (round(found.difference, 4), round(found.error, 4), round(found.p, 4)) == (difference, error, p)


cases = st.integers(4, 20).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda y: 2 <= sum(y) <= len(y) - 2),
        *[st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]), min_size=n, max_size=n)] * 2,
    )
)


@given(cases)
def test_against_the_definition(case):
    labels, first, second = case
    fakes, reals = (np.array(p) for p in brute_force.placements(labels, first))
    variance = fakes.var(ddof=1) / len(fakes) + reals.var(ddof=1) / len(reals)
    found = m.delong(labels, first)
    assert found.value == pytest.approx(brute_force.auc(labels, first), abs=1e-12)
    assert found.error == pytest.approx(variance**0.5, abs=1e-12)
    others = [np.array(p) for p in brute_force.placements(labels, second)]
    pairs = [np.cov(a, b) for a, b in zip((fakes, reals), others, strict=True)]
    of_difference = sum((c[0, 0] + c[1, 1] - 2 * c[0, 1]) / n for c, n in zip(pairs, map(len, others), strict=True))
    assert m.delong_test(labels, first, second).error == pytest.approx(max(of_difference, 0) ** 0.5, abs=1e-7)


def test_a_detector_does_not_differ_from_itself():
    found = m.delong_test(BENEFIT, TESTS["kg"], TESTS["kg"])
    assert (found.difference, found.error, found.p) == (0.0, 0.0, 1.0)


def test_what_has_no_variance_is_refused():
    with pytest.raises(UndefinedMetric, match="1 fake and 2 real"):
        m.delong([0, 0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(UndefinedMetric, match="only real"):
        m.delong([0, 0], [0.1, 0.2])
    with pytest.raises(DataError, match="different lengths: 4 and 3"):
        m.delong_test([0, 0, 1, 1], [0.1] * 4, [0.1] * 3)


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    found = []
    for _ in range(400):
        common = rng.normal(labels, 1)
        a, b = (1 / (1 + np.exp(-(common + rng.normal(0, 0.7, 120)))) for _ in range(2))
        found.append(m.delong_test(labels, a, b).p)
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
