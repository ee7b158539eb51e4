"""One option, one meaning: every option of every command has a help text, and a name means the same everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import click
import pytest

from dfbench.cli.main import cli

IDIOMS = ("can not", "picture", "one a core", "a clip,", "of one's own", "passed over", "goes on from there", "by lot")


def commands(command: click.Command, path: str = "dfbench") -> Iterator[tuple[str, click.Command]]:
    """All commands below one, with their path."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(cli))


def options(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert "xample" in (command.epilog or "")
    assert all(option.help for option in options(command))
    text = " ".join([command.help, *(str(option.help) for option in options(command))])
    assert not [idiom for idiom in IDIOMS if idiom in text]


def test_an_option_has_one_meaning() -> None:
    targets: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for command in COMMANDS.values():
        for option in options(command):
            for spelling in option.opts:
                targets[spelling].add((str(option.name).removesuffix("s"), option.is_flag))
    assert {name: found for name, found in targets.items() if len(found) > 1} == {}


def test_old_spellings_lead_to_an_option_of_the_same_command() -> None:
    aliases = [(path, p) for path, c in COMMANDS.items() for p in c.params if hasattr(p, "new")]
    assert {option.opts[0] for _, option in aliases} >= {"--jobs", "--faces", "--frame-face", "--aggregate"}
    for path, alias in aliases:
        assert alias.new in {spelling for option in options(COMMANDS[path]) for spelling in option.opts}
    shown = {spelling for command in COMMANDS.values() for option in options(command) for spelling in option.opts}
    assert not shown & {"--jobs", "--with", "--degrade", "--frame-face", "--aggregate", "--open-points", "--shards"}
