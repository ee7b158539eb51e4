from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import DataError
from dfbench.schema.ids import media_id, parse_media_id, parse_sample_id, sample_id, seed_from

PART = st.text(st.characters(blacklist_characters="/#\\", blacklist_categories=("Cs",)), min_size=1, max_size=12)


@given(PART, PART, PART, st.lists(PART, min_size=1, max_size=3).map("/".join))
def test_media_id_round_trip(dataset: str, subset: str, manipulation: str, name: str) -> None:
    assert parse_media_id(media_id(dataset, subset, manipulation, name)) == (
        dataset,
        subset,
        manipulation,
        name,
    )


@given(st.integers(-40, 2_000_000), st.integers(0, 30))
def test_sample_id_round_trip(frame: int, face: int) -> None:
    media = "ff++/c23/Deepfakes/071_054"
    assert parse_sample_id(sample_id(media, frame, face)) == (media, frame, face)


def test_sample_id_is_spelled_as_documented() -> None:
    assert sample_id("ff++/c23/Deepfakes/071_054", 120) == "ff++/c23/Deepfakes/071_054#000120.0"


@pytest.mark.parametrize(
    "parts",
    [("", "c23", "real", "a"), ("a/b", "c23", "real", "a"), ("a", "b", "c", "d#1"), ("a", "b", "c", "d\\e")],
)
def test_names_that_would_break_ids_are_refused(parts: tuple[str, str, str, str]) -> None:
    with pytest.raises(DataError):
        media_id(*parts)


@pytest.mark.parametrize("text", ["nothing", "a/b/c#000001.0x", "a/b/c/d#12.0", "a/b/c/d#000001"])
def test_malformed_sample_ids_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_sample_id(text)


def test_seeds_depend_on_id_and_purpose_only() -> None:
    seeds = {seed_from(i, p, s) for i in ("a", "b") for p in ("noise", "crop") for s in (0, 1)}
    assert len(seeds) == 8
    assert seed_from("a", "noise", 0) == seed_from("a", "noise", 0)
