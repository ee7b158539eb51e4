"""A foreign file of scores becomes a run; what is wrong with it is named."""

import csv
import unicodedata

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.special import logit
from sklearn import metrics as sk

from dfbench.errors import DataError, UsageError
from dfbench.evaluation.run import open_run
from dfbench.interchange import matching
from dfbench.interchange.scores import ImportRules, import_scores
from dfbench.manifest.manifest import open_manifest
from dfbench.schema.result import RunResult
from dfbench.schema.scores import FROM_MANIFEST

QUICK = ImportRules(resamples=50)


def write(file, rows):
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return file


def clips(n=60, frames=3):
    rng = np.random.default_rng(0)
    scores = [[round(float(rng.beta(2 + i % 2, 3 - i % 2)), 6) for _ in range(frames)] for i in range(n)]
    return [
        {"media_id": f"0{i:03d}", "label": i % 2, "score": score, "frame_index": k}
        for i, of_clip in enumerate(scores)
        for k, score in enumerate(of_clip)
    ]


def values(run):
    return {m.name: m for m in run.result.metrics if m.manipulation == "all"}


def test_self_contained_csv(tmp_path):
    rows = clips()
    run = import_scores(write(tmp_path / "theirs.csv", rows), tmp_path / "run", rules=QUICK)
    frame = pd.DataFrame(rows)
    found = values(run)
    assert found["auc.frame"].value == pytest.approx(sk.roc_auc_score(frame["label"], frame["score"]))
    videos = frame.groupby("media_id").mean()
    assert found["auc.video.mean"].value == pytest.approx(sk.roc_auc_score(videos["label"], videos["score"]))
    assert found["ap.frame"].value == pytest.approx(sk.average_precision_score(frame["label"], frame["score"]))
    assert (run.result.model, run.result.protocol, run.result.manifests) == ("theirs", None, ())
    again = open_run(tmp_path / "run")
    assert again.result == RunResult.model_validate_json((tmp_path / "run" / "result.json").read_text())
    assert again.scores_table["media_id"][0].as_py() == "imported/all/real/0000"
    assert any("no scene groups" in w for w in run.result.warnings)


def test_parquet_gives_the_same_and_logits_are_turned(tmp_path):
    frame = pd.DataFrame(clips())
    csv_run = import_scores(write(tmp_path / "a.csv", clips()), tmp_path / "a", rules=QUICK)
    turned = frame.assign(score=logit(frame["score"]))
    turned.to_parquet(tmp_path / "b.parquet")
    run = import_scores(tmp_path / "b.parquet", tmp_path / "b", kind="logit", rules=QUICK)
    for name, value in values(csv_run).items():
        assert values(run)[name].value == pytest.approx(value.value, abs=1e-9)
    assert run.scores_table["logits"][0].as_py() == pytest.approx([turned["score"][0]], rel=1e-6)


def test_names_reused_by_manipulations_stay_apart(tmp_path):
    rows = [
        {"media_id": name, "label": int(m != "real"), "score": 0.3, "manipulation": m}
        | {"dataset": "ff++", "subset": "c23"}
        for m, name in [("real", "000"), ("real", "003"), *((m, "000_003") for m in ("Deepfakes", "FaceSwap"))]
    ]
    run = import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", rules=ImportRules(resamples=0))
    assert values(run)["acc.video.mean"].n == 4
    assert run.scores_table["media_id"].to_pylist()[2:] == ["ff++/c23/Deepfakes/000_003", "ff++/c23/FaceSwap/000_003"]
    assert set(run.scores_table["scene_group"].to_pylist()[2:]) == {"000_003"}
    assert any("one score per video" in w for w in run.result.warnings)


def test_conditions_are_cells_of_their_own(tmp_path):
    rows = [r | {"condition": c} for r in clips(20, 1) for c in ("clean", "jpeg:q=60")]
    run = import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", rules=ImportRules(resamples=0))
    assert {m.condition for m in run.result.metrics} == {"clean", "jpeg:q=60"}


def test_failures_are_said_by_status(tmp_path):
    rows = [r | {"status": "ok"} for r in clips(20, 2)]
    rows[0] |= {"score": "", "status": "no_face"}
    run = import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", rules=ImportRules(resamples=0))
    assert values(run)["auc.frame"].coverage == 39 / 40
    rules = ImportRules(resamples=0, failure_policy="as-fake")
    assert values(import_scores(tmp_path / "f.csv", tmp_path / "b", rules=rules))["auc.frame"].n == 40


def changed(place, **cells):
    rows = clips(20, 2)
    rows[place] |= cells
    return rows


BAD = {
    "nan": (changed(2, score="nan"), r"empty, NaN or infinite: row 3 \(0001\)"),
    "empty": (changed(2, score=""), r"empty, NaN or infinite: row 3"),
    "infinite": (changed(2, score="inf"), r"empty, NaN or infinite: row 3"),
    "not a number": (changed(2, score="high"), "score is not a number in row 3: 'high'"),
    "logits": (changed(2, score="2.5"), r"scores outside \[0,1\]: row 3"),
    "label": (changed(2, label=2), r"values of 'label' that are not 0 or 1: row 3 \(0001\)"),
    "no label": (changed(2, label=""), "values of 'label' that are not 0 or 1: row 3"),
    "two labels": (changed(2, label=0), r"media ids with two labels: row 3 \(0001\), row 4"),
    "twice": (changed(3, frame_index=0), r"media or frames that occur more than once: row 3 .*, row 4"),
    "frame": (changed(3, frame_index=0.5), "values of 'frame_index' that are not whole numbers: row 4"),
    "real fakes": (
        [row | {"manipulation": "real"} for row in clips(20, 2)],
        "fakes whose manipulation is 'real': row 3",
    ),
    "no id": (changed(3, media_id=""), "rows without a media_id: row 4"),
}


def test_percent_is_recognised(tmp_path):
    rows = [row | {"score": 100 * row["score"]} for row in clips(20, 2)]
    with pytest.raises(DataError, match="outside") as caught:
        import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", rules=QUICK)
    assert "divide them by 100" in caught.value.hint
    run = import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", kind="logit", rules=QUICK)
    assert any("no logit is below 0" in warning for warning in run.result.warnings)
    assert any("count them as ties" in warning for warning in run.result.warnings)


def test_distinct_logits_give_no_warning(tmp_path):
    frame = pd.DataFrame(clips(20, 2))
    file = write(tmp_path / "f.csv", frame.assign(score=logit(frame["score"])).to_dict("records"))
    run = import_scores(file, tmp_path / "run", kind="logit", rules=QUICK)
    assert not any("logit" in warning for warning in run.result.warnings)


@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD)
def test_bad_rows_are_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run", rules=QUICK)
    assert not (tmp_path / "run").exists()


def test_without_frames_a_second_row_of_a_media_is_refused(tmp_path):
    rows = [{k: v for k, v in r.items() if k != "frame_index"} for r in clips(4, 2)]
    with pytest.raises(DataError, match="occur more than once") as caught:
        import_scores(write(tmp_path / "f.csv", rows), tmp_path / "run")
    assert "frame_index" in caught.value.hint


def test_files_that_are_none(tmp_path):
    write(tmp_path / "text.parquet", clips(4, 2))
    with pytest.raises(DataError, match="is not a Parquet file"):
        import_scores(tmp_path / "text.parquet", tmp_path / "run")
    with pytest.raises(DataError, match="file not found"):
        import_scores(tmp_path / "none.csv", tmp_path / "run")
    (tmp_path / "x.csv").write_text("media_id,label\na,0\n")
    with pytest.raises(DataError, match="no column 'score'"):
        import_scores(tmp_path / "x.csv", tmp_path / "run")
    (tmp_path / "x.csv").write_text("media_id,label,score\n")
    with pytest.raises(DataError, match="has no rows"):
        import_scores(tmp_path / "x.csv", tmp_path / "run")
    (tmp_path / "x.csv").write_bytes(b"PAR1 but broken")
    with pytest.raises(DataError, match="not a readable"):
        import_scores(tmp_path / "x.csv", tmp_path / "run")
    (tmp_path / "x.csv").write_text("label,score\n0,0.1\n")
    with pytest.raises(DataError, match="neither 'sample_id' nor 'media_id'"):
        import_scores(tmp_path / "x.csv", tmp_path / "run")


def test_options_that_do_not_go_together(tmp_path):
    file = write(tmp_path / "f.csv", clips(4, 1))
    with pytest.raises(UsageError, match="unknown kind of score 'logits'"):
        import_scores(file, tmp_path / "run", kind="logits")
    with pytest.raises(UsageError, match="requires the manifest"):
        import_scores(file, tmp_path / "run", protocol="mini")
    with pytest.raises(UsageError, match="unknown metric"):
        import_scores(file, tmp_path / "run", rules=ImportRules(names=("auc",)))


def manifest_rows(folder, split="test"):
    frame = open_manifest(folder).to_pandas(["sample_id", "media_id", "frame_index", "label", "split", "status"])
    frame = frame[frame["split"] == split].reset_index(drop=True)
    return frame.assign(score=np.random.default_rng(0).random(len(frame)).round(6))


@pytest.mark.parametrize("columns", [["sample_id", "score"], ["media_id", "frame_index", "score"]])
def test_matched_to_a_manifest(tmp_path, prepared, columns):
    frame = manifest_rows(prepared[0])
    part = frame.iloc[3:]
    part[columns].to_csv(tmp_path / "f.csv", index=False)
    run = import_scores(tmp_path / "f.csv", tmp_path / "run", [prepared[0]], rules=ImportRules(resamples=0))
    found = values(run)["auc.frame"]
    assert found.value == pytest.approx(sk.roc_auc_score(part["label"], part["score"]))
    assert found.coverage == len(part) / len(frame)
    scores = pq.read_table(tmp_path / "run" / "scores.parquet").to_pandas()
    assert set(scores["split"]) == {"test"}
    assert dict(scores["status"].value_counts()) == {"ok": len(part), "no_score": 1, "no_face": 2}
    assert run.result.manifests[0].dataset == "folder"


def test_a_protocol_wants_every_one_of_its_samples(tmp_path, prepared):
    folder, protocol = prepared
    frame = manifest_rows(folder)
    frame[["sample_id", "score"]].to_csv(tmp_path / "f.csv", index=False)
    run = import_scores(tmp_path / "f.csv", tmp_path / "run", [folder], protocol=protocol)
    assert run.result.protocol.name == "tiny"
    assert [m.name for m in run.result.metrics if m.manipulation == "all"] == [
        "acc.frame", "auc.frame", "eer.frame", "auc.video.mean",
    ]  # fmt: skip
    lost = frame[frame["status"] == "ok"].iloc[0]["sample_id"]
    frame[frame["sample_id"] != lost][["sample_id", "score"]].to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(DataError, match=f"1 samples of 'tiny' have no row, the first is {lost}"):
        import_scores(tmp_path / "g.csv", tmp_path / "h", [folder], protocol=protocol)
    manifest_rows(folder, "val")[["sample_id", "score"]].to_csv(tmp_path / "v.csv", index=False)
    with pytest.raises(DataError, match="ids that are not of protocol 'tiny': row 1"):
        import_scores(tmp_path / "v.csv", tmp_path / "h", [folder], protocol=protocol)
    with pytest.raises(UsageError, match="has its own rules for metrics"):
        import_scores(tmp_path / "f.csv", tmp_path / "h", [folder], protocol=protocol, rules=QUICK)


@pytest.mark.parametrize("in_manifest", ["NFC", "NFD"])
@pytest.mark.parametrize("in_file", ["NFC", "NFD"])
def test_names_in_another_normal_form_are_the_same_names(tmp_path, prepared, monkeypatch, in_manifest, in_file):
    """Ids made from the names of files on macOS are decomposed."""

    def spelled(name, form):
        start, slash, end = name.rpartition("/")
        return unicodedata.normalize(form, f"{start}{slash}jürgen 한{end}")

    frame = manifest_rows(prepared[0])
    stored = open_manifest(prepared[0]).to_pandas(FROM_MANIFEST)
    stored = stored.assign(sample_id=[spelled(name, in_manifest) for name in stored["sample_id"]])
    monkeypatch.setattr(matching, "_samples_of", lambda *_: stored)
    rows = frame.assign(sample_id=[spelled(name, in_file) for name in frame["sample_id"]])
    rows[["sample_id", "score"]].to_csv(tmp_path / "f.csv", index=False)
    run = import_scores(tmp_path / "f.csv", tmp_path / "run", [prepared[0]], rules=ImportRules(resamples=0))
    found = pq.read_table(tmp_path / "run" / "scores.parquet").to_pandas()
    assert set(found["sample_id"]) == set(stored["sample_id"]) & {spelled(n, in_manifest) for n in frame["sample_id"]}
    assert values(run)["auc.frame"].coverage == 1
    twice = pd.concat([rows, rows.assign(sample_id=[unicodedata.normalize("NFC", n) for n in rows["sample_id"]])])
    twice[["sample_id", "score"]].to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(DataError, match="occur more than once"):
        import_scores(tmp_path / "f.csv", tmp_path / "run2", [prepared[0]])


def test_matching_refuses_what_does_not_fit(tmp_path, prepared):
    frame = manifest_rows(prepared[0])
    cases = [
        (frame.assign(sample_id=frame["sample_id"].str.replace("test", "tset")), "ids that are not of the manifest"),
        (pd.concat([frame, frame.iloc[:1]]), "samples that occur more than once"),
        (frame.assign(label=1 - frame["label"]), "labels differ from the manifest"),
    ]
    for rows, message in cases:
        rows[["sample_id", "label", "score"]].to_csv(tmp_path / "f.csv", index=False)
        with pytest.raises(DataError, match=message):
            import_scores(tmp_path / "f.csv", tmp_path / "run", [prepared[0]])
    frame[["media_id", "score"]].to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(DataError, match="which matching to a manifest requires"):
        import_scores(tmp_path / "f.csv", tmp_path / "run", [prepared[0]])


def test_another_run_in_the_folder_is_kept(tmp_path):
    file = write(tmp_path / "f.csv", clips(20, 1))
    rules = ImportRules(resamples=0)
    first = import_scores(file, tmp_path / "run", rules=rules)
    assert import_scores(file, tmp_path / "run", rules=rules).result.run_id == first.result.run_id
    with pytest.raises(UsageError, match="holds another run"):
        import_scores(file, tmp_path / "run", rules=rules, model="other")
    assert import_scores(file, tmp_path / "run", rules=rules, model="other", overwrite=True).result.model == "other"


def test_parquet_whose_texts_are_not_utf8_is_refused(tmp_path):
    """pyarrow reads such texts without a word and fails where they are used."""
    pd.DataFrame(clips(4, 2)).to_parquet(tmp_path / "a.parquet", compression=None)
    data = (tmp_path / "a.parquet").read_bytes()
    name = str(clips(4, 2)[0]["media_id"]).encode()
    assert name in data
    (tmp_path / "a.parquet").write_bytes(data.replace(name, b"\xff" + name[1:]))
    with pytest.raises(DataError, match="is not a readable"):
        import_scores(tmp_path / "a.parquet", tmp_path / "run", rules=QUICK)
