"""Read a manifest of face crops: counts, rows, crops, and the same files with pandas alone.

    python examples/read_a_manifest.py [MANIFEST]

Without an argument it prepares a few clips of the embedded data set in the folder ``dfbench-example``.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pandas as pd
from PIL import Image

import dfbench
from dfbench.mini import MiniSettings

FOLDER = Path("dfbench-example")
FEW = MiniSettings(train_pairs=2, val_pairs=1, test_pairs=2, frames=(8, 9), manipulations=("Deepfakes",))


def main() -> None:
    """Print what a manifest holds, and write a contact sheet of the crops of one clip."""
    if len(sys.argv) > 1:
        manifest = dfbench.open_manifest(sys.argv[1])
    else:
        manifest = dfbench.prepare("mini", FOLDER / "media", FOLDER / "manifest", protocol="mini", mini=FEW, quiet=True)

    # One row per requested frame, with a status; crops stay on the disk until they are requested.
    rows = manifest.to_pandas()
    rows["label"] = rows["label"].map({0: "real", 1: "fake"})
    print(rows.groupby(["split", "label", "manipulation", "status"]).size().to_string())

    usable = rows[rows["status"] == "ok"]
    clip = usable[usable["media_id"] == usable["media_id"].iloc[0]].sort_values("frame_index")
    print(clip[["sample_id", "frame_index", "face_score"]].head(3).to_string(index=False))

    # Crops as arrays, (size, size, 3) uint8 RGB.
    size = max(int(column.removeprefix("crop_")) for column in manifest.columns if column.startswith("crop_"))
    crops = list(manifest.crops(clip["sample_id"], size))
    sheet = Image.new("RGB", (size * len(crops), size))
    for number, crop in enumerate(crops):
        sheet.paste(Image.fromarray(crop), (size * number, 0))
    sheet.save("contact-sheet.png")
    print(f"contact-sheet.png: {len(crops)} crops of {clip['media_id'].iloc[0]}")

    # The shards are ordinary Parquet files: dfbench is not needed to read them.
    shard = sorted(Path(manifest.path).glob("shard-*.parquet"))[0]
    stored = pd.read_parquet(shard, columns=["sample_id", "label", f"crop_{size}"]).dropna().iloc[0]
    image = Image.open(io.BytesIO(stored[f"crop_{size}"]["bytes"]))
    print(f"{shard.name}: {stored['sample_id']}, label {stored['label']}, {image.format} {image.size}")


if __name__ == "__main__":
    main()
