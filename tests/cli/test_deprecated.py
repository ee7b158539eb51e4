"""Old spellings of options and keywords are accepted with a warning, and mean the same as the new ones."""

from __future__ import annotations

import warnings

import click
import pytest
from click.testing import CliRunner

from dfbench.cli.options import deprecated_alias
from dfbench.deprecation import renamed_keywords
from dfbench.errors import UsageError


@click.command()
@deprecated_alias("--with", "--condition")
@click.option("--condition", required=True)
@click.option("--workers", type=click.IntRange(min=1), default=3)
@deprecated_alias("--jobs", "--workers")
@click.option("--size", "sizes", type=int, multiple=True)
@deprecated_alias("--crop", "--size")
@click.option("--workers-log/--no-log", "log", default=False)
@deprecated_alias("--log", "--workers-log", is_flag=True)
def command(**values: object) -> None:
    click.echo(repr(sorted(values.items())))


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, list(words))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["--with", "a"], ["--condition", "a"]),
        (["--with", "a", "--jobs", "4"], ["--condition", "a", "--workers", "4"]),
        (["--with=a", "--jobs=4"], ["--condition=a", "--workers=4"]),
        (["--with", "a", "--crop", "1", "--crop", "2"], ["--condition", "a", "--size", "1", "--size", "2"]),
        (["--with", "a", "--size", "1", "--crop", "2"], ["--condition", "a", "--size", "1", "--size", "2"]),
        (["--with", "a", "--log"], ["--condition", "a", "--workers-log"]),
    ],
)
def test_an_old_spelling_is_the_new_one_with_a_warning(old, new):
    code, out, err = run(*new)
    assert (code, err) == (0, "")
    found, same, warning = run(*old)
    assert (found, same) == (0, out)
    assert "warning: --with is deprecated: use --condition\n" in warning


def test_an_old_spelling_is_checked_like_the_new_one():
    assert run()[0] == 2
    code, _, err = run("--with", "a", "--jobs", "0")
    assert code == 2
    assert "--workers" in err
    code, _, err = run("--with", "a", "--condition", "b")
    assert code == 2
    assert "--with is the old spelling of --condition" in err


def test_help_shows_the_new_spellings_alone():
    text = run("--help")[1]
    assert "--workers" in text
    assert "--jobs" not in text


@renamed_keywords(jobs="workers")
def work(name: str, *, workers: int = 1) -> tuple[str, int]:
    """Do it."""
    return name, workers


def test_an_old_keyword_is_the_new_one_with_a_warning():
    with pytest.warns(DeprecationWarning, match="jobs is deprecated .* use workers") as caught:
        assert work("a", jobs=4) == ("a", 4)
    assert __file__ in {w.filename for w in caught if w.category is DeprecationWarning}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert work("a", workers=4) == ("a", 4)
    with pytest.raises(UsageError, match="both were given"):
        work("a", jobs=4, workers=4)
    assert work.__doc__ == "Do it."


def test_detector_packages_written_for_0_1_0_still_load():
    import dfbench.models

    with pytest.warns(DeprecationWarning, match="use ReproductionNote"):
        note = dfbench.models.OpenPoint("border", "zeros")
    with pytest.warns(DeprecationWarning, match="use reproduction_notes"):
        spec = dfbench.models.ModelSpec("x", "m:X", open_points=(note,))
    assert spec.reproduction_notes == (note,)
