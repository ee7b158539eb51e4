"""The file that describes what a run makes: ``manifest.json``, or that of one part of an array job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import DataError, UsageError
from dfbench.manifest.info import MANIFEST_FILE, read_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.preparation.planning.job_array import ArrayPart, PartInfo, part_files, plan_hash, read_part
from dfbench.preparation.planning.shard_plan import ShardPlan
from dfbench.schema.manifest import ManifestInfo


@dataclass(frozen=True)
class Description:
    """The description of a manifest or of a part, in its folder.

    Attributes:
        out: the folder.
        plan: what is made.
        array_part: the part of an array job; None: everything.
    """

    out: Path
    plan: ShardPlan
    array_part: ArrayPart | None = None

    @property
    def slug(self) -> str:
        """What tells the files of parts apart; empty for a whole manifest."""
        return "" if self.array_part is None else self.array_part.slug

    @property
    def file(self) -> str:
        """File name of the description."""
        return MANIFEST_FILE if self.array_part is None else self.array_part.file

    def content(self, info: ManifestInfo) -> ManifestInfo | PartInfo:
        """What the file holds."""
        if self.array_part is None:
            return info
        return PartInfo(
            number=self.array_part.number,
            of=self.array_part.of,
            plan=plan_hash(self.plan.shards),
            plan_shards=len(self.plan.shards),
            manifest=info,
        )

    def read_complete(self) -> ManifestInfo | None:
        """Return the description in the folder, if there is a complete one."""
        try:
            info = self._read()
        except DataError:
            return None
        return info if info.complete else None

    def open(self) -> Manifest:
        """Open the finished manifest, or that of the part.

        Raises:
            DataError: it is not complete.
        """
        return open_manifest(self.out) if self.array_part is None else Manifest(self.out, self._read())

    def check_kind(self) -> None:
        """Raise unless the folder may hold this part.

        Raises:
            UsageError: it holds a whole manifest, or parts of another division.
        """
        if self.array_part is None:
            return
        if (self.out / MANIFEST_FILE).is_file():
            raise UsageError(
                f"{self.out} holds a whole manifest, not array-job parts", "give --out DIR, or drop --array"
            )
        other = [file.name for file in part_files(self.out) if not file.name.endswith(f"-of-{self.array_part.of}.json")]
        if other:
            raise UsageError(
                f"{self.out} holds parts of another division: {', '.join(other[:3])}",
                f"use the same N, or give --out DIR for {self.array_part.option}",
            )

    def _read(self) -> ManifestInfo:
        return read_info(self.out) if self.array_part is None else read_part(self.out / self.file).manifest
