"""Whatever text or file a stranger gives, parsers return a valid object or raise an error class of dfbench."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dfbench
from dfbench import degrade
from dfbench.errors import DataError, DfbenchError, UndefinedMetric, UsageError
from dfbench.metrics import parse_metric

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20000"))
"""Examples of the quick parsers; the tests that write a file take a tenth."""

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=EXAMPLES // 10, deadline=None, suppress_health_check=list(HealthCheck))

TOP = Path(__file__).resolve().parents[2]
WORDS = "clean : = , + @ crop clip source q k sigma crf scale 60 0 -1 1e9 0.5 nan inf JP é".split()
PIECES = st.sampled_from([*degrade.degradation_names(), *degrade.ALIASES, *WORDS, "", " ", "\x00", "\n"])


@many
@given(st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=40)))
def test_conditions(text: str) -> None:
    try:
        condition = degrade.parse(text)
    except UsageError:
        return
    assert degrade.parse(condition.name) == condition
    assert degrade.parse(condition.name).name == condition.name


PARTS = (
    "acc auc eer ap tpr pauc recall . frame video mean max vote @ fpr= 0.01 class= real ~ dfb sbi collapsed 1 é".split()
)
METRIC = st.sampled_from([*PARTS, "real-positive", "", " "])


@many
@given(st.one_of(st.lists(METRIC, max_size=8).map("".join), st.text(max_size=30)))
def test_metric_names(text: str) -> None:
    try:
        name = parse_metric(text)
    except UsageError:
        return
    assert parse_metric(str(name)) == name


JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths_of(fields: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in nested tables and lists."""
    entries = fields.items() if isinstance(fields, dict) else enumerate(fields) if isinstance(fields, list) else ()
    return [found for key, value in entries for found in ((*path, key), *paths_of(value, (*path, key)))]


def changed(fields: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with one value replaced, or removed where the new one is None."""
    copy: dict[str, Any] = json.loads(json.dumps(fields))
    target: Any = copy
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return copy


SHIPPED = {
    name: tomllib.loads((TOP / "protocols" / f"{name}.toml").read_text("utf-8"))
    for name in ("mini", "grnet/ffpp-multi", "robustness/v1", "cross/v1")
}


@some
@given(st.sampled_from(sorted(SHIPPED)), st.data())
def test_protocols_with_a_field_changed(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    fields = SHIPPED[name]
    path = data.draw(st.sampled_from(paths_of(fields)))
    fields = changed(fields, path, data.draw(st.one_of(st.none(), JSON)))
    file = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    file.write_text(tomlkit.dumps(fields), "utf-8")
    try:
        protocol = dfbench.load_protocol(file)
    except (DataError, UsageError):
        return
    assert len(protocol.hash) == 64


@some
@given(st.binary(max_size=200))
def test_protocols_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.toml"
    file.write_bytes(content)
    with pytest.raises((DataError, UsageError)):
        dfbench.load_protocol(file)


CELL = st.one_of(
    st.sampled_from(
        ["", "0", "1", "0.5", "-1", "2", "nan", "inf", "1e-400", "ok", "no_face", "real", "fake", '"', "a,b", "é"]
    ),
    st.floats().map(str),
    st.text(max_size=8),
)
HEADING = [
    "sample_id",
    "media_id",
    "label",
    "score",
    "status",
    "frame_index",
    "scene_group",
    "manipulation",
    "dataset",
    "x",
]


@some
@given(
    st.lists(st.sampled_from(HEADING), min_size=1, max_size=5, unique=True),
    st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=6),
)
def test_score_files(tmp_path_factory: pytest.TempPathFactory, heading: list[str], rows: list[list[str]]) -> None:
    base = tmp_path_factory.getbasetemp()
    file = base / "scores.csv"
    file.write_text("\n".join([",".join(heading), *(",".join(row) for row in rows)]), "utf-8", errors="surrogatepass")
    try:
        run = dfbench.import_scores(file, base / "fuzzed-run", overwrite=True)
    except DfbenchError:
        return
    assert run.scores_table.num_rows == len(rows)


@some
@given(st.binary(max_size=300), st.sampled_from(["csv", "tsv", "parquet"]))
def test_score_files_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str) -> None:
    base = tmp_path_factory.getbasetemp()
    file = base / f"bytes.{ending}"
    file.write_bytes(content)
    with pytest.raises((DataError, UsageError, UndefinedMetric)):
        dfbench.import_scores(file, base / "bytes-run")
