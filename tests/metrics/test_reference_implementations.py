"""Rules of reference implementations, each against its steps rewritten with scikit-learn, and the differences."""

import numpy as np
import pyarrow as pa
import pytest
import run_folders
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from dfbench.errors import UsageError
from dfbench.metrics import compute_metrics, eer, parse_metric
from dfbench.metrics.names import title_of
from dfbench.metrics.roc import rank, vertices
from dfbench.metrics.variants import dfb_eer, variant_names
from dfbench.schema.scores import SCORES

FFPP = run_folders.scores_table(pairs=70, frames=2, gap=0.8, seed=3)


def peer_eer(labels, scores):
    fpr, tpr, _ = sk.roc_curve(labels, scores)
    return fpr[np.nanargmin(np.abs((1 - tpr) - fpr))]


def peer_videos(paths, labels, scores):
    """Frames by their parent folder; mean score; mean label cut down to an integer."""
    folders = {}
    for path, label, score in zip(paths, labels, scores, strict=True):
        folders.setdefault(path.split("/")[-2], []).append((label, score))
    values = list(folders.values())
    return [int(np.mean([y for y, _ in v])) for v in values], [float(np.mean([s for _, s in v])) for v in values]


def value_of(table, name, subset="c23", **options):
    values = compute_metrics(table, [name], resamples=0, per_manipulation=False, **options)
    return next(v for v in values if v.subset == subset)


def frames_of(table, subset="c23"):
    return [r for r in table.to_pylist() if r["subset"] == subset and r["status"] == "ok"]


def edit(table, **columns):
    rows = table.to_pylist()
    for row in rows:
        row |= {name: change(row) for name, change in columns.items()}
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def test_key_collision_of_deepfakebench_both_values():
    """700 test videos collapse to 280 where 000_003 is one folder name for four manipulations; the AUC rises."""
    ours, theirs = value_of(FFPP, "auc.video.mean"), value_of(FFPP, "auc.video.mean~dfb")
    rows = frames_of(FFPP)
    paths = [f"{r['manipulation']}/c23/frames/{r['media_id'].split('/')[-1]}/{r['sample_id'][-8:]}.png" for r in rows]
    labels, scores = peer_videos(paths, [r["label"] for r in rows], [r["score"] for r in rows])
    assert (ours.n, theirs.n) == (700, 280)
    assert theirs.value == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert theirs.value > ours.value + 0.03
    by_media = {}
    for row in rows:
        by_media.setdefault((row["media_id"], row["label"]), []).append(row["score"])
    truth = sk.roc_auc_score([y for _, y in by_media], [np.mean(s) for s in by_media.values()])
    assert ours.value == pytest.approx(truth, abs=1e-12)
    eer = value_of(FFPP, "eer.video.mean~dfb")
    assert eer.value == pytest.approx(peer_eer(labels, scores), abs=1e-12)


def test_no_collision_where_folder_names_are_unique():
    # Celeb-DF names its clips differently for reals and fakes: there the two rules agree.
    unique = edit(FFPP, media_id=lambda r: f"{r['media_id']}-{r['manipulation']}")
    assert value_of(unique, "auc.video.mean~dfb").value == pytest.approx(value_of(unique, "auc.video.mean").value)


def test_a_folder_name_shared_by_reals_and_fakes_becomes_real():
    shared = edit(FFPP, media_id=lambda r: r["media_id"].replace("/real/000", "/real/000_001"))
    rows = frames_of(shared)
    labels, scores = peer_videos([f"{r['media_id']}/x" for r in rows], *zip(*[(r["label"], r["score"]) for r in rows]))  # noqa: B905
    found = value_of(shared, "auc.video.mean~dfb")
    assert found.n == 279
    assert found.n_positive == sum(labels) == 139
    assert found.value == pytest.approx(sk.roc_auc_score(labels, scores))


scores_of_both = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda y: len(set(y)) == 2),
        st.one_of(
            st.lists(st.floats(0, 1), min_size=n, max_size=n),
            st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=n, max_size=n),
        ),
    )
)


@given(scores_of_both)
def test_vertex_eer_is_the_peers(case):
    labels, scores = np.array(case[0], np.int8), np.array(case[1])
    assert dfb_eer(*vertices(rank(labels, scores)))[0] == pytest.approx(peer_eer(labels, scores), abs=1e-12)


def test_vertex_eer_of_a_resample_is_that_of_the_resample_written_out():
    rng = np.random.default_rng(1)
    labels, scores = np.repeat([0, 1], 20).astype(np.int8), np.round(rng.random(40), 1)
    weights = rng.integers(0, 3, (30, 40))
    ranking = rank(labels, scores)
    found = dfb_eer(*vertices(ranking, weights[:, ranking.order]))
    for w, value in zip(weights, found, strict=True):
        assert value == pytest.approx(peer_eer(np.repeat(labels, w), np.repeat(scores, w)), abs=1e-12)


def test_vertex_eer_can_be_points_away_from_the_interpolated_one():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 49)
    gaps = []
    for _ in range(200):
        scores = 1 / (1 + np.exp(-rng.normal(labels * 1.2)))
        gaps.append(abs(dfb_eer(*vertices(rank(labels.astype(np.int8), scores)))[0] - eer(labels, scores)))
    assert max(gaps) > 0.03


def test_accuracy_strictly_above_one_half():
    tied = edit(FFPP, score=lambda r: 0.5 if r["score"] is not None and r["label"] else r["score"])
    theirs, ours = value_of(tied, "acc.frame~dfb", threshold=0.5), value_of(tied, "acc.frame")
    rows = frames_of(tied)
    assert theirs.value == pytest.approx(np.mean([(r["score"] > 0.5) == r["label"] for r in rows]))
    assert ours.value - theirs.value == pytest.approx(np.mean([r["label"] for r in rows]))
    assert theirs.ties == sum(r["label"] for r in rows)
    assert value_of(FFPP, "acc.frame~dfb", threshold=0.9).threshold == 0.5


@given(scores_of_both)
def test_average_precision_with_real_positive(case):
    labels, scores = np.array(case[0], np.int8), np.array(case[1])
    kind = parse_metric("ap.frame~real-positive").definition
    found = kind.ranked(*vertices(rank(labels, scores)))[0]
    # Ranked by -P(fake): 1 - P(fake) would round neighbours together.
    assert found == pytest.approx(sk.average_precision_score(1 - labels, -scores), abs=1e-12)


def test_real_positive_differs_where_classes_do():
    # As measured on scores of Celeb-DF v2's proportions: AP changes much, AUC not at all.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [178, 340])
    scores = 1 / (1 + np.exp(-rng.normal(labels)))
    ours, theirs = (
        parse_metric(n).definition.ranked(*vertices(rank(labels.astype(np.int8), scores)))[0]
        for n in ("ap.frame", "ap.frame~real-positive")
    )
    assert ours - theirs > 0.15


def test_sbi_highest_face_mean_of_frames_one_half_without():
    rng = np.random.default_rng(0)
    rows, expected, labels = [], [], []
    for number in range(40):
        fake = number % 2
        media = f"dfdc/all/{'fake' if fake else 'real'}/v{number}"
        means = []
        for frame in range(3):
            faces = [] if number in (4, 7) or (number == 9 and frame == 0) else list(rng.random(1 + frame))
            means += [max(faces)] if faces else []
            for face, score in enumerate(faces or [None]):
                rows.append(_row(media, frame, face, fake, score))
        expected.append(np.mean(means) if means else 0.5)
        labels.append(fake)
    table = pa.Table.from_pylist(rows, schema=SCORES.schema())
    found = value_of(table, "auc.video.mean~sbi", "all")
    assert found.n == 40
    assert found.value == pytest.approx(sk.roc_auc_score(labels, expected), abs=1e-12)
    ap = value_of(table, "ap.video.mean~sbi", "all", failure_policy="as-fake")
    assert ap.value == pytest.approx(sk.average_precision_score(labels, expected), abs=1e-12)
    assert value_of(table, "auc.video.mean", "all", face_aggregation="max").n == 38


def _row(media, frame, face, fake, score):
    return {
        "sample_id": f"{media}#{frame:06d}.{face}", "media_id": media, "dataset": "dfdc", "subset": "all",
        "manipulation": "fake" if fake else "real", "split": "test", "scene_group": media, "label": fake,
        "class": "fake" if fake else "real", "condition": "clean", "model": "m", "run_id": "r",
        "status": "no_face" if score is None else "ok", "score": score, "logits": None,
    }  # fmt: skip


def test_peers_have_intervals_of_their_own():
    values = compute_metrics(FFPP, ["auc.video.mean~dfb", "eer.frame~dfb", "ap.frame~real-positive"], resamples=100)
    for value in values:
        assert value.low <= value.value <= value.high


@pytest.mark.parametrize("name", variant_names())
def test_every_rule_says_what_differs_and_where_it_was_read(name):
    parsed = parse_metric(name)
    assert str(parsed) == name
    assert len(parsed.variant.differs) > 20
    assert len(parsed.variant.source) > 20
    assert title_of(parsed.column).endswith(f"~{parsed.reference}")


@pytest.mark.parametrize("name", ["auc.frame~dfb", "auc.video.max~dfb", "auc.frame~sbi", "eer.frame~sbj", "auc.frame~real-positive"])  # fmt: skip  # noqa: E501
def test_rules_that_no_reference_implementation_has_are_refused(name):
    with pytest.raises(UsageError, match="unknown reference implementation") as caught:
        parse_metric(name)
    assert "auc.video.mean~dfb" in caught.value.hint


@pytest.mark.parametrize(
    ("short", "whole"), [("auc.video~dfb", "auc.video.mean~dfb"), ("auc.video~sbi", "auc.video.mean~sbi")]
)
def test_the_only_aggregation_of_a_reference_implementation_may_be_omitted(short, whole):
    assert parse_metric(short) == parse_metric(whole)


def test_other_video_metrics_of_reference_implementations_need_an_aggregation():
    with pytest.raises(UsageError, match="has no aggregation of frames to videos") as caught:
        parse_metric("ap.video~real-positive")
    assert "ap.video.mean~real-positive" in caught.value.hint
