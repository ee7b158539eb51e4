"""Resolve every extra for every Python version and platform, and write the table ``docs/results/resolution.md``.

    python tools/resolution.py

Needs the network. Nothing is installed: ``uv`` answers which versions an installer would choose on another Python and
platform, from wheels only, as a machine without compilers needs them. Where that fails, source distributions are
allowed as well. The second table does the same with the pins of ``constraints.txt``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "results" / "resolution.md"
PLATFORMS = {
    "linux": "Linux x86-64",
    "aarch64-manylinux_2_28": "Linux ARM",
    "macos": "macOS 14 ARM",
    "windows": "Windows x86-64",
}
"""uv's name of a platform -> its name in the table."""


@dataclass(frozen=True)
class Outcome:
    """How the resolution of one extra for one Python and platform ended.

    Attributes:
        cell: ``wheels``, ``source`` where only with source distributions, or ``no``.
        reason: what does not resolve from wheels; empty where everything does.
    """

    cell: str
    reason: str = ""


def resolve(extra: str, python: str, platform: str, pinned: bool) -> Outcome:
    """Resolve one extra, the bare package where ``extra`` is empty."""
    words = ["--python-version", python, "--python-platform", platform]
    words += ["--extra", extra] if extra else []
    words += ["--constraint", "constraints.txt"] if pinned else []
    from_wheels = _compile([*words, "--only-binary", ":all:"])
    if from_wheels is None:
        return Outcome("wheels")
    return Outcome("no" if _compile(words) else "source", from_wheels)


def _compile(words: Sequence[str]) -> str | None:
    """The reason why uv finds no solution, None where it does."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "pyproject.toml", *words],
        cwd=TOP,
        env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    text = re.sub(r"\s+", " ", re.sub(r"[×│╰─▶]", " ", done.stderr)).strip()
    return text.partition("hint:")[0].strip()


def table(outcomes: dict[tuple[str, str, str], Outcome], extras: Sequence[str], pythons: Sequence[str]) -> str:
    """Markdown: a row per extra, a column per platform; a cell lists the Python versions where they differ."""
    lines = [f"| extra | {' | '.join(PLATFORMS.values())} |", "|---" * (len(PLATFORMS) + 1) + "|"]
    for extra in extras:
        cells = []
        for platform in PLATFORMS:
            found = {python: outcomes[extra, python, platform].cell for python in pythons}
            kinds = dict.fromkeys(found.values())
            cells.append(
                next(iter(kinds))
                if len(kinds) == 1
                else "; ".join(f"{kind}: {', '.join(p for p in pythons if found[p] == kind)}" for kind in kinds)
            )
        lines.append(f"| {f'`{extra}`' if extra else 'none'} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reasons(outcomes: dict[tuple[str, str, str], Outcome]) -> str:
    """Markdown: every reason once, with the combinations that it stops."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for (extra, python, platform), outcome in outcomes.items():
        if outcome.reason:
            text = re.sub(r"\(Python>=?[\d.]+\)|Python>=?3\.1\d", "this Python", outcome.reason)
            where.setdefault((extra, platform, text), []).append(python)
    return "".join(
        f"- `{extra or 'none'}`, {PLATFORMS[platform]}, Python {', '.join(pythons)}: {text}\n"
        for (extra, platform, text), pythons in where.items()
    )


def main() -> None:
    """Resolve everything and write the page."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    extras = ["", *project["optional-dependencies"]]
    version = subprocess.run(
        [sys.executable, "-m", "uv", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    parts = [
        "# Which extras can be installed where\n\n"
        f"Written by `make resolution` on {datetime.now(UTC):%Y-%m-%d} with uv {version}; do not edit by hand. "
        f"Python {', '.join(pythons)}; a cell names the versions where they differ.\n\n"
        "*wheels*: everything has a wheel, no compiler is needed. *source*: resolves only if some package is built "
        "from source. *no*: does not resolve. This shows that an installer finds versions, not that the tests pass.\n"
    ]
    for pinned, title in ((False, "Newest versions"), (True, "Versions of constraints.txt")):
        outcomes = {}
        for extra in extras:
            for python in pythons:
                for platform in PLATFORMS:
                    outcomes[extra, python, platform] = found = resolve(extra, python, platform, pinned)
                    print(title, extra or "none", python, platform, found.cell, found.reason, flush=True)
        parts.append(f"## {title}\n\n{table(outcomes, extras, pythons)}")
        if why := reasons(outcomes):
            parts.append(why)
    PAGE.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main()
