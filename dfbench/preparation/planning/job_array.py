"""One of N disjoint parts of a plan's shards, for array jobs; and the file that describes a part's result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dfbench.errors import DataError, UsageError
from dfbench.manifest.info import PART_FILES, write_description
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import ManifestInfo

_OPTION = re.compile(r"^([0-9]{1,6})/([0-9]{1,6})$")


@dataclass(frozen=True)
class Portion:
    """Every N-th shard, from the I-th on.

    Attributes:
        number: I, from 1.
        of: N.
    """

    number: int
    of: int

    def takes(self, shard: Shard) -> bool:
        """Whether a shard belongs to this part."""
        return shard.number % self.of == self.number - 1

    @property
    def option(self) -> str:
        """The part as typed on the command line."""
        return f"--shards {self.number}/{self.of}"

    @property
    def slug(self) -> str:
        """The part in file names."""
        return f"{self.number}-of-{self.of}"

    @property
    def file(self) -> str:
        """Name of the file that describes the part."""
        return f"part-{self.slug}.json"

    def __str__(self) -> str:
        """The part in sentences."""
        return f"part {self.number} of {self.of}"


def parse_portion(text: str) -> Portion:
    """Read ``I/N``.

    Raises:
        UsageError: it is not that, or I does not lie between 1 and N.

    >>> parse_portion("3/16")
    Portion(number=3, of=16)
    """
    match = _OPTION.match(text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise UsageError(f"--shards needs I/N with I from 1 to N, not {text!r}", "for example --shards 3/16")
    return Portion(number, of)


def plan_hash(shards: Sequence[Shard]) -> str:
    """SHA-256 over all shards of a plan: parts of one manifest agree in it."""
    return hashlib.sha256("".join(shard.hash for shard in shards).encode()).hexdigest()


class PartInfo(BaseModel):
    """``part-I-of-N.json``: what a part of a manifest holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    of: int = Field(ge=1)
    plan: str = Field(description="hash over all shards of the plan")
    plan_shards: int = Field(ge=0, description="number of shards of the plan")
    manifest: ManifestInfo = Field(description="what manifest.json would say of this part alone")

    @property
    def portion(self) -> Portion:
        """The part."""
        return Portion(self.number, self.of)


def part_files(folder: Path) -> list[Path]:
    """The descriptions of parts in a folder."""
    return sorted(folder.glob(PART_FILES))


def read_part(file: Path) -> PartInfo:
    """Read a part's description.

    Raises:
        DataError: it is damaged, or of another version.
    """
    try:
        return PartInfo.model_validate(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(
            f"{file} is no description of a part that this dfbench reads: {type(error).__name__}",
            "delete it and run the dfbench prepare command of that part again: finished shards are kept",
        ) from error


def write_part(folder: Path, info: PartInfo) -> None:
    """Write a part's description; the old one stays until the new one is whole.

    Raises:
        SetupError: the file can not be written.
    """
    write_description(folder / info.portion.file, info)
