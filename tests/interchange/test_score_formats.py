"""Files of scores as spreadsheets, notebooks and other programs write them: read, or refused with what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError
from dfbench.interchange.matching import self_contained
from dfbench.interchange.score_file import read_score_file

N = 12
NAMES = [f"{i:04d}" for i in range(N)]
"""Ids that must not become numbers."""
LABELS = [i % 2 for i in range(N)]
SCORES = [round(0.05 + 0.07 * i, 4) for i in range(N)]
TABLE = pd.DataFrame({"media_id": NAMES, "label": LABELS, "score": SCORES})


def text(separator: str = ",", frame: pd.DataFrame = TABLE, head: str | None = None) -> str:
    lines = [separator.join(map(str, row)) for row in frame.itertuples(index=False)]
    return "\n".join([head or separator.join(frame.columns), *lines]) + "\n"


def arrow(**changed: pa.Array) -> pa.Table:
    columns = {name: pa.array(TABLE[name].tolist()) for name in TABLE}
    return pa.table(columns | changed)


def packed(write: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, *args, **kwargs)
    return stream.getvalue()


def parquet(**changed: pa.Array) -> bytes:
    return packed(lambda stream: pq.write_table(arrow(**changed), stream))


def record_array() -> np.ndarray:
    rows = [(name.encode(), label, score) for name, label, score in zip(NAMES, LABELS, SCORES, strict=True)]
    return np.array(rows, dtype=[("media_id", "S4"), ("label", "i1"), ("score", "f8")])


COMMAS = TABLE.assign(score=[str(score).replace(".", ",") for score in SCORES])
READ: dict[str, bytes] = {
    "semicolons.csv": text(";").encode(),
    "decimal commas.csv": text(";", COMMAS).encode(),
    "quoted decimal commas.csv": text(",", COMMAS.assign(score=[f'"{s}"' for s in COMMAS["score"]])).encode(),
    "sep line.csv": ("sep=;\n" + text(";", COMMAS)).encode("utf-8-sig"),
    "tabs.csv": text("\t").encode(),
    "bars.txt": text("|").encode(),
    "utf-16.txt": text("\t").encode("utf-16"),
    "utf-16 without a mark.csv": text().encode("utf-16-le"),
    "bom and crlf.csv": text().replace("\n", "\r\n").encode("utf-8-sig"),
    "blank lines.csv": text().replace("\n", "\n\n").encode(),
    "heads.csv": text(head="Media ID, LABEL,Score ").encode(),
    "trailing separators.csv": text().replace("\n", ",,\n").replace("score,,", "score").encode(),
    "percent.csv": text(frame=TABLE.assign(score=[f"{100 * s:.2f} %" for s in SCORES])).encode(),
    "percent with commas.csv": text(
        ";", TABLE.assign(score=[f"{100 * s:.2f}%".replace(".", ",") for s in SCORES])
    ).encode(),
    "others twice.csv": text(frame=TABLE.assign(a=1, b=2), head="media_id,label,score,note,note").encode(),
    "pandas index.csv": packed(TABLE.to_csv),
    "words.csv": text(frame=TABLE.assign(label=["REAL", "Fake"] * (N // 2))).encode(),
    "booleans.csv": text(frame=TABLE.assign(label=["FALSE", "TRUE"] * (N // 2))).encode(),
    "float labels.csv": text(frame=TABLE.assign(label=["0.0", "1.0"] * (N // 2))).encode(),
    "packed.csv.gz": gzip.compress(text().encode()),
    "packed without a suffix": bz2.compress(text(";").encode("utf-16")),
    "packed.csv.xz": lzma.compress(text().encode()),
    "packed.csv.zst": pa.compress(text().encode(), "zstd", asbytes=True),
    "records.json": json.dumps(TABLE.to_dict("records"), indent=1).encode(),
    "records with a mark.json": json.dumps(TABLE.to_dict("records")).encode("utf-8-sig"),
    "columns.json": json.dumps(TABLE.to_dict("list")).encode(),
    "pandas.json": TABLE.to_json().encode(),
    "split.json": TABLE.to_json(orient="split").encode(),
    "table.json": TABLE.to_json(orient="table", index=False).encode(),
    "lines.jsonl": TABLE.to_json(orient="records", lines=True).encode(),
    "lines.txt": TABLE.to_json(orient="records", lines=True).replace("\n", "\r\n\r\n").encode(),
    "plain.parquet": parquet(),
    "named as text.csv": parquet(),
    "categories.parquet": parquet(
        media_id=pa.array(NAMES).dictionary_encode(), label=pa.array(["real", "fake"] * (N // 2)).dictionary_encode()
    ),
    "lists of one.parquet": parquet(score=pa.array([[s] for s in SCORES])),
    "half precision.parquet": parquet(score=pa.array(np.array(SCORES, np.float16)), label=pa.array([False, True] * 6)),
    "decimals.parquet": parquet(score=pa.array(SCORES).cast(pa.decimal128(8, 4))),
    "bytes.parquet": parquet(media_id=pa.array([name.encode() for name in NAMES])),
    "indexed.parquet": packed(lambda stream: TABLE.set_index("media_id").to_parquet(stream)),
    "table.feather": packed(lambda stream: feather.write_feather(arrow(), stream, compression="zstd")),
    "categories.arrow": packed(
        lambda stream: feather.write_feather(arrow(media_id=pa.array(NAMES).dictionary_encode()), stream)
    ),
    "fields.npy": packed(np.save, record_array()),
    "arrays.npz": packed(np.savez, media_id=np.array(NAMES), label=np.array(LABELS), score=np.array(SCORES)),
    "column of one.npz": packed(
        np.savez_compressed, media_id=np.array(NAMES), label=np.array(LABELS), score=np.array(SCORES)[:, None]
    ),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(READ[name])
    rows = read_score_file(tmp_path / name, "probability")
    assert rows["media_id"].tolist() == NAMES
    assert rows["score"].to_numpy() == pytest.approx(SCORES, abs=1e-3 if "half" in name else 1e-9)
    found = self_contained(rows.assign(condition="clean"))
    assert found["label"].tolist() == LABELS


def xlsx() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return stream.getvalue()


def zipped(name: str, data: bytes = b"x") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


PAIRS = [[1 - s, s] for s in SCORES]
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "book.xlsx": (xlsx(), "is an Excel file", "CSV UTF-8"),
    "book.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel file of the old kind", "CSV UTF-8"),
    "book.ods": (zipped("content.xml"), "LibreOffice", "CSV UTF-8"),
    "frame.pkl": (packed(TABLE.to_pickle), "is a pickle", "to_parquet"),
    "frame.pt": (zipped("archive/data.pkl"), "torch.save", "to_parquet"),
    "all.zip": (zipped("scores.csv", text().encode()), "is a zip file", "unpack it"),
    "frame.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5", "to_parquet"),
    "scores.npy": (packed(np.save, np.array(SCORES)), r"shape \(12,\) without names", "media_id"),
    "objects.npy": (packed(np.save, np.array(NAMES, object), allow_pickle=True), "not a readable", "required columns"),
    "uneven.npz": (packed(np.savez, media_id=np.array(NAMES), score=np.array(0.5)), "different lengths", "to_parquet"),
    "page.csv": (b"\n<!DOCTYPE html><html>login</html>", "HTML", "Download the file itself"),
    "latin.csv": (text().replace("0003", "caf\xe9").encode("latin-1"), "is not text in UTF-8.*line 5", "CSV UTF-8"),
    "binary.csv": (b"\x01\x02\x00\x03" * 9, "binary file of an unknown kind|is not text", ""),
    "pairs.parquet": (parquet(score=pa.array(PAIRS)), "score of row 1 is a list of 2 values", r"\.str\[1\]"),
    "pairs.json": (
        json.dumps(TABLE.assign(score=PAIRS).to_dict("records")).encode(),
        "score of row 1 is a list of 2 values",
        r"\.str\[1\]",
    ),
    "pairs.npz": (
        packed(np.savez, media_id=np.array(NAMES), label=np.array(LABELS), score=np.array(PAIRS)),
        "score of row 1 is a list of 2 values",
        r"\.str\[1\]",
    ),
    "some pairs.jsonl": (
        b'{"media_id":"a","label":0,"score":[0.1]}\n{"media_id":"b","label":1,"score":[0.3,0.7]}\n',
        "score of row 2 is a list",
        r"\.str\[1\]",
    ),
    "records.parquet": (
        parquet(score=pa.array([{"real": a, "fake": b} for a, b in PAIRS])),
        "a record of real, fake",
        r"\.str\['fake'\]",
    ),
    "nested ids.parquet": (parquet(media_id=pa.array([[n, n] for n in NAMES])), "media_id of row 1 is a list", "str"),
    "no header.csv": (text(head="0099,1,0.5").encode(), "is the header line missing", "media_id,label,score"),
    "p_fake.csv": (text(head="media_id,label,other").encode(), "no column 'score'; it has: media_id", "required"),
    "p_fake.parquet": (
        packed(lambda stream: pq.write_table(arrow().rename_columns(["media_id", "label", "p_fake"]), stream)),
        "no column 'score'",
        "rename the column 'p_fake'",
    ),
    "twice.csv": (text(head="media_id,Score,score").encode(), "'score' occurs twice", "rename"),
    "labels twice.csv": (
        text(frame=TABLE.assign(more=LABELS), head="media_id,label,score,Label").encode(),
        "'label' occurs twice",
        "rename",
    ),
    "ids twice.csv": (
        text(frame=TABLE.assign(more=NAMES), head="media_id,label,score,Media ID").encode(),
        "several columns 'media_id'",
        "keep one",
    ),
    "scores twice.parquet": (
        packed(lambda stream: pq.write_table(arrow().append_column("Score", pa.array(SCORES)), stream)),
        "several columns 'score'",
        "keep one",
    ),
    "long rows.csv": (text(";").replace("0003;1", "0003;1;x").encode(), "line 5: 4 values", "quotes"),
    "decimal commas.csv": (text(",", COMMAS).encode(), "line 2: 4 values, the header has 3", "quotes"),
    "thousands.csv": (
        text(";", TABLE.assign(score=["1,234.5", *SCORES[1:]])).encode(),
        r"not a number in row 1: '1,234\.5'",
        "thousands separators",
    ),
    "both.csv": (
        text(";", TABLE.assign(score=["0,5", *SCORES[1:]])).encode(),
        "not a number in row 1: '0,5'",
        "same decimal separator",
    ),
    "some percent.csv": (
        text(frame=TABLE.assign(score=["5 %", *SCORES[1:]])).encode(),
        "not a number in row 1: '5 %'",
        "in percent or none",
    ),
    "label words.csv": (
        text(frame=TABLE.assign(label="perhaps")).encode(),
        "label is not a number in row 1: 'perhaps'",
        r"0 \(real\) and 1 \(fake\)",
    ),
    "minus one.csv": (
        text(frame=TABLE.assign(label=[-1, 1] * 6)).encode(),
        "values of 'label' that are not 0 or 1: row 1",
        "real is 0, fake is 1",
    ),
    "cut.json": (json.dumps(TABLE.to_dict("records"))[:-9].encode(), "not JSON", "copy"),
    "cut.jsonl": (TABLE.to_json(orient="records", lines=True)[:-9].encode(), "line 12: not JSON", "copy"),
    "deep.json": (b"[" * 100_000 + b"]" * 100_000, "not a readable file of scores", "required"),
    "text.json": (b'{"a": "b"}', "is JSON, but not a table", "list of records"),
    "numbers.json": (b"[0.1, 0.2]", "is JSON, but not a table", "list of records"),
    "uneven.json": (b'{"media_id": ["a"], "score": [0.1, 0.2]}', "different lengths", "to_csv"),
    "ids twice.json": (b'{"0001": 0.1, "0002": 0.9, "0001": 0.3}', "'0001' occurs twice", "keep one"),
    "keys twice.jsonl": (
        b'{"media_id":"a","label":0,"score":0.1}\n{"media_id":"b","label":1,"score":0.3,"score":0.7}\n',
        "'score' occurs twice",
        "keep one",
    ),
    "one and two.csv": (
        text(frame=TABLE.assign(label=[1, 2] * 6)).encode(),
        "values of 'label' that are not 0 or 1: row 2",
        "real is 0, fake is 1",
    ),
    "triples.parquet": (
        parquet(score=pa.array([[0.2, 0.3, 0.5]] * N)),
        "score of row 1 is a list of 3 values",
        r"\.str\[0\]",
    ),
    "pairs of frames.parquet": (
        parquet(frame_index=pa.array([[0, 1]] * N)),
        "frame_index of row 1 is a list of 2 values",
        "one value a row",
    ),
    "empty.json": (b"[]", "has no rows", "required columns"),
    "empty.csv": (b"", "no column 'score'; it has: nothing", "required columns"),
    "spaces.csv": (b" \n \n", "no column 'score'", "required columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_hint_that_fits(name: str, tmp_path: Path) -> None:
    data, message, hint = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        self_contained(read_score_file(tmp_path / name, "probability").assign(condition="clean"))
    assert pd.Series([caught.value.hint]).str.contains(hint).all(), caught.value.hint
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", [n for n in READ if "." in n and not n.endswith((".csv", ".txt"))])
def test_a_truncated_file_is_refused(name: str, tmp_path: Path) -> None:
    for length in (5, len(READ[name]) // 2 + 3, len(READ[name]) - 3):
        (tmp_path / name).write_bytes(READ[name][:length])
        with pytest.raises(DataError):
            read_score_file(tmp_path / name, "probability")


def test_a_mapping_of_ids_to_scores_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(dict(zip(NAMES, SCORES, strict=True))))
    rows = read_score_file(tmp_path / "a.json", "probability")
    assert rows["media_id"].tolist() == NAMES
    assert rows["score"].tolist() == SCORES
    (tmp_path / "b.json").write_text('{"d/s/m/a#000001.0": 0.25}')
    assert read_score_file(tmp_path / "b.json", "probability")["sample_id"].tolist() == ["d/s/m/a#000001.0"]


def test_logits_may_have_a_minus_of_typographers_and_no_percent(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("media_id;label;score\na;0;\u22122,5\nb;1;1,5\n", "utf-8")
    assert read_score_file(tmp_path / "a.csv", "logit")["logit"].tolist() == [-2.5, 1.5]
    (tmp_path / "a.csv").write_text("media_id,label,score\na,0,5 %\nb,1,7 %\n", "utf-8")
    with pytest.raises(DataError, match="not a number in row 1"):
        read_score_file(tmp_path / "a.csv", "logit")


def test_whole_numbers_with_gaps_stay_whole_as_ids(tmp_path: Path) -> None:
    table = pa.table({"media_id": pa.array([7, None, 9]), "label": [0, 1, 1], "score": [0.1, 0.2, 0.3]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_score_file(tmp_path / "a.parquet", "probability")["media_id"].tolist() == ["7", "", "9"]


def test_an_archive_that_inflates_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfbench.interchange.score_tables.LARGEST", 10_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(10**6)))
    (tmp_path / "a.npz").write_bytes(packed(np.savez_compressed, score=np.zeros(10**5)))
    for name in ("a.csv.gz", "a.npz"):
        with pytest.raises(DataError, match="more than 10000 bytes"):
            read_score_file(tmp_path / name, "probability")
    header = packed(np.save, record_array()).replace(b"(12,)", b"(10000000000000,)".ljust(5))
    (tmp_path / "a.npy").write_bytes(header)
    with pytest.raises(DataError):
        read_score_file(tmp_path / "a.npy", "probability")
