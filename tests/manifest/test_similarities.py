"""Stored similarities of fakes to their sources and targets: what comes back, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.similarities import (
    SimilarityOrigin,
    read_similarities,
    similarities_of,
    similarity_by_method,
    similarity_path,
    write_similarities,
)
from dfbench.manifest.table import ManifestTable

ORIGIN = SimilarityOrigin("ab" * 32, "cosine", 32, versions={"torch": "2.9"})


@pytest.fixture(name="manifest")
def _manifest(manifest: Manifest, tmp_path: Path) -> Manifest:
    """A copy to write into."""
    return open_manifest(shutil.copytree(manifest.path, tmp_path / "m"))


def samples_of(manifest: ManifestTable) -> pa.Table:
    """Rows with a crop in another order than that of ids."""
    table = manifest.table(["sample_id", "label", "manipulation", "status"])
    table = table.filter(pc.equal(table["status"], "ok"))
    return table.take(np.random.default_rng(0).permutation(len(table)))


def values_of(manifest: ManifestTable) -> tuple[list[str], np.ndarray, np.ndarray]:
    table = samples_of(manifest)
    ids = table.filter(pc.equal(table["label"], 1))["sample_id"].to_pylist()
    drawn = np.random.default_rng(1).uniform(-1, 1, (2, len(ids))).astype(np.float32)
    return ids, drawn[0], drawn[1]


def test_what_is_stored_comes_back_in_the_order_of_the_samples(manifest: Manifest) -> None:
    ids, source, target = values_of(manifest)
    path = write_similarities(manifest, ids, source, target, ORIGIN)
    assert path == similarity_path(manifest, ORIGIN)
    assert path.parent == manifest.path
    again = write_similarities(manifest, ids[::-1], source[::-1], target[::-1], replace(ORIGIN, versions={}))
    assert again == path, "versions and order are not what identifies similarities"
    samples = samples_of(manifest)
    got = similarities_of(samples, read_similarities(manifest, ORIGIN))
    by_id = {name: (s, t) for name, s, t in zip(ids, source, target, strict=True)}
    for row, s, t in zip(samples.to_pylist(), *got, strict=True):
        assert (s, t) == by_id.get(row["sample_id"], (1, 1))
        assert (row["sample_id"] in by_id) == (row["label"] == 1)
    assert manifest.verify() == []


def test_means_of_each_method(manifest: Manifest) -> None:
    ids, source, target = values_of(manifest)
    write_similarities(manifest, ids, source, target, ORIGIN)
    report = similarity_by_method(samples_of(manifest), read_similarities(manifest, ORIGIN))
    assert [found.manipulation for found in report] == ["Deepfakes", "FaceSwap"]
    for found in report:
        mine = [n for n, name in enumerate(ids) if f"/{found.manipulation}/" in name]
        assert found.fakes == len(mine)
        assert found.source == pytest.approx(source[mine].astype(np.float64).mean())
        assert found.target == pytest.approx(target[mine].astype(np.float64).mean())


@pytest.mark.parametrize("change", [{"vae": "cd" * 32}, {"kind": "l2"}, {"size": 64}, {"convention": "code"}])
def test_similarities_of_another_origin_are_not_found(manifest: Manifest, change: dict[str, object]) -> None:
    write_similarities(manifest, *values_of(manifest), ORIGIN)
    other = replace(ORIGIN, **change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no similarities"):
        read_similarities(manifest, other)
    similarity_path(manifest, ORIGIN).rename(similarity_path(manifest, other))
    with pytest.raises(DataError, match=f"another {next(iter(change))}"):
        read_similarities(manifest, other)


def test_a_manifest_with_other_content_needs_its_own(manifest: Manifest) -> None:
    write_similarities(manifest, *values_of(manifest), ORIGIN)
    changed = ManifestTable(manifest.path, manifest.info.model_copy(update={"hash": "0" * 64}))
    with pytest.raises(DataError, match="another manifest"):
        read_similarities(changed, ORIGIN)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -2])
def test_values_that_are_no_similarities_are_not_stored(manifest: Manifest, value: float) -> None:
    ids, source, target = values_of(manifest)
    target[3] = value
    with pytest.raises(DataError, match="1 values of target_similarity are not in") as caught:
        write_similarities(manifest, ids, source, target, ORIGIN)
    assert ids[3] in caught.value.message
    assert not similarity_path(manifest, ORIGIN).exists()


def test_ids_that_cannot_be(manifest: Manifest) -> None:
    ids, source, target = values_of(manifest)
    with pytest.raises(DataError, match=r"1 sample ids .* for example mini/c23/FaceSwap/999#000001.0"):
        write_similarities(manifest, ["mini/c23/FaceSwap/999#000001.0", *ids[1:]], source, target, ORIGIN)
    with pytest.raises(DataError, match="occur more than once"):
        write_similarities(manifest, [ids[1], *ids[1:]], source, target, ORIGIN)
    write_similarities(manifest, ids[2:], source[2:], target[2:], ORIGIN)
    with pytest.raises(DataError, match="2 fakes have no stored similarity"):
        similarities_of(samples_of(manifest), read_similarities(manifest, ORIGIN))


def test_damaged_files(manifest: Manifest) -> None:
    path = write_similarities(manifest, *values_of(manifest), ORIGIN)
    stored = pq.read_table(path)
    stamp = json.loads(stored.schema.metadata[b"dfbench"])
    assert stamp["versions"] == {"torch": "2.9"}
    spoiled = [
        (stored.replace_schema_metadata(None), "cannot be read"),
        (stored.replace_schema_metadata({b"dfbench": b"[1]"}), "cannot be read"),
        (stored.drop_columns(["source_similarity"]), "lacks the columns source_similarity"),
        (stored.set_column(1, "source_similarity", pa.array([np.nan] * len(stored), pa.float32())), "not in"),
        (stored.set_column(1, "source_similarity", pa.array(["1"] * len(stored))), "is string"),
    ]
    for table, words in spoiled:
        pq.write_table(table, path)
        with pytest.raises(DataError, match=words):
            read_similarities(manifest, ORIGIN)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        read_similarities(manifest, ORIGIN)
