"""The ranges of pyproject.toml are those that were tested: the newest pins lie in them, the lowest begin them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["models"]]]


def pinned(name: str) -> dict[str, Version]:
    lines = (TOP / name).read_text("utf-8").splitlines()
    pairs = [line.partition("==")[::2] for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(key): Version(value) for key, value in pairs}


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda r: r.name)
def test_both_ends_were_tested(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert pinned("constraints.txt")[name] in requirement.specifier
    lowest = pinned("constraints-lowest.txt")[name]
    (begin,) = (Version(s.version).release for s in requirement.specifier if s.operator == ">=")
    # 4.12 is begun by 4.12.0.88: some projects never publish the bare number.
    padded = (*lowest.release, *(0,) * len(begin))
    assert padded[: len(begin)] == begin


def test_extras_that_name_the_project_name_this_one() -> None:
    """A mistyped name would be somebody else's project on the index."""
    extras = PROJECT["optional-dependencies"]
    inner = [r for lines in extras.values() for r in map(Requirement, lines) if r.extras & set(extras)]
    assert inner
    assert {r.name for r in inner} == {PROJECT["name"]}
