"""The ``dfbench`` command group with its lazily imported commands, and the exit codes of errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from dfbench._version import __version__
from dfbench.cli.show import echo
from dfbench.errors import DfbenchError
from dfbench.startup import StoppedBySignal, stopped_by_signals

# command -> "module:attribute", and the help line that `dfbench --help` shows without importing the module.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("dfbench.cli.demo:demo", "Run end to end on the embedded data set, up to an HTML report."),
    "prepare": ("dfbench.cli.prepare:prepare", "Turn a data set's tree into a manifest of face crops."),
    "merge": ("dfbench.cli.manifests:merge", "Join the parts that array jobs made with prepare --array."),
    "recrop": ("dfbench.cli.manifests:recrop", "Cut other crops from a manifest's patches, without the videos."),
    "degrade": ("dfbench.cli.manifests:degrade", "Copy a manifest with all crops under a degradation."),
    "upgrade": ("dfbench.cli.manifests:upgrade", "Convert a manifest of an older format, without the videos."),
    "inspect": ("dfbench.cli.manifests:inspect", "Show what a manifest holds; draw a contact sheet."),
    "verify": ("dfbench.cli.manifests:verify", "Check a manifest's hashes, counts and identifiers."),
    "train": ("dfbench.cli.train:train", "Train a detector by a protocol's recipe."),
    "evaluate": ("dfbench.cli.evaluate:evaluate", "Score a protocol's test data and compute its metrics."),
    "score": (
        "dfbench.cli.score:score",
        "Compute P(fake) of your own images and clips; plot timelines, draw overlays.",
    ),
    "explain": (
        "dfbench.cli.explain:explain",
        "Show what a detector looks at; name the technique of fakes by it.",
    ),
    "weights": (
        "dfbench.cli.weights:weights_group",
        "Import weights of other projects; check weights and show their card.",
    ),
    "table": ("dfbench.cli.table:table", "Print a paper's table: our numbers beside the published ones."),
    "report": ("dfbench.cli.report:report", "Write runs as one self-contained HTML page."),
    "compare": ("dfbench.cli.compare:compare", "Test whether two runs differ, paired on the same samples."),
    "import": ("dfbench.cli.importing:import_group", "Make a run of scores from another program."),
    "list": (
        "dfbench.cli.listing:list_group",
        "List data sets, models, protocols, metrics and everything else with a name.",
    ),
    "protocol": ("dfbench.cli.protocol:protocol_group", "Show a protocol, or check a protocol file."),
    "cache": ("dfbench.cli.cache:cache_group", "Show or empty the cache of crops and face-detector files."),
    "doctor": ("dfbench.cli.doctor:doctor", "Show what is installed, what is missing, and how to install it."),
}


_RESUME = "finished work is kept; rerun the same command to resume"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, so that ``--help`` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of a typical workflow."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; the error for an unknown name suggests similar ones."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from dfbench.errors import unknown_name

            raise unknown_name("command", args[0], COMMANDS, "dfbench --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: dfbench demo",
)
@click.version_option(__version__, prog_name="dfbench")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Prepare face-forgery data sets and benchmark detectors on them by fixed protocols."""
    if debug:
        os.environ["DFBENCH_DEBUG"] = "1"


def report_error(message: str, hint: str = "") -> None:
    """Print an error and its hint to standard error, unless it is closed, as after SIGHUP."""
    with suppress(OSError):
        echo(f"error: {message}", err=True)
        if hint:
            echo(f"hint: {hint}", err=True)


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see :mod:`dfbench.errors` for the codes."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    if debug:  # accepted anywhere, not only before the command
        words = [w for w in words if w != "--debug"]
        os.environ["DFBENCH_DEBUG"] = "1"
    try:
        with stopped_by_signals():
            code: Any = cli.main(words, prog_name="dfbench", standalone_mode=False)
        return int(code) if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message())
        return 2
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "dfbench"
        report_error(error.format_message(), f"see: {command} --help")
        return 2
    except DfbenchError as error:
        if debug:
            raise
        report_error(error.message, error.hint)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:  # click raises Abort in place of KeyboardInterrupt
        stopped = error.__cause__ if isinstance(error, click.Abort) else error
        if isinstance(stopped, StoppedBySignal):
            report_error(f"stopped by {stopped}", _RESUME)
            return stopped.exit_code
        report_error("interrupted", _RESUME)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except MemoryError as error:
        if debug:
            raise
        report_error(
            f"memory ran out{f': {error}' if str(error) else ''}",
            "free memory, or lower --workers or --batch-size; then rerun the same command",
        )
        return 5
    except OSError as error:
        if debug:
            raise
        from dfbench.io import DISK_FULL

        hint = (
            "free some disk space and rerun the same command"
            if error.errno in DISK_FULL
            else "check that the path exists and is writable"
        )
        report_error(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), hint)
        return 5
    except ImportError as error:
        if debug:
            raise
        report_error(
            f"a required library is not installed: {error.name or error}",
            'install it, for example: pip install "deepfake-dfbench[models]"; see: dfbench doctor',
        )
        return 5


def main() -> None:
    """Entry point of the ``dfbench`` command."""
    if isinstance(sys.stdout, TextIOWrapper):  # no character that the encoding of the terminal lacks ends the command
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run_command())
