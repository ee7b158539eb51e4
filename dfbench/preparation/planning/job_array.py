"""Array jobs: one of N disjoint parts of the shards, and the file that describes a finished part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dfbench.errors import DataError, UsageError
from dfbench.io import data_sha256
from dfbench.manifest.info import PART_FILES, check_inside, write_description
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import ManifestInfo
from dfbench.untrusted import read_json

_OPTION = re.compile(r"^([0-9]{1,6})/([0-9]{1,6})$")


@dataclass(frozen=True)
class ArrayPart:
    """Part I of N: every N-th shard, beginning with the I-th.

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
        return f"--array {self.number}/{self.of}"

    @property
    def slug(self) -> str:
        """The part in file names."""
        return f"{self.number}-of-{self.of}"

    @property
    def file(self) -> str:
        """Name of the file that describes the part."""
        return f"part-{self.slug}.json"

    def __str__(self) -> str:
        """The part in messages."""
        return f"part {self.number} of {self.of}"


def parse_array_part(text: str) -> ArrayPart:
    """Read ``I/N``.

    Raises:
        UsageError: the text has another form, or I is not between 1 and N.

    >>> parse_array_part("3/16")
    ArrayPart(number=3, of=16)
    """
    match = _OPTION.match(text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise UsageError(f"--array needs I/N with I from 1 to N, not {text!r}", "for example --array 3/16")
    return ArrayPart(number, of)


def plan_hash(shards: Sequence[Shard]) -> str:
    """SHA-256 over all shards of a plan; the same for all parts of one manifest."""
    return data_sha256("".join(shard.hash for shard in shards))


class PartInfo(BaseModel):
    """``part-I-of-N.json``: what one part of an array job holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1)
    of: int = Field(ge=1)
    plan: str = Field(description="hash over all shards of the plan")
    plan_shards: int = Field(ge=0, description="number of shards of the plan")
    manifest: ManifestInfo = Field(description="manifest.json of this part alone")

    @property
    def array_part(self) -> ArrayPart:
        """The part."""
        return ArrayPart(self.number, self.of)


def part_files(folder: Path) -> list[Path]:
    """The files in a folder that describe parts."""
    return sorted(folder.glob(PART_FILES))


def read_part(file: Path) -> PartInfo:
    """Read the description of a part.

    Raises:
        DataError: it is damaged, or of another format version.
    """
    hint = "delete it and rerun the dfbench prepare command of that part: finished shards are kept"
    check_inside(file)
    try:
        return PartInfo.model_validate(read_json(file, hint))
    except (DataError, ValidationError) as error:
        reason = error.message if isinstance(error, DataError) else error.errors()[0]["msg"]
        raise DataError(
            f"{file} is not the description of a part that this version of dfbench reads: {reason}", hint
        ) from error


def write_part(folder: Path, info: PartInfo) -> None:
    """Write the description of a part; it replaces the old one when it is complete.

    Raises:
        SetupError: the file cannot be written.
    """
    write_description(folder / info.array_part.file, info)
