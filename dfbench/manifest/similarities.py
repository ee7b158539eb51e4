"""``similarities-KEY.parquet`` beside the shards of a manifest: how much fakes resemble their sources and targets.

The latents of a variational autoencoder (VAE) are expensive, and the same for every training, so the similarities are
stored once. The name of the file follows from all that decides its values; library versions are only recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfbench.errors import DataError
from dfbench.io import canonical_hash, write_table
from dfbench.manifest.shards import UNREADABLE
from dfbench.manifest.table import ManifestTable
from dfbench.manifest.triples import Convention
from dfbench.schema.media import FAKE
from dfbench.schema.similarities import SIMILARITIES
from dfbench.storage.path import parquet_source
from dfbench.untrusted import leads_outside

_KEY = b"dfbench"
_AGAIN = "compute the similarities again"
_ROUNDING = 1e-3  # of cosines in half precision

Similarity = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SimilarityOrigin:
    """What decides the similarities of a manifest.

    Attributes:
        vae: SHA-256 of the weights of the VAE.
        kind: how two latents are compared.
        size: side of the crops in pixels.
        convention: what is called source, see :data:`dfbench.manifest.triples.CONVENTIONS`.
        versions: versions of the libraries that computed them; they are recorded and do not count in comparisons.
    """

    vae: str
    kind: str
    size: int
    convention: Convention = "ffpp"
    versions: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """All but the versions."""
        return {name: value for name, value in asdict(self).items() if name != "versions"}


@dataclass(frozen=True)
class MethodSimilarity:
    """Mean similarities of the fakes of one manipulation.

    Attributes:
        manipulation: its name.
        fakes: rows.
        source: mean similarity to the source.
        target: mean similarity to the target.
    """

    manipulation: str
    fakes: int
    source: float
    target: float


def similarity_path(manifest: ManifestTable, origin: SimilarityOrigin) -> Path:
    """Return the file of the similarities of a manifest; it need not exist."""
    return manifest.path / f"similarities-{canonical_hash(origin.identity)[:16]}.parquet"


def write_similarities(
    manifest: ManifestTable, sample_ids: Sequence[str], source: Similarity, target: Similarity, origin: SimilarityOrigin
) -> Path:
    """Store the similarities of fakes beside the shards of their manifest, in place of those of the same origin.

    Args:
        manifest: the manifest.
        sample_ids: n ids of its samples, each once.
        source: (n,), similarity to the source.
        target: (n,), similarity to the target.
        origin: what decided them.

    Raises:
        DataError: an id is unknown or occurs twice, or a similarity is not a number in [-1,1].
        SetupError: the file cannot be written.
    """
    columns = {
        "sample_id": pa.array(sample_ids, pa.string()),
        "source_similarity": pa.array(np.asarray(source, np.float32)),
        "target_similarity": pa.array(np.asarray(target, np.float32)),
    }
    table = pa.table(columns, schema=SIMILARITIES.schema()).sort_by("sample_id")
    path = similarity_path(manifest, origin)
    _check(table, manifest, path)
    stamp = {"manifest": manifest.info.hash, **origin.identity, "versions": dict(origin.versions)}
    write_table(path, table.replace_schema_metadata({_KEY: json.dumps(stamp, sort_keys=True)}))
    return path


def read_similarities(manifest: ManifestTable, origin: SimilarityOrigin) -> pa.Table:
    """Return the stored similarities of a manifest, with the columns of :data:`SIMILARITIES`.

    Raises:
        DataError: there are none of this origin, the file is damaged, or it was made for other rows.
    """
    path = similarity_path(manifest, origin)
    if not path.is_file() or leads_outside(path):
        raise DataError(f"the manifest {manifest.path} has no similarities of this VAE, kind and crop size", _AGAIN)
    try:
        stored = pq.ParquetFile(parquet_source(path))
        stamp = json.loads((stored.schema_arrow.metadata or {})[_KEY])
        table = stored.read().replace_schema_metadata(None)
        named = {name: stamp[name] for name in ("manifest", *origin.identity)}
    except (*UNREADABLE, TypeError) as error:
        raise DataError(f"{path} cannot be read: it is damaged, or no file of similarities", _AGAIN) from error
    wanted = {"manifest": manifest.info.hash, **origin.identity}
    differing = [name for name, value in wanted.items() if named[name] != value]
    if differing:
        raise DataError(f"{path} was made for another {differing[0]}", _AGAIN)
    SIMILARITIES.check(table, str(path))
    table = table.select([column.name for column in SIMILARITIES.columns])
    _check(table, manifest, path)
    return table


def similarities_of(samples: pa.Table, stored: pa.Table) -> tuple[Similarity, Similarity]:
    """Return the similarity of every sample to its source and to its target; those of reals are 1.

    Args:
        samples: with the columns sample_id, label.
        stored: from :func:`read_similarities`; of several manifests concatenated.

    Returns:
        Two arrays, float32 (n,).

    Raises:
        DataError: a fake has none.
    """
    fake = np.asarray(samples["label"].to_numpy(), np.int64) == FAKE
    ids = samples["sample_id"].filter(pa.array(fake))
    at = pc.index_in(ids, value_set=stored["sample_id"].combine_chunks())
    if at.null_count:
        lone = ids.filter(pc.is_null(at))
        raise DataError(f"{len(lone)} fakes have no stored similarity, for example {lone[0].as_py()}", _AGAIN)
    rows = np.asarray(at.to_numpy(), np.int64)
    out = []
    for column in ("source_similarity", "target_similarity"):
        values = np.ones(len(samples), np.float32)
        values[fake] = stored[column].to_numpy()[rows]
        out.append(values)
    return out[0], out[1]


def similarity_by_method(samples: pa.Table, stored: pa.Table) -> list[MethodSimilarity]:
    """Return the mean similarities of each manipulation, in alphabetical order.

    Args:
        samples: with the columns sample_id, label, manipulation.
        stored: see :func:`similarities_of`.

    Raises:
        DataError: a fake has none.
    """
    source, target = similarities_of(samples, stored)
    columns = {
        "manipulation": samples["manipulation"],
        "fake": pc.equal(samples["label"], FAKE),
        "source": pa.array(source.astype(np.float64)),
        "target": pa.array(target.astype(np.float64)),
    }
    fakes = pa.table(columns)
    fakes = fakes.filter(fakes["fake"])
    means = fakes.group_by("manipulation").aggregate([([], "count_all"), ("source", "mean"), ("target", "mean")])
    rows = means.select(["manipulation", "count_all", "source_mean", "target_mean"]).sort_by("manipulation")
    return [MethodSimilarity(*row.values()) for row in rows.to_pylist()]


def _check(table: pa.Table, manifest: ManifestTable, path: Path) -> None:
    """Raise unless ids are known and unique, and similarities are numbers in [-1,1]."""
    SIMILARITIES.check(table, str(path))
    known = pc.is_in(table["sample_id"], value_set=manifest.table(["sample_id"])["sample_id"].combine_chunks())
    unknown = table["sample_id"].filter(pc.invert(known))
    if len(unknown):
        raise DataError(
            f"{len(unknown)} sample ids of similarities are not in the manifest {manifest.path}, "
            f"for example {unknown[0].as_py()}",
            _AGAIN,
        )
    for column in ("source_similarity", "target_similarity"):
        values = table[column].to_numpy()
        bad = np.flatnonzero(~(np.abs(values) <= 1 + _ROUNDING))  # NaN as well
        if len(bad):
            first = int(bad[0])
            raise DataError(
                f"{len(bad)} values of {column} are not in [-1,1]: {table['sample_id'][first].as_py()} "
                f"has {float(values[first])}",
                "check the VAE: in float16 its latents can overflow",
            )
