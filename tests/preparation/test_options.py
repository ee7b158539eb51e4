"""The options of prepare are declared once: command, Python and documentation list the same ones."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

import dfbench
from dfbench.cli.prepare import OLD_SPELLINGS
from dfbench.cli.prepare import prepare as command
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.preparation.planning.options import PreparationRequest, declaration
from dfbench.preparation.prepare import OLD_KEYWORDS, PreparationPlan, prepare, resolve_preparation

NAMES = [field.name for field in fields(PreparationRequest)]
DOCS = Path(__file__).parents[2] / "docs" / "prepare.md"


@pytest.mark.parametrize("function", [dfbench.prepare, resolve_preparation])
def test_python_lists_every_option(function):
    signature = inspect.signature(function)
    assert list(signature.parameters) == NAMES
    for field in fields(PreparationRequest):
        default = signature.parameters[field.name].default
        assert default == (inspect.Parameter.empty if field.default is MISSING else field.default)
        assert f"        {field.name}: {declaration(field).help}" in function.__doc__
    positional = [p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == ["dataset", "root", "out"]
    assert signature.return_annotation in ("Manifest", "PreparationPlan")


def test_the_command_has_every_option():
    options = {p.name: p for p in command.params if isinstance(p, click.Option) and not p.hidden}
    assert set(NAMES) - {"dataset", "mini"} == set(options) - {"pairs", "mini_seed", "dry_run"}
    for field in fields(PreparationRequest):
        said = declaration(field)
        if said.spelling:
            assert said.spelling in options[field.name].opts
            assert (options[field.name].help or "").startswith(said.help)


def test_the_documentation_has_every_option():
    text = DOCS.read_text("utf-8")
    lines = []
    for field in fields(PreparationRequest):
        said = declaration(field)
        unset = field.default in (None, (), MISSING) or field.default is False
        default = said.assumed or ("" if unset else str(field.default))
        typed = f"`{said.spelling} {said.metavar}`" if said.metavar else f"`{said.spelling}`" if said.spelling else ""
        lines.append(f"| {typed} | `{field.name}` | {said.help} | {default} |".replace("|  |", "| |"))
    missing = [line for line in lines if line not in text]
    assert missing == [], "the table in docs/prepare.md needs these lines:\n" + "\n".join(lines)


def test_old_names_are_those_of_options():
    assert set(OLD_KEYWORDS.values()) <= set(NAMES)
    spellings = {declaration(field).spelling for field in fields(PreparationRequest)}
    assert set(OLD_SPELLINGS.values()) <= spellings
    assert not set(OLD_SPELLINGS) & spellings


def test_old_keywords_are_accepted_with_a_warning(tree, tmp_path):
    with pytest.warns(DeprecationWarning, match="is deprecated") as caught:
        plan = resolve_preparation("ff++", tree, tmp_path / "m", jobs=3, shards="1/2", degrade="jpeg:q=60")
    deprecated = [w for w in caught if w.category is DeprecationWarning]  # not files that other tests left to be closed
    assert {str(w.message).split()[0] for w in deprecated} == {"jobs", "shards", "degrade"}
    assert plan == resolve_preparation("ff++", tree, tmp_path / "m", workers=3, array="1/2", condition="jpeg:q=60")
    assert (plan.workers.count, str(plan.array_part), plan.recipe.degrade) == (3, "part 1 of 2", "JP60")


def test_one_value_is_as_good_as_a_sequence():
    request = PreparationRequest("ff++", sizes=64, subsets="c23", sampling="all")
    assert request == PreparationRequest("ff++", sizes=[64], subsets=["c23"], sampling=["all"])


def test_a_plan_says_what_will_be_done_and_writes_nothing(tree, tmp_path):
    plan = resolve_preparation("ff++", tree, tmp_path / "m", frames=4, sizes=64, workers=1, quiet=True)
    assert plan.shards is not None
    assert len(plan.shards.scan.media) == 18
    assert (plan.root, plan.out, plan.mini) == (tree, tmp_path / "m", None)
    assert not plan.out.exists()
    assert plan.run().info.recipe_hash == plan.recipe.hash


@pytest.mark.parametrize("out", ["file/below", "file", "x" * 300])
def test_an_output_location_that_cannot_be_written_is_refused_before_the_work(tree, tmp_path, monkeypatch, out):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(PreparationPlan, "run", None)
    with pytest.raises((UsageError, DataError, SetupError), match=out[:60]):
        prepare("ff++", tree, tmp_path / out)
    with pytest.raises((UsageError, DataError, SetupError), match=out[:60]):
        prepare("mini", tmp_path / out, tmp_path / "m")


def test_nothing_heavy_is_imported_for_the_help():
    code = (
        "import sys\nfrom dfbench.cli.main import run_command\nassert run_command(['prepare', '--help']) == 0\n"
        "heavy = {'numpy', 'pyarrow', 'pydantic', 'av', 'cv2', 'onnxruntime', 'torch', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_worker_starts_without_what_only_other_commands_need():
    code = (
        "import sys\nimport dfbench.preparation.execution.shard_worker\n"
        "print(sorted({'scipy', 'joblib', 'torch', 'pandas', 'matplotlib', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
