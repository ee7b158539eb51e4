"""The interval of each metric: its method, its limits, and that it covers the truth."""

from __future__ import annotations

import brute_force
import numpy as np
import pyarrow as pa
import pytest
import run_folders
from loading import load_file
from scipy.stats import t

from dfbench import metrics as m
from dfbench.metrics.bootstrap import draw_groups, estimate, resample
from dfbench.metrics.definitions import metric_definition
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.metric_intervals import metric_interval, resampled_spread, spread_of
from dfbench.metrics.people import people_of
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.t_intervals import cluster_variance, effective_df, exact_bound, group_sums, t_interval
from dfbench.schema.scores import IDENTITIES, SCORES


@pytest.fixture(scope="module")
def simulation():
    return load_file("benchmarks/intervals.py", "intervals_benchmark")


def clustered(groups=30, fakes=2, seed=0, gap=1.0, levels=None):
    """One real and some fakes in each group, with noise of the group."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(groups), 1 + fakes)
    labels = np.tile([0] + [1] * fakes, groups).astype(np.int8)
    logit = gap * labels + 0.7 * rng.normal(size=groups)[number] + rng.normal(size=len(labels))
    scores = 1 / (1 + np.exp(-logit))
    return labels, np.round(scores * levels) / levels if levels else scores, number


def samples_of(labels, scores, groups, people=None):
    return MetricSamples(labels, scores, groups, len(labels), int(np.sum(labels == 0)), people=people)


@pytest.mark.parametrize("levels", [None, 6])
def test_the_influences_are_the_deviations_of_the_placement_values(levels):
    labels, scores, groups = clustered(levels=levels)
    fakes, reals = (np.array(p) for p in brute_force.placements(labels, scores))
    value, influence = auc_influence(labels, scores)
    assert value == pytest.approx(brute_force.auc(labels, scores), abs=1e-12)
    np.testing.assert_allclose(influence[labels == 1], (fakes - value) / len(fakes), atol=1e-12)
    np.testing.assert_allclose(influence[labels == 0], (reals - value) / len(reals), atol=1e-12)
    shuffled = np.random.default_rng(0).permutation(groups)
    many = np.stack([scores, scores[::-1], np.round(scores, 1)])
    values, together = auc_influence(labels, many)
    for number, one in enumerate(many):
        alone = auc_influence(labels, one)
        assert alone[0] == pytest.approx(values[number], abs=1e-15)
        np.testing.assert_allclose(alone[1], together[number], atol=1e-12)
        np.testing.assert_allclose(group_sums(together, shuffled)[number], group_sums(alone[1], shuffled), atol=1e-12)


def test_one_sample_a_group_gives_delongs_variance():
    labels, scores, _ = clustered()
    _, influence = auc_influence(labels, scores)
    m_, n = int(labels.sum()), int((labels == 0).sum())
    fakes, reals = influence[labels == 1] * m_, influence[labels == 0] * n
    assert m.delong(labels, scores).error ** 2 == pytest.approx(fakes.var(ddof=1) / m_ + reals.var(ddof=1) / n)
    assert cluster_variance(influence) == pytest.approx(m.delong(labels, scores).error ** 2, rel=0.03)


def test_the_interval_of_the_auc_by_hand():
    labels, scores, groups = clustered()
    value, influence = auc_influence(labels, scores)
    u = np.array([influence[groups == g].sum() for g in range(30)])
    df = np.sum(u**2) ** 2 / np.sum(u**4)
    assert 7 < df < 29
    half = t.ppf(0.975, df) * np.sqrt(30 / 29 * np.sum(u**2)) / (value * (1 - value))
    ends = 1 / (1 + np.exp(-(np.log(value / (1 - value)) + np.array([-half, half]))))
    found = m.auc_interval(labels, scores, groups)
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-12)
    assert found.method == "clustered-delong"
    assert found == m.auc_interval(labels, scores, groups, seed=5, resamples=10)
    assert found.low > m.auc_interval(labels, scores, groups, confidence=0.99).low


def test_degrees_of_freedom():
    def of(u):
        return float(effective_df(np.sum(np.square(u)), np.sum(np.power(u, 4.0)), len(u) - 1))

    assert of(np.tile([1.0, -1.0], 20)) == 39
    assert of(np.array([1.0] * 12 + [0.0] * 28)) == 12
    assert of(np.array([1.0] + [0.0] * 39)) == 7
    assert of(np.array([1.0] + [0.0] * 5)) == 5
    assert of(np.zeros(9)) == 8


def test_logarithmic_scale_of_a_metric_without_upper_end():
    low, high = t_interval(np.array(0.5), np.array(0.01), np.array(1e9), (0.0, np.inf), 0.95)
    assert low * high == pytest.approx(0.25)
    assert np.log(high / 0.5) == pytest.approx(1.96 * 0.1 / 0.5, rel=1e-3)


def test_the_bootstrap_finds_variance_and_influences():
    """Of a mean they are known: the squared deviations of the groups."""
    labels, scores, groups = clustered(groups=40)
    draws = draw_groups(labels, groups, 20_000, seed=1)
    spread = resampled_spread(resample(metric_definition("brier"), samples_of(labels, scores, groups), draws), draws)
    loss = (scores - labels) ** 2
    u = np.array([(loss[groups == g] - loss.mean()).sum() for g in range(40)]) / len(labels)
    assert spread.variance == pytest.approx(40 / 39 * np.sum(u**2), rel=0.05)
    assert spread.df == pytest.approx(np.sum(u**2) ** 2 / np.sum(u**4), rel=0.05)


PERFECT = ([0, 1] * 20, [0.1, 0.9] * 20)
BOUND = 0.025 ** (1 / 20)


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("auc", BOUND, 1),
        ("acc", BOUND, 1),
        ("bacc", BOUND, 1),
        ("macro-f1", BOUND, 1),
        ("recall@class=fake", BOUND, 1),
        ("eer", 0, 1 - BOUND),
        ("ap", 1 - (1 - BOUND) * np.log1p(1 / (1 - BOUND)), 1),
        ("tpr@fpr=0.5", BOUND, 1),
        ("pauc@fpr=0.5", 0.5 * (1 - (1 - BOUND) / 0.5), 0.5),
    ],
)
def test_a_perfect_score_has_a_one_sided_bound(metric, low, high):
    found = m.bootstrap_interval(metric, *PERFECT, groups=np.repeat(np.arange(20), 2), resamples=20)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.method == "one-sided"
    assert found.note == "one-sided: no error in 20 scene groups"


def test_the_worst_score_has_a_one_sided_bound_too():
    labels, scores = PERFECT
    found = m.auc_interval(labels, scores[::-1], groups=np.repeat(np.arange(20), 2))
    assert (found.low, found.high) == pytest.approx((0, 1 - BOUND))
    assert found.note == "one-sided: only errors in 20 scene groups"
    assert exact_bound(1, 0.95) == pytest.approx(0.025)


def test_the_bound_counts_the_groups_of_the_rarer_class():
    labels = np.array([0] * 8 + [1] * 40)
    found = m.auc_interval(labels, labels * 0.8 + 0.1)
    assert found.low == pytest.approx(0.025 ** (1 / 8))


def test_no_variation_gives_no_interval_and_the_reason():
    constant = m.auc_interval([0, 1] * 20, [0.5] * 40)
    assert (constant.value, constant.low, constant.method) == (0.5, None, "")
    assert constant.note == "every scene group gives the same value, from which no interval can be computed"
    certain = m.bootstrap_interval("logloss", [0, 1] * 20, [0, 1] * 20, resamples=20)
    assert (certain.low, certain.note) == (None, constant.note)
    calibration = m.bootstrap_interval("ece", [0, 1] * 20, [0.2, 0.7] * 20, resamples=20)
    assert calibration.low is None
    assert "estimate is too high" in calibration.note


def test_recall_needs_five_groups_of_its_class():
    labels, scores, groups = clustered()
    few = np.where(groups < 4, labels, 1).astype(np.int8)
    found = m.bootstrap_interval("recall@class=real", few, scores, groups, resamples=50)
    assert found.low is None
    assert found.note == "real samples in 4 scene groups; at least 5 are needed"
    assert m.bootstrap_interval("recall@class=fake", few, scores, groups, resamples=50).low is not None


def crossed(people=12, seed=0):
    """Every person is the target of three scene groups; a fake also shows another person."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(3 * people):
        owner = group // 3
        rows.append((0, group, f"p{owner}", None))
        rows += [(1, group, f"p{owner}", f"p{(owner + step) % people}") for step in (1, 2, 5)]
    labels, groups, targets, sources = (np.array(column, object) for column in zip(*rows, strict=True))
    labels, groups = labels.astype(np.int8), groups.astype(np.intp)
    number = {f"p{i}": i for i in range(people)} | {None: 0}
    as_target, as_source = rng.normal(size=(2, people))
    logit = labels + 0.8 * as_target[[number[p] for p in targets]] + rng.normal(size=len(labels))
    logit += 0.8 * labels * as_source[[number[p] for p in sources]]
    return labels, 1 / (1 + np.exp(-logit)), groups, targets, sources


def test_people_who_recur_make_the_variance_two_way():
    labels, scores, groups, targets, sources = crossed()
    people = people_of(labels, groups, targets, sources)
    assert people.fewest == 12
    owner = [np.where(labels == 1, sources, targets + " as a real")]
    u = auc_influence(labels, scores)[1]

    def over(*columns):
        keys = np.array(["/".join(parts) for parts in zip(*columns, strict=True)])
        sums = np.array([u[keys == key].sum() for key in np.unique(keys)])
        return len(sums) / (len(sums) - 1) * np.sum(sums**2)

    variance = over(targets) + over(*owner) - over(targets, *owner)
    definition, samples = metric_definition("auc"), samples_of(labels, scores, groups, people)
    value = estimate(definition, samples)
    found = metric_interval(definition, samples, value, draw_groups)
    half = (np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low))) / 2
    dfs = [spread_of(definition, samples, units, draw_groups, least=5).df for units in (people.targets, people.sources)]
    error = np.sqrt(variance) / (value * (1 - value))
    assert half == pytest.approx(t.ppf(0.975, min(*dfs, 11)) * error, rel=1e-9)
    alone = metric_interval(definition, samples_of(labels, scores, groups), value, draw_groups)
    assert alone.high - alone.low < found.high - found.low
    for metric in ("acc", "eer"):
        kind = metric_definition(metric)
        bootstrap = metric_interval(
            kind, samples, estimate(kind, samples), lambda y, units: draw_groups(y, units, 500, 0)
        )
        assert bootstrap.low < estimate(kind, samples) < bootstrap.high


def test_people_of_one_scene_group_each_change_nothing():
    """FaceForensics++: two people swap their faces, in one scene group."""
    labels, groups = np.array([0, 0, 1, 1] * 6, np.int8), np.repeat(np.arange(6), 4)
    targets = np.array([f"{g}{p}" for g in range(6) for p in "abab"], object)
    sources = np.array([p for g in range(6) for p in (None, None, f"{g}b", f"{g}a")], object)
    assert people_of(labels, groups, targets, sources) is None
    sources[2] = "1a"  # of another scene group
    assert people_of(labels, groups, targets, sources).fewest == 6
    sources[2] = None
    assert people_of(labels, groups, targets, sources) is None


def with_people(table, recurring=True):
    """Add people: each scene group shows one; a fake has a source from the next or from the same scene group."""
    rows = table.to_pylist()
    for row in rows:
        number = int(row["scene_group"].rpartition("/")[2])
        row["identity_target"] = f"p{number}"
        row["identity_source"] = f"p{(number + 2 * recurring) % 40}x" if row["label"] else None
        if recurring and row["label"] and row["media_id"][-1] in "13579":
            row["identity_source"] = f"p{(number + 6) % 40}x"
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def test_a_result_names_method_and_units():
    table = run_folders.scores_table(frames=1)
    names = ["auc.frame", "auc.video.mean", "acc.frame"]
    plain = m.compute_metrics(table, names, resamples=100)
    apart = m.compute_metrics(with_people(table, recurring=False), names, resamples=100)
    people = m.compute_metrics(with_people(table), names, resamples=100)
    assert plain == apart == m.compute_metrics(table.drop_columns(list(IDENTITIES)), names, resamples=100)
    assert {v.cluster for v in plain} == {"scene_group"}
    assert {v.cluster for v in people} == {"people"}
    assert {v.n_clusters for v in people} == {20}
    assert [v.interval_method for v in people[:3]] == ["clustered-delong", "clustered-delong", "bootstrap-t"]
    assert [v.value for v in people] == [v.value for v in plain]
    assert all(v.low != p.low for v, p in zip(people, plain, strict=True))


def test_actors_without_names_are_noted():
    rows = run_folders.scores_table(frames=1).to_pylist()
    for row in rows:
        row["dataset"] = "dfdc"
        row["media_id"] = row["media_id"].replace("mini/", "dfdc/")
        row["sample_id"] = row["sample_id"].replace("mini/", "dfdc/")
    table = pa.Table.from_pylist(rows, schema=SCORES.schema())
    value = m.compute_metrics(table, ["auc.frame"], per_manipulation=False)[0]
    assert value.low is not None
    assert value.interval_note.startswith("actors recur in several scene groups and are not named")


def test_the_simulation_uses_the_intervals_of_a_result(simulation):
    cell = simulation.Cell("auc", 20, 4, 0.9)
    rng = np.random.default_rng(0)
    videos = simulation.layout(cell, rng)
    frames = videos.frames()
    logits = simulation.logits(cell, videos, rng, 5)
    value, influence = auc_influence(frames.labels, logits)
    low, high, _ = simulation.auc_intervals(value, group_sums(influence, frames.groups), 20)
    for number, one in enumerate(logits):
        found = m.auc_interval(frames.labels, 1 / (1 + np.exp(-one)), frames.groups)
        assert (found.value, found.low, found.high) == pytest.approx((value[number], low[number], high[number]))


@pytest.mark.parametrize(("groups", "auc"), [(20, 0.72), (20, 0.98), (70, 0.995)])
def test_the_interval_of_the_auc_covers(simulation, groups, auc):
    """The percentile bootstrap covers in 0.81 to 0.9 of the draws of the second and third case."""
    (found,) = simulation.run_auc(simulation.Cell("auc", groups, 4, auc), 1500)
    assert found.covered > 0.915
    assert found.ratio < 1.5


def test_people_are_covered_only_by_the_two_way_variance(simulation):
    found = {f.method: f.covered for f in simulation.run_auc(simulation.Cell("people", 28, 4, 0.8, 0.5), 500)}
    assert found["people"] > 0.93
    assert found["scene groups"] < 0.91


def test_the_simulation_knows_the_truth(simulation):
    """Closed forms and integrals equal the metrics of a large sample."""
    cell = simulation.Cell("metrics", 40_000, 4, 0.9)
    rng = np.random.default_rng(3)
    videos = simulation.layout(cell, rng)
    scores = 1 / (1 + np.exp(-simulation.logits(cell, videos, rng, 1)[0]))
    frames = videos.frames()
    samples = samples_of(frames.labels, scores, frames.groups)
    truths = simulation.truths(cell)
    assert list(truths) != []
    for name, expected in truths.items():
        assert estimate(metric_definition(name), samples) == pytest.approx(expected, abs=0.006), name


def test_the_page_of_results_is_made_from_finished_cells(simulation, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "DRAWS", dict.fromkeys(simulation.DRAWS, 20))
    whole = simulation.cells
    monkeypatch.setattr(simulation, "cells", lambda part: whole(part)[-1:] if part != "auc" else whole(part)[:2])
    for part in simulation.DRAWS:
        if part != "people-metrics":
            simulation.finish(tmp_path, part, quick=False)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    simulation.finish(tmp_path, "metrics", quick=False)  # nothing is left to do
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == files
    page = load_file("benchmarks/intervals_page.py", "intervals_page")
    rows = page.read_rows(tmp_path)
    assert {row["draws"] for row in rows} == {20}
    text = page.page(rows)
    assert "| 5 | 1 | " in text
    assert "### AUC, people" in text
    assert "### brier" in text
