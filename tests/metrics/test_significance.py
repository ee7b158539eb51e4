from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from dfbench import metrics as m
from dfbench.errors import DataError
from dfbench.metrics.p_values import t_test


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_exact_binomial_test(pairs):
    a, b = map(list, zip(*pairs, strict=True))
    only_a, only_b = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert m.mcnemar(a, b) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_wants_the_same_samples():
    with pytest.raises(DataError, match="different shapes"):
        m.mcnemar([1, 0], [1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_by_its_definition(p_values):
    """A hypothesis falls at level a when the smallest ones before it and it itself all pass their own bar."""
    found = m.holm(p_values)
    ordered = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for level in (0.01, 0.05, 0.2, 0.7):
        falls = set()
        for rank, place in enumerate(ordered):
            if p_values[place] * (len(p_values) - rank) > level:
                break
            falls.add(place)
        assert {i for i, p in enumerate(found) if p <= level} == falls
    assert all(p <= corrected <= 1 for p, corrected in zip(p_values, found, strict=True))


def test_holm_of_nothing():
    assert m.holm([]) == []


def test_t_test_by_scipy_and_its_limit():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1, 30)
    error = values.std(ddof=1) / np.sqrt(30)
    assert t_test(values.mean(), error, 29, 30) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert t_test(9.0, 0.1, 29, 30) == t_test(-9.0, 0.1, 29, 30) == 2.0**-29
    assert (t_test(0.0, 0.0, 29, 30), t_test(0.5, 0.0, 19, 20)) == (1.0, 2.0**-19)


def test_holm_keeps_the_chance_of_a_false_finding():
    rng = np.random.default_rng(0)
    wrong = [min(m.holm(rng.random(10).tolist())) < 0.05 for _ in product(range(40), range(50))]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.015)
