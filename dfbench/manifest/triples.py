"""The crops of the source and the target clip that belong to each fake: (source, target, fake) triples.

A fake shows the scene of its target (``base_media_id``) with the face or expression of its source
(``source_media_id``). Their crops are rows of the same manifest with the same frame index; with the sampling
``aligned`` every clip of a scene group has the same indices. With shared geometry the crop of the target was cut by
the matrix of the fake; the crop of the source always has its own geometry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError, unknown_name
from dfbench.schema.ids import seed_from
from dfbench.schema.media import FAKE

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Convention = Literal["ffpp", "code"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
"""What is called source. ``ffpp``: the clip that gave the face or expression, as in FaceForensics++ (README of its
``dataset`` folder). ``code``: the clip that gave the scene, as in DiffusionFake's ``datasets/ffpp_control.py``, which
takes the first number of a fake's name for the source."""

TRIPLE_COLUMNS = (
    *("sample_id", "media_id", "manipulation", "label", "frame_index", "face_index", "base_media_id"),
    *("source_media_id", "geometry_from"),
)
"""Columns that :func:`find_triples` needs."""

_NONE = -1


@dataclass(frozen=True)
class TripleCounts:
    """What was found for the fakes of one manipulation.

    Attributes:
        fakes: rows.
        source_replaced: rows whose source has no crop at their frame index; another frame is used.
        target_replaced: the same of their target.
        no_source: rows whose source clip is unknown or has no crop at all.
        no_target: the same of their target.
        own_geometry: rows whose base clip has a crop at the same index, but one that was not cut by their matrix.
    """

    fakes: int = 0
    source_replaced: int = 0
    target_replaced: int = 0
    no_source: int = 0
    no_target: int = 0
    own_geometry: int = 0


@dataclass(frozen=True, eq=False)
class Triples:
    """The source and the target of every row; those of a real are the row itself.

    Attributes:
        source: int64 (n,), row of the source; -1: there is none.
        target: int64 (n,), row of the target; -1: there is none.
        convention: what is called source.
        counts: manipulation -> what was found for its fakes.
    """

    source: Rows
    target: Rows
    convention: Convention
    counts: Mapping[str, TripleCounts]

    @cached_property
    def complete(self) -> Mask:
        """Bool (n,): whether a row has a source and a target."""
        return (self.source >= 0) & (self.target >= 0)

    @property
    def total(self) -> TripleCounts:
        """The counts of all manipulations together."""
        names = [field.name for field in fields(TripleCounts)]
        return TripleCounts(*(sum(getattr(found, name) for found in self.counts.values()) for name in names))


def find_triples(table: pa.Table, convention: Convention = "ffpp") -> Triples:
    """Find the source and the target of every row.

    A partner is the crop of the same frame index in the other clip: of the base clip also of the same face, of the
    other clip of the first face. Where there is none, another frame of that clip is used, chosen by a seed from the
    sample id of the fake.

    Args:
        table: rows that have a crop, with :data:`TRIPLE_COLUMNS`; row numbers refer to it.
        convention: see :data:`CONVENTIONS`.

    Raises:
        UsageError: an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise unknown_name("convention of triples", convention, CONVENTIONS)
    table = table.combine_chunks()
    fake = _numbers(table, "label") == FAKE
    lookup = _Lookup(table)
    source = lookup.partners("source_media_id", fake, np.zeros(len(table), np.int64))
    base = lookup.partners("base_media_id", fake, _numbers(table, "face_index"))
    shared = pc.fill_null(pc.equal(table["geometry_from"], table["base_media_id"]), False)
    own = fake & base.exact & ~np.asarray(shared.to_numpy(zero_copy_only=False), np.bool_)
    first, second = (source, base) if convention == "ffpp" else (base, source)
    return Triples(first.rows, second.rows, convention, _counts(table, fake, first, second, own))


def require_triples(table: pa.Table, triples: Triples, own_geometry: bool = False) -> None:
    """Raise unless every fake has a source and a target, cut as requested; to be called before a training.

    Args:
        table: as :func:`find_triples` received it.
        triples: what it returned.
        own_geometry: accept targets that were cut by the faces found in them instead of by the matrix of the fake.
            Otherwise at least one fake must have a target of its matrix: with shared geometry some scene groups can
            have their own, which are counted.

    Raises:
        DataError: a fake has no source or no target, there is no fake, or no target was cut by the matrix of its fake.
    """
    total = triples.total
    if not total.fakes:
        raise DataError("there are no fakes among the samples, so there are no triples", "see: dfbench inspect")
    columns = {"source": "source_media_id", "target": "base_media_id"}
    if triples.convention == "code":
        columns = {"source": "base_media_id", "target": "source_media_id"}
    for what, column in columns.items():
        if not (lacking := getattr(total, f"no_{what}")):
            continue
        example = int(np.flatnonzero(getattr(triples, what) == _NONE)[0])
        methods = [name for name, found in triples.counts.items() if getattr(found, f"no_{what}")]
        clip = table[column][example].as_py()
        raise DataError(
            f"{lacking} of {total.fakes} fakes ({', '.join(methods)}) have no {what} clip, for example "
            f"{table['sample_id'][example].as_py()}: "
            + (f"its {column} is not known" if clip is None else f"there is no crop of {clip} among the samples"),
            "train on the manipulations for which the data set names it; in a folder of your own, name it in "
            f"media.csv, column {'source' if column == 'source_media_id' else 'base'}"
            if clip is None
            else "prepare the real clips as well, in the same split and compression, or leave these fakes out",
        )
    exact = total.fakes - (total.target_replaced if triples.convention == "ffpp" else total.source_replaced)
    if not own_geometry and exact and total.own_geometry == exact:
        raise DataError(
            "no crop of a base clip was cut by the matrix of its fake: the manifest has own geometry, or none of its "
            "scene groups could share theirs",
            "prepare it with --geometry shared --sampling aligned=K, or accept targets of their own geometry: "
            "--method-option own_geometry=true",
        )


@dataclass(frozen=True, eq=False)
class _Partners:
    """Row of the partner of each row, and whether it is one of the same frame index; both (n,)."""

    rows: Rows
    exact: Mask


class _Lookup:
    """Finds rows by clip, frame and face."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        encoded = table["media_id"].dictionary_encode().combine_chunks()
        self._names = encoded.dictionary
        self._media = np.asarray(encoded.indices.to_numpy(), np.int64)
        self._frame, face = _numbers(table, "frame_index"), _numbers(table, "face_index")
        self._frames, self._faces = (int(values.max(initial=0)) + 1 for values in (self._frame, face))
        keys = self._keys(self._media, face, self._frame)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def partners(self, column: str, fake: Mask, face: Rows) -> _Partners:
        """Return the partners of fakes in the clips that a column names; reals are their own.

        Args:
            column: ``source_media_id`` or ``base_media_id``.
            fake: bool (n,), which rows are fakes.
            face: int64 (n,), index of the face that is wanted.
        """
        found = pc.fill_null(pc.index_in(self._table[column], value_set=self._names), _NONE)
        clip = np.asarray(found.to_numpy(), np.int64)
        known = fake & (clip != _NONE)
        keys = self._keys(clip, face, self._frame)
        at = np.minimum(np.searchsorted(self._sorted, keys), max(0, len(keys) - 1))
        exact = known & (self._sorted[at] == keys)
        rows = np.where(fake, np.where(exact, self._order[at], _NONE), np.arange(len(keys)))
        self._replace(rows, clip, np.flatnonzero(known & ~exact), column)
        return _Partners(rows, exact)

    def _replace(self, rows: Rows, clip: Rows, lone: Rows, purpose: str) -> None:
        """Give rows without a partner another frame of its clip, by the first face of a frame."""
        zero = np.zeros(len(lone), np.int64)
        start = np.searchsorted(self._sorted, self._keys(clip[lone], zero, zero))
        size = np.searchsorted(self._sorted, self._keys(clip[lone], zero, zero + self._frames)) - start
        ids = self._table["sample_id"].take(pa.array(lone)).to_pylist()
        drawn = np.array([seed_from(name, f"triple {purpose}") for name in ids], np.uint64)
        offset = (drawn % np.maximum(size, 1).astype(np.uint64)).astype(np.int64)
        has = size > 0
        rows[lone[has]] = self._order[(start + offset)[has]]

    def _keys(self, media: Rows, face: Rows, frame: Rows) -> Rows:
        return (media * self._faces + face) * self._frames + frame


def _counts(table: pa.Table, fake: Mask, source: _Partners, target: _Partners, own: Mask) -> Mapping[str, TripleCounts]:
    encoded = table["manipulation"].dictionary_encode().combine_chunks()
    codes = np.asarray(encoded.indices.to_numpy(), np.int64)
    number = len(encoded.dictionary)
    masks = (
        fake,
        fake & ~source.exact & (source.rows != _NONE),
        fake & ~target.exact & (target.rows != _NONE),
        fake & (source.rows == _NONE),
        fake & (target.rows == _NONE),
        own,
    )
    columns = [np.bincount(codes[mask], minlength=number).tolist() for mask in masks]
    found = {
        name: TripleCounts(*values) for name, *values in zip(encoded.dictionary.to_pylist(), *columns, strict=True)
    }
    return {name: found[name] for name in sorted(found) if found[name].fakes}


def _numbers(table: pa.Table, column: str) -> Rows:
    return np.asarray(table[column].to_numpy(), np.int64)
