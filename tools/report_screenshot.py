"""Write ``docs/report.png``, a screenshot of a report on runs on the embedded data set.

    python tools/report_screenshot.py RUN... [--out docs/report.png]

Needs Playwright (the extra ``dev``) and a Chromium. Runs on
anything but invented faces are refused: the image is public.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from dfbench.evaluation.run import open_runs
from dfbench.report import write_report

IMAGE = Path(__file__).resolve().parents[1] / "docs" / "report.png"
WIDTH = 1200  # CSS pixels
PARTS = (  # from the top of the first element to the bottom of the second
    ("h1", "#results table"),
    ("#det h2", "#det .figures"),
    ("#videos h2", "#videos tbody tr:nth-child(8)"),
    ("#examples h2", "#examples .crop:nth-child(4)"),
)
MARGIN = 6
MOST_BYTES = 300_000


def photograph(page_file: Path, chromium: str) -> list[Image.Image]:
    """The :data:`PARTS` of the page, RGB."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(page_file.as_uri())
        shots = []
        for first, last in PARTS:
            top, bottom = (page.locator(name).first.bounding_box() for name in (first, last))
            assert top is not None
            assert bottom is not None
            start, end = top["y"] - MARGIN, bottom["y"] + bottom["height"] + MARGIN
            area = {"x": 0, "y": start, "width": WIDTH, "height": end - start}
            shot = page.screenshot(full_page=True, clip=area)
            shots.append(Image.open(io.BytesIO(shot)).convert("RGB"))
        browser.close()
    return shots


def joined(shots: list[Image.Image]) -> Image.Image:
    """Stack the images vertically, in few colours."""
    whole = Image.new("RGB", (shots[0].width, sum(s.height for s in shots)), "white")
    top = 0
    for shot in shots:
        whole.paste(shot, (0, top))
        top += shot.height
    return whole.quantize(128, dither=Image.Dither.NONE)


def main() -> int:
    """Parse the command line and write the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=IMAGE)
    options = parser.parse_args()
    strangers = [run.folder.name for run in open_runs(options.runs) if not run.result.mini]
    if strangers:
        print(f"error: not on invented faces: {', '.join(strangers)}", file=sys.stderr)
        return 2
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("error: there is no Chromium here", file=sys.stderr)
        return 5
    with tempfile.TemporaryDirectory() as folder:
        screenshot = joined(photograph(write_report(options.runs, Path(folder)), chromium))
    stream = io.BytesIO()
    screenshot.save(stream, "png", optimize=True)
    if len(stream.getvalue()) > MOST_BYTES:
        print(f"error: {len(stream.getvalue())} bytes, more than {MOST_BYTES}", file=sys.stderr)
        return 3
    options.out.write_bytes(stream.getvalue())
    print(f"{options.out}: {screenshot.width} x {screenshot.height}, {len(stream.getvalue())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
