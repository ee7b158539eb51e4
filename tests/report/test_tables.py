import csv
import io
import json
import re
from dataclasses import replace

import pytest
import run_folders

from dfbench.errors import UsageError
from dfbench.report import render, result_rows
from dfbench.report.formats import escape_latex, escape_markdown
from dfbench.report.rows import distinct_rows
from dfbench.report.sections import summary
from dfbench.report.table_notes import NO_FACT, differences, notes
from dfbench.schema.result import Baseline, ManifestRef, MetricValue, ProtocolRef, RunResult, WeightsRef


def value(name, number, low=None, high=None, **changes):
    fields = {
        "name": name, "dataset": "ff++", "subset": "c23", "manipulation": "all", "condition": "clean", "value": number,
        "low": low, "high": high, "n": 700, "n_media": 700, "n_positive": 560, "coverage": 0.995, "profile": "native",
        "size": 128, "threshold": 0.5 if name.startswith("acc") else None, "seed": 7, "n_clusters": 140,
    }  # fmt: skip
    return MetricValue(**(fields | changes))


def result(metrics, **changes):
    fields = {
        "run_id": "r1", "model": "gr_net|x", "protocol": None, "manifests": (), "weights": None, "versions": {},
        "device": "cpu", "started": "2026", "seconds": 1.0, "selection": {"split": "val", "metric": "auc.video.mean"},
        "failure_policy": "exclude", "metrics": tuple(metrics), "mini": False,
    }  # fmt: skip
    return RunResult(**(fields | changes))


SMALL = result([value("acc.video.mean", 0.81234, 0.78, 0.85), value("auc.video.mean", 0.9, 0.875, 0.925)])


def test_text_is_exact():
    assert render(result_rows([SMALL])) == (
        "model           data      manipulation  condition  level       ACC               AUC               n    media  coverage\n"  # noqa: E501
        "--------------  --------  ------------  ---------  ----------  ----------------  ----------------  ---  -----  --------\n"  # noqa: E501
        "gr_net|x        ff++/c23  all           clean      video.mean  81.2 [78.0-85.0]  90.0 [87.5-92.5]  700  700    99.5\n"  # noqa: E501
        "majority class  ff++/c23  all           clean      video.mean  80.0              -                 700  700    99.5\n"  # noqa: E501
        "\n"
        "Percent.\n"
        "level: video.mean; test condition: clean; crop profile: native; crop size: 128 px; face geometry: unknown; "
        "training: unknown; training method: supervised; training condition: clean; "
        "training seed: 7; selection: auc.video.mean on val; samples without a score: excluded; protocol: none; "
        "threshold: fake from 0.5 on; intervals: 95 %, over scene groups.\n"
    )


def test_markdown_is_exact():
    lines = render(result_rows([SMALL]), "md").splitlines()
    assert lines[:4] == [
        "| model | data | manipulation | condition | level | ACC | AUC | n | media | coverage |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| gr\\_net\\|x | ff++/c23 | all | clean | video.mean | 81.2 [78.0–85.0] | 90.0 [87.5–92.5] | 700 | 700 | 99.5 |",  # noqa: E501
        "| majority class | ff++/c23 | all | clean | video.mean | 80.0 | – | 700 | 700 | 99.5 |",
    ]
    assert "crop profile: native" in lines[-1]


def test_latex_is_exact():
    text = render(result_rows([SMALL]), "tex")
    assert (
        "gr\\_net|x & ff++/c23 & all & clean & video.mean & 81.2 {\\scriptsize [78.0--85.0]} & "
        "90.0 {\\scriptsize [87.5--92.5]} & 700 & 700 & 99.5 \\\\\n" in text
    )
    assert "intervals: 95 \\%, over scene groups" in text
    for command in ("toprule", "midrule", "bottomrule"):
        assert f"\\{command}" in text
    assert text.count("{") == text.count("}")


def test_csv_keeps_full_precision_and_every_rule():
    (row, majority) = csv.DictReader(io.StringIO(render(result_rows([SMALL]), "csv")))
    assert float(row["acc"]) == 0.81234
    assert (row["auc_low"], row["auc_high"]) == ("0.875", "0.925")
    assert row["profile"] == "native"
    assert row["selection"] == "auc.video.mean on val"
    assert row["failure_policy"] == "exclude"
    assert (majority["model"], majority["acc"], majority["auc"]) == ("majority class", "0.8", "")


def test_requested_media_without_a_score_are_printed():
    lost = value("acc.video.mean", 0.8, n=90, n_media=90, n_positive=72, requested_media=100, coverage=0.9)
    for fmt in ("text", "md", "tex"):
        row = next(line for line in render(result_rows([result([lost])]), fmt).splitlines() if "majority" in line)
        assert re.findall(r"[\d./]+", row)[-3:] == ["90", "90/100", "90.0"], row
    assert "90/100" in render(result_rows([result([lost])]), "terminal")
    assert "media" not in render(result_rows([SMALL]), "terminal")
    (row, _) = csv.DictReader(io.StringIO(render(result_rows([result([lost])]), "csv")))
    assert (row["n_media"], row["requested_media"], row["coverage"]) == ("90", "100", "0.9")


def test_terminal_holds_the_same_numbers():
    text = render(result_rows([SMALL]), "terminal")
    assert "81.2" in text
    assert "crop profile" in " ".join(text.split())


@pytest.mark.parametrize(
    ("fmt", "mark"),
    [("text", "gr_net|x †"), ("md", "gr\\_net\\|x †"), ("tex", "gr\\_net|x \\dag{}"), ("terminal", "†")],
)
def test_a_crop_mismatch_is_marked_in_every_form(fmt, mark):
    rows = result_rows([SMALL.model_copy(update={"crop_mismatch": "dfb256 256 px"})])
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", render(rows, fmt)).split())
    assert mark in text
    assert "weights trained on dfb256 256 px crops, evaluated on native 128 px (crop mismatch)" in text
    assert "†" not in render(result_rows([SMALL]), fmt)


def test_a_crop_mismatch_has_a_column_in_csv():
    rows = result_rows([SMALL.model_copy(update={"crop_mismatch": "dfb256 256 px"})])
    assert next(csv.DictReader(io.StringIO(render(rows, "csv"))))["crop_mismatch"] == "dfb256 256 px"


MEASURED = SMALL.model_copy(
    update={
        "manifests": (
            ManifestRef(
                name="m", hash="h", dataset="ff++", profile="native", sizes=(128,), geometry="own", decoder="pyav",
                face_detector="x",
            ),
        )
    }
)  # fmt: skip


def with_fact(*metrics):
    fact = Baseline(name="size alone", metrics=tuple(metrics))
    return result_rows([MEASURED.model_copy(update={"baselines": (fact,)})])


def test_a_fact_alone_is_printed_where_its_interval_lies_above_chance():
    acc, good = value("acc.video.mean", 0.9, 0.85, 0.95), value("auc.video.mean", 0.62, 0.501, 0.7)
    rows = with_fact(acc, good)
    assert [row.model for row in rows] == ["gr_net|x", "majority class", "size alone"]
    assert "the best of them is shown" in render(rows)
    assert NO_FACT not in render(rows)


@pytest.mark.parametrize("low", [0.5, 0.4, None])
def test_else_one_line_says_that_no_fact_is_informative(low):
    high = None if low is None else 0.7
    rows = with_fact(value("acc.video.mean", 0.9, 0.85, 0.95), value("auc.video.mean", 0.62, low, high))
    assert [row.model for row in rows] == ["gr_net|x", "majority class"]
    for fmt in ("text", "md", "terminal"):
        shown = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", render(rows, fmt)).split())
        assert shown.count(NO_FACT) == 1
    assert "the best of them is shown" not in render(rows)
    assert NO_FACT in render(result_rows([MEASURED])), "no field differs between the files"


def test_a_fact_is_judged_on_the_samples_of_each_row():
    good, poor = (value("auc.video.mean", 0.6, low, 0.7) for low in (0.55, 0.45))
    fake = MEASURED.metrics[1].model_copy(update={"manipulation": "FaceSwap"})
    other = MEASURED.metrics[1].model_copy(update={"manipulation": "Deepfakes"})
    run = MEASURED.model_copy(
        update={
            "metrics": (*MEASURED.metrics, fake, other),
            "baselines": (
                Baseline(
                    name="size alone",
                    metrics=(
                        poor,
                        good.model_copy(update={"manipulation": "FaceSwap"}),
                        poor.model_copy(update={"manipulation": "Deepfakes"}),
                    ),
                ),
            ),
        }
    )
    rows = result_rows([run])
    assert [row.manipulation for row in rows if row.model == "size alone"] == ["FaceSwap"]
    assert {row.manipulation: row.no_fact for row in rows if not row.baseline} == {
        "all": True,
        "Deepfakes": True,
        "FaceSwap": False,
    }


def test_without_auc_balanced_accuracy_decides_and_without_both_nothing():
    bacc = [value("bacc.video.mean", 0.6, low, 0.7) for low in (0.55, 0.45)]
    acc = value("acc.video.mean", 0.9, 0.85, 0.95)
    assert [row.model for row in with_fact(acc, bacc[0])][-1] == "size alone"
    assert [row.model for row in with_fact(acc, bacc[1])][-1] == "majority class"
    assert [row.model for row in with_fact(acc)][-1] == "size alone"


def test_imported_scores_say_nothing_about_the_files():
    assert NO_FACT not in render(result_rows([SMALL]))


def test_facts_alone_have_no_crops_and_no_crop_mismatch():
    cheap = Baseline(name="length alone", metrics=SMALL.metrics[:1])
    rows = result_rows([SMALL.model_copy(update={"crop_mismatch": "dfb256 256 px", "baselines": (cheap,)})])
    (alone,) = [row for row in rows if row.model == "length alone"]
    assert alone.crop_mismatch == ""
    assert "length alone †" not in render(rows)
    assert "† length alone" not in render(rows)


def test_selection_that_is_not_known_is_said_so():
    unknown = SMALL.model_copy(update={"selection": {"split": "unknown", "note": "by its authors, on test data"}})
    assert "selection: unknown (by its authors, on test data)" in render(result_rows([unknown]))


def test_unknown_format():
    with pytest.raises(UsageError, match="unknown table format 'html'"):
        render(result_rows([SMALL]), "html")


@pytest.mark.parametrize("fmt", ["text", "md", "tex", "csv"])
def test_every_rule_stands_in_every_form(fmt):
    changed = result(
        [value("auc.frame", 0.7, condition="jpeg:q=60", train_condition="webp", profile="box", size=224)],
        failure_policy="as-chance",
    )
    text = render(result_rows([changed]), fmt).replace("\\", "")
    for word in ("frame", "jpeg:q=60", "webp", "box", "224", "auc.video.mean on val"):
        assert word in text
    assert ("as-chance" if fmt == "csv" else "count as a guess (score 0.5, half right)") in text


@pytest.mark.parametrize(
    ("change", "word"),
    [({"profile": "box"}, "crop profile"), ({"size": 224}, "crop size"), ({"train_condition": "jpeg:q=60"}, "training condition"),  # noqa: E501
     ({"seed": 8}, "training seed"), ({"training_method": "rfm"}, "training method")],
)  # fmt: skip
def test_runs_that_differ_in_a_rule_say_so(change, word):
    other = result([value("acc.video.mean", 0.7, **change)], run_id="r2", model="meso4")
    (sentence,) = [s for s in differences(result_rows([SMALL, other])) if word in s]
    assert "gr_net|x" in sentence
    assert "meso4" in sentence


def test_runs_with_other_selection_or_failure_rule_say_so():
    other = result([value("acc.video.mean", 0.7)], run_id="r2", model="meso4", failure_policy="as-real", selection={})
    text = " ".join(differences(result_rows([SMALL, other])))
    assert "differ in selection" in text
    assert "differ in samples without a score" in text
    assert differences(result_rows([SMALL])) == []


def test_a_number_without_a_threshold_differs_from_none():
    """Accuracy at one level and AUC at another is one run, whose AUC has no threshold."""
    one = result([value("acc.frame", 0.7), value("auc.video.mean", 0.8)])
    assert differences(result_rows([one])) == []
    assert "threshold: fake from 0.5 on;" in render(result_rows([one]))


def test_geometry_and_training_that_differ_are_told():
    def run(name, geometry, **card):
        manifest = ManifestRef(
            name="ff++", dataset="ff++", hash="0", profile="native", sizes=(128,), geometry=geometry, decoder="pyav",
            face_detector="centerface",
        )  # fmt: skip
        content = {"protocol": {"name": "p", "version": 2, "hash": "abcdef0123456789"}} | card
        return result(
            [value("auc.frame", 0.7)], model=name, manifests=(manifest,), weights=WeightsRef(sha256="0", card=content),
            protocol=ProtocolRef(name="p", version=2, hash="abcdef0123456789"),
        )  # fmt: skip

    plain, shared = run("a", "own"), run("b", "shared")
    short = run("c", "own", overrides={"epochs": 1})
    old = run("d", "own", protocol={"name": "p", "version": 1, "hash": "1234567890abcdef"})
    text = " ".join(differences(result_rows([plain, shared, short, old])))
    assert "differ in face geometry (own: a, c, d; shared: b)" in text
    assert (
        "differ in training (by the protocol: a, b; by the protocol, but epochs=1: c; by p v1 (1234567890ab): d)"
        in text
    )
    (line,) = csv.DictReader(io.StringIO(render(result_rows([short]), "csv")))
    assert (line["geometry"], line["training"]) == ("own", "by the protocol, but epochs=1")


def test_undefined_numbers_are_dashes_with_their_reason():
    one = result([value("auc.frame", None, undefined="only fake samples (5)", n=5, n_positive=5)])
    rows = result_rows([one])
    assert "  -  " in render(rows)
    assert any("only fake samples (5)" in note for note in notes(rows))
    few = result([value("auc.frame", 0.5, interval_note="3 scene groups; at least 20 are needed")])
    assert any("No interval: 3 scene groups" in note for note in notes(result_rows([few])))


def test_ties_at_the_threshold_are_printed():
    tied = result([value("acc.frame", 0.5, ties=12)])
    assert any("12 scores exactly at the threshold" in note for note in notes(result_rows([tied])))


def test_majority_stands_once_for_detectors_on_the_same_samples():
    other = result([value("acc.video.mean", 0.7)], run_id="r2", model="meso4")
    assert [r.model for r in result_rows([SMALL, other])] == ["gr_net|x", "meso4", "majority class"]
    fewer = result([value("acc.video.mean", 0.7, n=600, n_positive=400)], run_id="r2", model="meso4")
    shares = [r.values["acc"].value for r in result_rows([SMALL, fewer]) if r.baseline]
    assert shares == [0.8, 400 / 600]


def test_mini_is_marked_and_summarised():
    rows = result_rows([run_folders.result_of(run_folders.scores_table())])
    assert any("mini: invented faces" in note for note in notes(rows))
    text = summary(rows)
    assert text.startswith("AUC at video level")
    assert "mini/c23" in text
    assert "mini/c40" in text


def test_escapes():
    assert escape_latex("a_b & 50% {x} \\ ~^#$") == (
        "a\\_b \\& 50\\% \\{x\\} \\textbackslash{} \\textasciitilde{}\\textasciicircum{}\\#\\$"
    )
    assert escape_markdown("[x](http://a) <b>|`") == "\\[x\\](http://a) \\<b\\>\\|\\`"


def test_rows_survive_the_file(two_runs):
    raw = json.loads((two_runs[0] / "result.json").read_text())
    rows = result_rows([RunResult.model_validate(raw)])
    assert len([r for r in rows if not r.baseline]) == 2 * 2 * 5


@pytest.mark.parametrize("width", [80, 200])
def test_terminal_cuts_no_number(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [r for r in result_rows([run_folders.result_of(run_folders.scores_table())]) if r.manipulation == "all"]
    text = re.sub("\x1b\\[[0-9;]*m", "", render(rows, "terminal"))
    words = set(text.split())
    for row in rows:
        assert f"{100 * row.coverage:.1f}" in words
        for number in row.values.values():
            if number.low is not None:
                assert f"{100 * number.value:.1f}" in words
                assert f"[{100 * number.low:.1f}-{100 * number.high:.1f}]" in words
    assert max(map(len, text.splitlines())) <= width


def test_a_single_manipulation_does_not_repeat_the_rows_over_all():
    rows = result_rows([SMALL])
    one = [replace(row, manipulation="Deepfakes") for row in rows]
    assert distinct_rows([*rows, *one]) == rows
    two = [replace(row, manipulation="FaceSwap") for row in rows]
    assert distinct_rows([*rows, *one, *two]) == [*rows, *one, *two]
    assert "Deepfakes" not in render([*rows, *one])
