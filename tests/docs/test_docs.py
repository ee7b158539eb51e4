"""The documentation says what the program does: its commands parse, its links lead somewhere, its pages are current."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from dfbench.cli.main import COMMANDS
from dfbench.protocols.files import load_protocol
from dfbench.protocols.reference import protocol_ref

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted([TOP / "README.md", TOP / "CONTRIBUTING.md", *(TOP / "docs").rglob("*.md")])


def documented_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.S):
            joined = block.replace("\\\n", " ")
            found += [
                (page.name, line.removeprefix("$ ").strip())
                for line in joined.splitlines()
                if line.startswith("$ dfbench ")
            ]
    return found


def parse(words: list[str]) -> None:
    """Parse a command line of dfbench without running it."""
    name, *rest = words
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    if isinstance(command, click.Group):
        assert rest, name
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(name, rest)


def test_there_are_examples() -> None:
    assert len(documented_commands()) >= 5


@pytest.mark.parametrize(("page", "line"), documented_commands())
def test_documented_commands_parse(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    assert words[0] in COMMANDS, f"{page}: {line}"
    parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tables_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(TOP / "tools" / "tables_page.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_in_the_user_guide() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    for name in COMMANDS:
        assert f"dfbench {name}" in text, name


def test_every_pitfall_is_held_by_tests_that_exist() -> None:
    lines = [line for line in (TOP / "docs" / "pitfalls.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [line for line in lines if line.split("|")[1].strip().isdigit()]
    assert [int(row.split("|")[1]) for row in rows] == [*range(1, 26), *range(1, 13)]
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"\ndef {test}(" in (TOP / file).read_text("utf-8"), f"{file}::{test}"


def test_results_are_those_of_the_protocols_as_they_are() -> None:
    """A page of results says at its top when its protocol has changed since."""
    told = re.compile(r"rotocol `([^`]+)` \(?version (\d+)[, (]+(?:hash )?`?([0-9a-f]{12})")
    made_by_no_protocol = {
        "fuzzing.md",
        "resolution.md",
        "loader.md",
        "intervals.md",
        "png-decoders.md",
        "grnet-search.md",
    }
    pages = sorted(p for p in (TOP / "docs" / "results").glob("*.md") if p.name not in made_by_no_protocol)
    assert pages
    for page in pages:
        text = page.read_text("utf-8")
        found = told.findall(text)
        assert found, page.name
        for name, version, digest in found:
            ref = protocol_ref(load_protocol(name))
            if digest not in [content[:12] for content in (ref.hash, *ref.earlier)]:
                assert f"**Version {version} of the protocol, current is {ref.version}.**" in text, page.name
            else:
                assert (digest == ref.hash[:12]) == (int(version) == ref.version), page.name
