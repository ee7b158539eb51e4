"""One face a frame, the failure policy, several classes: how rows become what metrics are computed on."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from dfbench.errors import DataError, UsageError
from dfbench.metrics import compute_metrics, paired_differences
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.scores import SCORES

CLASSES = ("CelebA", "YouTube", "PGGAN", "StyleGAN", "Glow")
REAL = CLASSES[:2]


def row(media, frame, face, name, logits=None, score=None, status="ok"):
    fake = name not in REAL and name != "real"
    if logits is not None:
        score = float(1 - softmax(logits)[:2].sum())
    return {
        "sample_id": sample_id(media, frame, face), "media_id": media, "dataset": "hff", "subset": "all",
        "manipulation": name if fake else "real", "split": "test", "scene_group": media, "label": int(fake),
        "class": name, "condition": "clean", "model": "m", "run_id": "r", "status": status,
        "score": score if status == "ok" else None, "logits": logits if status == "ok" else None,
    }  # fmt: skip


def multiclass_table(videos=60, frames=3, failures=()):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(videos):
        name = CLASSES[number % 5]
        media = media_id("hff", "all", "real" if name in REAL else name, f"v{number:03d}")
        for frame in range(frames):
            logits = (rng.normal(size=5) + 1.2 * np.eye(5)[number % 5]).tolist()
            status = "no_face" if (number, frame) in failures else "ok"
            rows.append(row(media, frame, 0, name, logits, status=status))
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def values(table, *names, **options):
    found = compute_metrics(table, names, resamples=options.pop("resamples", 0), per_manipulation=False, **options)
    return found[0] if len(names) == 1 else found


def truth_and_called(table):
    rows = [r for r in table.to_pylist() if r["status"] == "ok"]
    return [CLASSES.index(r["class"]) for r in rows], [int(np.argmax(r["logits"])) for r in rows], rows


def test_multiclass_metrics_at_frame_level():
    table = multiclass_table()
    truth, called, rows = truth_and_called(table)
    acc, bacc, f1, recall, collapsed, auc = values(
        table, "acc.frame", "bacc.frame", "macro-f1.frame", "recall@class=Glow.frame", "acc.collapsed.frame",
        "auc.frame", classes=CLASSES,
    )  # fmt: skip
    assert acc.value == pytest.approx(sk.accuracy_score(truth, called))
    assert bacc.value == pytest.approx(sk.balanced_accuracy_score(truth, called))
    assert f1.value == pytest.approx(sk.f1_score(truth, called, average="macro"))
    assert recall.value == pytest.approx(sk.recall_score(truth, called, average=None)[4])
    labels, scores = [r["label"] for r in rows], [r["score"] for r in rows]
    assert collapsed.value == pytest.approx(np.mean((np.array(scores) >= 0.5) == np.array(labels)))
    assert auc.value == pytest.approx(sk.roc_auc_score(labels, scores))
    assert (acc.threshold, acc.ties, collapsed.threshold) == (None, None, 0.5)
    assert collapsed.value > acc.value


@pytest.mark.parametrize("how", ["mean", "max", "median", "vote", "mean-logit"])
def test_multiclass_videos(how):
    table = multiclass_table()
    by_media = {}
    for r in table.to_pylist():
        by_media.setdefault((r["media_id"], r["class"]), []).append(softmax(r["logits"]))
    right = []
    for (_, name), vectors in by_media.items():
        p = np.array(vectors)
        votes = np.bincount(p.argmax(axis=1), minlength=5)
        vector = {
            "mean": p.mean(axis=0), "max": p.max(axis=0), "median": np.median(p, axis=0), "vote": votes,
            "mean-logit": np.log(p / (1 - p)).mean(axis=0),
        }[how]  # fmt: skip
        right.append(int(np.argmax(vector)) == CLASSES.index(name))
    found = values(table, f"acc.video.{how}", classes=CLASSES)
    assert found.value == pytest.approx(np.mean(right))
    assert found.n == 60


def test_multiclass_intervals_hold_the_value():
    for value in values(multiclass_table(), "acc.frame", "macro-f1.video.mean", classes=CLASSES, resamples=200):
        assert value.low < value.value < value.high


def test_failures_of_several_classes_share_their_probability():
    failed = {(0, 0), (2, 0)}  # a CelebA and a PGGAN frame
    table = multiclass_table(failures=failed)
    truth, called, _ = truth_and_called(table)
    scored = sk.accuracy_score(truth, called, normalize=False)
    # as-real: the first real class, so the CelebA frame is right; as-fake: the first fake class, so the PGGAN one is.
    assert values(table, "acc.frame", classes=CLASSES, failure_policy="as-real").value == (scored + 1) / 180
    assert values(table, "acc.frame", classes=CLASSES, failure_policy="as-fake").value == (scored + 1) / 180
    assert values(table, "acc.frame", classes=CLASSES).value == scored / 178


def test_real_classes_are_those_declared_whatever_rows_are_present():
    table = multiclass_table(failures={(1, 0), (2, 0)})  # a YouTube and a PGGAN frame
    table = table.filter(pc.not_equal(table["class"], "CelebA"))
    truth, called, _ = truth_and_called(table)
    scored = sk.accuracy_score(truth, called, normalize=False)

    def accuracy(policy, **declared):
        return values(table, "acc.frame", classes=CLASSES, failure_policy=policy, **declared).value

    # The first real class is CelebA, of which there is no row; the first fake one is PGGAN.
    assert accuracy("as-real", real_classes=REAL) == scored / 144
    assert accuracy("as-fake", real_classes=REAL) == (scored + 1) / 144
    assert accuracy("as-real") == (scored + 1) / 144
    assert accuracy("as-fake") == scored / 144
    with pytest.raises(UsageError, match="class of reals"):
        accuracy("as-real", real_classes=["Celeb"])


def binary_table(videos=50, frames=4, *, failed_videos=(), failed_frames=(), score=None):
    """One real and four fakes in turn; every fifth video is real."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(videos):
        name = "Glow" if number % 5 else "real"
        media = media_id("hff", "all", name, f"v{number:03d}")
        for frame in range(frames):
            status = "no_face" if number in failed_videos or (number, frame) in failed_frames else "ok"
            value = float(rng.random()) if score is None else score
            rows.append(row(media, frame, 0, name, score=value, status=status))
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


DECISIONS = ("acc", "bacc", "macro-f1", "recall@class=real", "recall@class=fake")


@pytest.mark.parametrize("level", ["frame", "video.mean", "video.max", "video.vote", "video.mean-logit"])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_as_chance_of_nothing_but_failures_is_a_coin(level, threshold):
    """With 80 % fakes the accuracy of no scores at all was 0.80, as with as-fake."""
    table = binary_table(failed_videos=range(50))
    options = {"failure_policy": "as-chance", "threshold": threshold}
    found = {m: values(table, f"{m}.{level}", **options).value for m in (*DECISIONS, "auc")}
    f1 = np.mean([2 * 0.5 * n / (n + 25) for n in (10, 40)])  # of each class half, called for half of all
    assert found == pytest.approx(dict.fromkeys(found, 0.5) | {"macro-f1": f1})
    assert values(table, f"acc.{level}", failure_policy="as-fake").value == 0.8


@pytest.mark.parametrize("level", ["frame", "video.mean"])
def test_as_chance_counts_a_failure_half(level):
    """The metrics of a table in which each failed sample occurs once as real and once as fake, all others twice."""
    failed = (0, 3, 7, 10)
    table = binary_table(failed_videos=failed)
    scored, unit = table.to_pylist(), 4 if level == "frame" else 1
    y, called = [], []
    for start in range(0, len(scored), 4):
        group = scored[start : start + 4]
        scores = [r["score"] for r in group]
        for score in [scores] if level != "frame" else [[s] for s in scores]:
            y += [group[0]["label"]] * 2
            called += [0, 1] if None in score else [int(np.mean(score) >= 0.5)] * 2
    assert len(y) == 2 * 50 * unit
    recall = sk.recall_score(y, called, average=None)
    expected = {
        "acc": sk.accuracy_score(y, called), "bacc": sk.balanced_accuracy_score(y, called),
        "macro-f1": sk.f1_score(y, called, average="macro"), "recall@class=real": recall[0],
        "recall@class=fake": recall[1],
    }  # fmt: skip
    for metric, number in expected.items():
        found = values(table, f"{metric}.{level}", failure_policy="as-chance", resamples=100)
        assert found.value == pytest.approx(number), metric
        assert found.low is None or found.low <= found.value <= found.high


def test_as_chance_in_a_vote_is_half_a_vote():
    failed = {(number, frame) for number in range(50) for frame in range(2)}
    table = binary_table(failed_frames=failed, score=0.9)
    # Two votes for fake and two halves are 0.75.
    assert values(table, "brier.video.vote", failure_policy="as-chance").value == pytest.approx(
        np.mean([(0.75 - bool(n % 5)) ** 2 for n in range(50)])
    )


def test_as_chance_of_several_classes_is_an_equal_share_of_each():
    failed = {(number, frame) for number in range(10) for frame in range(3)} | {(30, 0)}
    table = multiclass_table(failures=failed)
    truth, called, _ = truth_and_called(table)
    scored = sk.accuracy_score(truth, called, normalize=False)
    frame = values(table, "acc.frame", classes=CLASSES, failure_policy="as-chance")
    assert frame.value == pytest.approx((scored + 31 / 5) / 180)
    video, of_scored = (
        values(table, "acc.video.mean", classes=CLASSES, failure_policy=policy) for policy in ("as-chance", "exclude")
    )
    assert video.value == pytest.approx((of_scored.value * 50 + 10 / 5) / 60)
    collapsed = values(table, "acc.collapsed.video.mean", classes=CLASSES, failure_policy="as-chance")
    kept = values(table, "acc.collapsed.video.mean", classes=CLASSES)
    assert collapsed.value == pytest.approx((kept.value * 50 + 10 / 2) / 60)


def test_classes_and_logits_must_fit():
    table = multiclass_table(videos=10)
    with pytest.raises(DataError, match="5 logits for 4 classes"):
        values(table, "acc.frame", classes=CLASSES[:4])
    with pytest.raises(DataError, match="the class 'Glow', the task has"):
        values(table, "acc.frame", classes=(*CLASSES[:4], "StarGAN"))
    with pytest.raises(UsageError, match="unknown class 'glow'"):
        values(table, "recall@class=glow.frame", classes=CLASSES)


def test_recall_of_a_class_without_samples_is_undefined():
    table = multiclass_table(videos=10)
    some = table.filter(pa.compute.not_equal(table["class"], "Glow"))
    assert values(some, "recall@class=Glow.frame", classes=CLASSES).undefined == "no samples of class Glow"


def two_faces():
    rows = []
    for number in range(12):
        name = ("real", "Face2Face")[number % 2]
        media = media_id("hff", "all", name, f"v{number:02d}")
        for frame in range(2):
            for face, score in enumerate((0.2 + 0.02 * number, 0.9 - 0.05 * number)):
                rows.append(row(media, frame, face, name, score=score))
    return rows


@pytest.mark.parametrize(
    ("rule", "reduce"), [("largest", lambda s: s[0]), ("max", max), ("mean", lambda s: float(np.mean(s)))]
)
def test_several_faces_by_rule(rule, reduce):
    rows = two_faces()
    frames = {}
    for r in rows:
        frames.setdefault((r["sample_id"].rpartition(".")[0], r["label"]), []).append(r["score"])
    expected = sk.roc_auc_score([y for _, y in frames], [reduce(s) for s in frames.values()])
    found = values(pa.Table.from_pylist(rows, schema=SCORES.schema()), "auc.frame", face_aggregation=rule)
    assert found.n == 24
    assert found.value == pytest.approx(expected)


def test_a_face_without_a_score_gives_way_to_one_with():
    rows = two_faces()
    for r in rows[1::2]:
        r |= {"status": "decode_error", "score": None}
    table = pa.Table.from_pylist(rows, schema=SCORES.schema())
    alone = pa.Table.from_pylist(rows[::2], schema=SCORES.schema())
    for rule in ("max", "mean"):
        assert values(table, "auc.frame", face_aggregation=rule).value == values(alone, "auc.frame").value


def test_several_faces_without_a_rule_are_refused():
    table = pa.Table.from_pylist(two_faces(), schema=SCORES.schema())
    with pytest.raises(DataError, match="several faces of one frame") as caught:
        values(table, "auc.frame")
    assert "faces = 'largest'" in caught.value.hint
    assert "--face-aggregation" in caught.value.hint
    with pytest.raises(UsageError, match="unknown face aggregation 'first'"):
        values(table, "auc.frame", face_aggregation="first")


def test_tpr_at_a_low_fpr_needs_enough_real_media():
    """One false alarm at the rate for a value, ten for an interval; at frame level real videos count, not frames."""
    rows = []
    for number in range(220):
        name = ("real", "Face2Face")[number % 2]
        media = media_id("hff", "all", name, f"v{number:03d}")
        rows += [row(media, f, 0, name, score=((number * 37 + f) % 101) / 100) for f in range(10)]
    table = pa.Table.from_pylist(rows, schema=SCORES.schema())
    frame, video, rare = values(
        table, "tpr@fpr=0.1.frame", "tpr@fpr=0.1.video.mean", "tpr@fpr=0.01.frame", resamples=100
    )
    assert frame.low < frame.value < frame.high
    assert video.low < video.value < video.high
    assert (rare.low, rare.high, rare.undefined) == (None, None, None)
    assert rare.value is not None
    assert rare.interval_note == "too few negatives: 110 real media; at least 1000 are needed"
    below, turned, unresolved = values(
        table,
        "tpr@fpr=0.005.frame",
        "tpr@fpr=0.05.frame~real-positive",
        "tpr@fpr=0.005.frame~real-positive",
        resamples=100,
    )
    assert below.value is None
    assert below.undefined == "not resolvable: 110 real media; TPR@FPR=0.005 needs at least 200"
    assert turned.interval_note == "too few negatives: 110 fake media; at least 200 are needed"
    (compared,) = paired_differences(table, table, ["tpr@fpr=0.01.frame"], resamples=100)
    assert (compared.value, compared.p) == (0, None)
    assert compared.note == rare.interval_note
    assert unresolved.undefined == "not resolvable: 110 fake media; TPR@FPR=0.005 needs at least 200"


def test_video_metrics_count_videos():
    """Ten of a hundred videos without any score, and single frames of others, which cost no video."""
    lost = {(number, frame) for number in range(10) for frame in range(3)}
    table = multiclass_table(videos=100, failures=lost | {(50, 0), (51, 2)})
    video, frame = values(table, "auc.video.mean", "auc.frame")
    assert (video.n, video.n_media, video.requested_media, video.coverage) == (90, 90, 100, 0.90)
    assert (video.coverage_real, video.coverage_fake) == (36 / 40, 54 / 60)
    assert (frame.n, frame.n_media, frame.requested_media, frame.coverage) == (268, 90, 100, 268 / 300)
    counted = values(table, "acc.video.mean", failure_policy="as-fake")
    assert (counted.n_media, counted.requested_media, counted.coverage) == (100, 100, 0.90)


def test_coverage_stands_in_every_line_by_label():
    table = multiclass_table(failures={(0, 0), (2, 0), (2, 1)})
    value = values(table, "auc.frame")
    assert value.coverage == 177 / 180
    assert value.coverage_real == 71 / 72
    assert value.coverage_fake == 106 / 108
