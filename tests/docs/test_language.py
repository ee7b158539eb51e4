"""Idioms that no text of the project uses: a reader from the field would not know them, or would stumble over them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# idiom (regular expression) -> the term to use
IDIOMS = {
    r"\bcan not\b": "cannot",
    r"(?i)pictures?": "image",
    r"the[ _]whole[ _]way(\b|_)": "end to end",
    r"\bcost nothing\b|\bcheap baseline": "trivial baseline",
    r"\bcolumn's head\b": "column header",
    r"\bown words\b": "re-raise, message",
    r"\bmend(s|ed)?\b": "fix",
    r"\bturned round\b": "inverted",
    r"\bgoes on (from there|where)\b": "resumes",
    r"\bis gone\b": "exited, not found",
    r"\bas it comes\b|\bas they come\b": "with the weights from its constructor; unchanged",
    r"\bby lot\b": "sampled at random",
    r"\bframes a (clip|video|second)\b|\brows a clip\b": "per clip",
    r"\bone a (core|clip|frame|row|media|command|video)\b": "one per",
    r"\bpassed over\b": "skipped",
    r"\b(is|are) not here\b": "is not available",
    r"\bleave the protocol away\b": "drop --protocol",
    r"\bneed not be (told|said)\b": "may be omitted",
    r"\bread against\b": "baselines",
    r"\bopen points?\b": "reproduction note",
    r"\buntouched\b": "clean",
    r"\bglimpses?\b": "result of a frame callback",
    r"\blent\b": "geometry source",
    r"\b(house )?rooms?\b": "package",
    r"\bportions?\b": "array-job part",
    r"\bpeers?\b": "reference implementation, other benchmark",
}
# What a pattern may match: terms of others, and words in another sense.
ALLOWED = re.compile(
    r"fontawesome|disk .*room|room (for|on the)|living.?room|groups? of pictures|^IDIOMS = "
    # texts that seeds are derived from: another text would change numbers
    r"|seed_from\(group, \"cheap baseline\"\)|build_seeded\(source, \"as it comes\","
)
SUFFIXES = {".py", ".md", ".toml", ".j2", ".js", ".yml", ".ipynb"}
FOLDERS = ("dfbench", "reference_models", "protocols", "docs", "examples", "benchmarks", "tools", "tests", ".github")


def texts() -> list[Path]:
    found = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    found += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml", "Makefile")]
    return [p for p in found if p.name != Path(__file__).name and "v0_1_0" not in p.parts]


@pytest.mark.parametrize("idiom", IDIOMS)
def test_no_text_uses_the_idiom(idiom: str) -> None:
    pattern = re.compile(idiom)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line) and not ALLOWED.search(line)
    ]
    assert not found, f"write: {IDIOMS[idiom]}\n" + "\n".join(found)
