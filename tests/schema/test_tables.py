from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfbench.errors import DataError
from dfbench.resources import facts_folder
from dfbench.schema.columns import Column, TableContract
from dfbench.schema.manifest import EXTRA_COLUMNS, MANIFEST, crop_columns, extra_columns
from dfbench.schema.media import MEDIA
from dfbench.schema.published import load_published
from dfbench.schema.scores import EXAMPLES, SCORES

CONTRACT = TableContract(
    "toy",
    (Column("key", pa.string(), "a key"), Column("value", pa.int8(), "a value", nullable=True)),
    key=("key",),
)
PAIRS = TableContract("pairs", (Column("pair", pa.list_(pa.int8()), "two values", nullable=True, length=2),))


def test_a_fitting_table_passes() -> None:
    table = pa.table({"key": ["a", "b"], "value": [1, None]}, schema=CONTRACT.schema())
    CONTRACT.check(table)
    assert CONTRACT.schema().field("key").metadata == {b"doc": b"a key"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table({"key": ["a"]}), "lacks the columns value"),
        (pa.table({"key": ["a"], "value": [1.0]}), "is double, expected int8"),
        (pa.table({"key": ["a", None], "value": pa.array([1, 2], pa.int8())}), "null values"),
        (pa.table({"key": ["a", "a"], "value": pa.array([1, 2], pa.int8())}), "first: a"),
    ],
)
def test_what_does_not_fit_is_named(table: pa.Table, words: str) -> None:
    with pytest.raises(DataError, match=words):
        CONTRACT.check(table, "file.parquet")


def test_lists_of_another_length_are_named() -> None:
    PAIRS.check(pa.table({"pair": [[1, 2], None]}, schema=PAIRS.schema()))
    with pytest.raises(DataError, match=r"'pair' of the pairs table in .* holds lists of 3 values, expected 2"):
        PAIRS.check(pa.table({"pair": [[1, 2], None, [1, 2, 3]]}, schema=PAIRS.schema()), "file.parquet")


def test_no_list_has_a_fixed_size() -> None:
    """Arrow before version 26 can write null lists of a fixed size to Parquet, and not read them."""
    sizes = (128,)
    columns = (*MANIFEST.columns, *extra_columns((*EXTRA_COLUMNS, "masks"), sizes), *crop_columns(sizes))
    for column in (*columns, *SCORES.columns, *EXAMPLES.columns):
        assert not pa.types.is_fixed_size_list(column.type), column.name


@pytest.mark.parametrize("contract", [MEDIA, MANIFEST, SCORES], ids=lambda c: c.name)
def test_every_column_is_documented_and_named_once(contract: TableContract) -> None:
    names = [c.name for c in contract.columns]
    assert len(set(names)) == len(names)
    assert all(len(c.doc) >= 5 for c in contract.columns)
    assert set(contract.key) <= set(names)


def test_the_manifest_has_the_columns_that_others_rely_on() -> None:
    promised = """sample_id media_id dataset subset manipulation label split identity_target
    identity_source base_media_id media_path frame_index time_s frame_count width height face_index status reason
    face_score box landmarks geometry_from matrix class scene_group scale face_count source_media_id media_mask_path
    media_size media_sha256 media_format codec fps pixel_aspect jpeg_quality clip_index base_shift""".split()
    assert set(promised) <= {c.name for c in MANIFEST.columns}
    assert [c.name for c in crop_columns((128, 224))] == ["crop_128", "sha256_128", "crop_224", "sha256_224"]


def test_the_scores_have_the_promised_columns() -> None:
    promised = """sample_id media_id dataset subset manipulation split label class condition model run_id status
    score logits""".split()
    assert set(promised) <= {c.name for c in SCORES.columns}
    assert SCORES.schema().field("score").type == pa.float64()


def test_published_numbers_are_valid_and_complete() -> None:
    rows = load_published(facts_folder() / "published_results.csv")
    assert len(rows) == 984
    assert {"guo2023grnet"} <= {r.source for r in rows}
    binary = [
        r.value
        for r in rows
        if r.source == "guo2023grnet" and r.table == "V" and r.method == "GRnet" and r.condition == "average"
    ]
    assert binary == [97.72]


def test_a_broken_published_row_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    header = "source,table,task,method,train_set,test_set,condition,level,metric,value,where"
    file.write_text(f"{header}\nx,I,binary,m,a,b,c,frame,AUC,0.9,p. 1\nx,I,binary,m,a,b,c,frame,AUC,high,p. 1\n")
    with pytest.raises(DataError, match=r"line 3: value"):
        load_published(file)


def test_the_pairs_are_the_official_ones() -> None:
    lines = (facts_folder() / "ffpp_pairs.csv").read_text().split()[1:]
    ids = [i for line in lines for i in line.split(",")[1:]]
    assert len(lines) == 500
    assert sorted(ids) == [f"{i:03d}" for i in range(1000)]
