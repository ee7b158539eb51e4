"""Sources and targets of fakes against a slow loop, their counts, the two conventions, and what is refused."""

from __future__ import annotations

import re
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.manifest.triples import TripleCounts, find_triples, require_triples
from dfbench.schema.ids import sample_id, seed_from

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("media_id", pa.string()),
        ("manipulation", pa.string()),
        ("label", pa.int8()),
        ("frame_index", pa.int32()),
        ("face_index", pa.int16()),
        ("base_media_id", pa.string()),
        ("source_media_id", pa.string()),
        ("geometry_from", pa.string()),
    ]
)


def row(clip, frame, face=0, base=None, source=None, geometry=None):
    fake = base is not None or source is not None or clip.startswith("f")
    return {
        "sample_id": sample_id(clip, frame, face),
        "media_id": clip,
        "manipulation": clip.split("/")[0] if fake else "real",
        "label": int(fake),
        "frame_index": frame,
        "face_index": face,
        "base_media_id": base,
        "source_media_id": source,
        "geometry_from": geometry or clip,
    }


def table(rows):
    return pa.Table.from_pylist(rows, SCHEMA)


def slow_partner(rows, fake, column, face):
    """The row of a partner and whether it has the same frame index, by looking at every row."""
    clip = [(n, r) for n, r in enumerate(rows) if r["media_id"] == fake[column] and fake[column] is not None]
    for n, r in clip:
        if (r["frame_index"], r["face_index"]) == (fake["frame_index"], face):
            return n, True
    first = sorted((r["frame_index"], n) for n, r in clip if r["face_index"] == 0)
    if not first:
        return -1, False
    return first[seed_from(fake["sample_id"], f"triple {column}") % len(first)][1], False


CLIPS = ("r/a", "r/b", "r/c", "f1/x", "f1/y", "f2/z")
clip_names = st.sampled_from(CLIPS)
partners = st.sampled_from(("r/a", "r/b", "r/c", "r/nowhere", None))
PARTNERS = st.fixed_dictionaries({name: st.tuples(partners, partners) for name in CLIPS if name[0] == "f"})
PLACES = st.lists(st.tuples(clip_names, st.integers(0, 6), st.integers(0, 2)), unique=True, max_size=40)


@given(PLACES, PARTNERS, st.sampled_from(("ffpp", "code")))
@settings(max_examples=150)
def test_as_a_slow_loop_finds_them(places, named, convention):
    rows = []
    for clip, frame, face in places:
        base, source = named.get(clip, (None, None))
        shared = frame % 2 == 0 and base is not None
        rows.append(row(clip, frame, face, base, source, base if shared else clip))
    triples = find_triples(table(rows), convention)
    counts: dict[str, list[int]] = {}
    for n, r in enumerate(rows):
        found = int(triples.source[n]), int(triples.target[n])
        if r["label"] == 0:
            assert found == (n, n)
            continue
        source, same_source = slow_partner(rows, r, "source_media_id", 0)
        base, same_base = slow_partner(rows, r, "base_media_id", r["face_index"])
        own = same_base and r["geometry_from"] != r["base_media_id"]
        if convention == "code":
            source, same_source, base, same_base = base, same_base, source, same_source
        assert found == (source, base)
        of_method = counts.setdefault(r["manipulation"], [0] * 6)
        replaced = source >= 0 and not same_source, base >= 0 and not same_base
        flags = (True, *replaced, source < 0, base < 0, own)
        counts[r["manipulation"]] = [a + b for a, b in zip(of_method, flags, strict=True)]
    assert triples.counts == {name: TripleCounts(*numbers) for name, numbers in counts.items()}
    assert triples.complete.tolist() == [s >= 0 and t >= 0 for s, t in zip(triples.source, triples.target, strict=True)]


def pair(shared=True):
    """Four frames of two reals and of the fake a_b; frame 2 of the source b is missing."""
    rows = [row("r/a", n) for n in range(4)] + [row("r/b", n) for n in (0, 1, 3)]
    return rows + [row("f/a_b", n, 0, "r/a", "r/b", "r/a" if shared else None) for n in range(4)]


def test_the_conventions_swap_source_and_target():
    ours, theirs = find_triples(table(pair())), find_triples(table(pair()), "code")
    assert ours.target[7:].tolist() == [0, 1, 2, 3]
    assert ours.source[[7, 8, 10]].tolist() == [4, 5, 6]
    assert 4 <= ours.source[9] <= 6
    assert (theirs.source.tolist(), theirs.target.tolist()) == (ours.target.tolist(), ours.source.tolist())
    assert ours.counts == {"f": TripleCounts(4, source_replaced=1)}
    assert theirs.total == TripleCounts(4, target_replaced=1)
    with pytest.raises(UsageError, match="convention"):
        find_triples(table(pair()), "swapped")


def test_a_replaced_frame_depends_on_the_sample_alone():
    """Not on the order of the rows, nor on other clips; and it is another one for other samples."""
    rows = [row("r/a", n) for n in range(100)] + [row("r/b", n) for n in range(100, 150)]
    rows += [row("f/a_b", n, 0, "r/a", "r/b") for n in range(100)]
    order = np.random.default_rng(0).permutation(len(rows))
    there = find_triples(table(rows)).source
    mixed = find_triples(table([rows[n] for n in order] + [row("r/other", 3)])).source
    assert order[mixed[:-1]].tolist() == there[order].tolist()
    drawn = there[150:]
    assert drawn.min() >= 100
    assert drawn.max() < 150
    assert len(set(drawn.tolist())) > 30


def test_a_million_rows_take_seconds():
    """Ten clips a pair, a hundred frames each, of which the source lacks most."""
    pairs, frames = 1000, 100
    clips = [("real", "a", None, None), ("real", "b", None, None)]
    clips += [(m, "ab", "a", "b") for m in "WXYZ"] + [(m, "ba", "b", "a") for m in "WXYZ"]
    media, method, base, source = [], [], [], []
    for number in range(pairs):
        for manipulation, name, target, giver in clips:
            media.append(f"{manipulation}/{number}{name}")
            method.append(manipulation)
            base.append(target and f"real/{number}{target}")
            source.append(giver and f"real/{number}{giver}")
    index = np.stack([np.arange(frames) * (1 + n % 3) for n in range(len(media))]).reshape(-1)

    def column(values):
        return pa.array(values, pa.string()).take(np.repeat(np.arange(len(media)), frames))

    ids = pa.compute.binary_join_element_wise(column(media), pa.array(index).cast(pa.string()), "#")
    label = np.repeat(np.array([m != "real" for m in method], np.int8), frames)
    zero = np.zeros(len(index), np.int16)
    names = (ids, column(media), column(method), label, index.astype(np.int32), zero)
    rows = pa.table([*names, column(base), column(source), column(base)], schema=SCHEMA)
    begun = time.process_time()
    triples = find_triples(rows)
    assert time.process_time() - begun < 20
    assert len(rows) == 1_000_000
    assert triples.complete.all()
    assert triples.total.fakes == 800_000
    assert 0 < triples.total.source_replaced < 800_000


@pytest.mark.parametrize(
    ("rows", "message", "hint"),
    [
        ([row("r/a", 0)], "no fakes", "inspect"),
        ([row("r/a", 0), row("f/x", 0, 0, "r/a")], "source_media_id is not known", "media.csv, column source"),
        ([row("r/a", 0), row("f/x", 0, 0, None, "r/a")], "base_media_id is not known", "media.csv, column base"),
        (pair()[:4] + pair()[7:8], "1 of 1 fakes .f. have no source clip.*no crop of r/b", "real clips"),
        (pair(shared=False), "has own geometry", "--geometry shared --sampling aligned=K"),
    ],
)  # fmt: skip
def test_what_is_refused_before_a_training(rows, message, hint):
    found = table(rows)
    with pytest.raises(DataError, match=message) as caught:
        require_triples(found, find_triples(found))
    assert re.search(hint, caught.value.hint)


def test_what_is_accepted():
    for rows, own in ((pair(), False), (pair(shared=False), True), (pair() + pair(False)[7:], False)):
        require_triples(table(rows), find_triples(table(rows)), own)
    swapped = find_triples(table(pair()), "code")
    require_triples(table(pair()), swapped)
    assert find_triples(table([])).total == TripleCounts()
