"""A data set: from names and label files to the media table; media are never opened."""

from __future__ import annotations

from pathlib import Path

from dfbench.datasets import DataSetAdapter, Findings
from dfbench.schema.media import Media


class Prefixed(DataSetAdapter):
    """Clips ``real_NAME.mp4`` and ``fake_NAME.mp4`` in one folder, all of them for testing."""

    def read(self, root: Path) -> Findings:
        """Read the folder, unfiltered."""
        found = Findings(root)
        for file in sorted(root.glob("*.mp4")):
            kind, _, name = file.stem.partition("_")
            if kind not in ("real", "fake") or not name:
                found.exclude("a name that does not begin with real_ or fake_", file.name)
                continue
            found.add(
                Media(
                    dataset=self.name,
                    subset="all",
                    manipulation="real" if kind == "real" else "swap",
                    name=name,
                    label=int(kind == "fake"),
                    split="test",
                    scene_group=f"{self.name}/{name}",  # an original and everything made from it
                    path=file.name,
                )
            )
        return found


DATASET = Prefixed(
    name="example-dataset",
    title="Prefixed clips",
    licence="your own",
    access="your own clips",
    citation="none",
    layout="real_NAME.mp4 and fake_NAME.mp4 in one folder",
    manipulations=("swap",),
)
