"""``dfbench prepare``."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

import click

from dfbench.cli.options import F, deprecated_alias
from dfbench.cli.show import echo
from dfbench.errors import UsageError
from dfbench.preparation.planning.options import PreparationRequest, declaration

if TYPE_CHECKING:
    from dfbench.mini.settings import MiniSettings

OLD_SPELLINGS = {"--faces": "--face-rule", "--degrade": "--condition", "--jobs": "--workers", "--shards": "--array"}


def preparation_options(function: F) -> F:
    """All options that :class:`PreparationRequest` declares, in its order, and their old spellings."""
    for old, new in OLD_SPELLINGS.items():
        function = deprecated_alias(old, new)(function)
    for field in reversed(fields(PreparationRequest)):
        option = declaration(field)
        if not option.spelling:
            continue
        default = option.command_default or (None if field.default is MISSING else field.default)
        spellings = ("-q", option.spelling) if field.name == "quiet" else (option.spelling,)
        flag = default is False
        function = click.option(
            *spellings,
            field.name,
            is_flag=flag,
            type=None if flag else option.kind,
            multiple=option.repeat,
            default=None if option.repeat else default,
            show_default=not flag and not option.repeat and default is not None,
            metavar=option.metavar,
            help=f"{option.help}  [default: {option.assumed}]" if option.assumed and default is None else option.help,
        )(function)
    return function


@click.command(
    epilog="""\b
Examples:
  dfbench prepare mini
  dfbench prepare ff++ --root /data/FaceForensics --subset c23 --workers 8
  dfbench prepare ff++ --split test --every 30 --max 10 --size 299 --profile box --out manifests/ffpp-box
  dfbench prepare ff++ --protocol my_protocol.toml --dry-run
  dfbench prepare dfdc --array 3/16 --out manifests/dfdc
  dfbench prepare dfdc --engine dask --address tcp://head:8786""",
)
@click.argument("dataset")
@preparation_options
@click.option("--pairs", metavar="TRAIN,VAL,TEST", help="mini only: pairs of people per split  [default: 48,12,24].")
@click.option("--mini-seed", type=int, metavar="N", help="mini only: seed of the invented people.")
@click.option("--dry-run", is_flag=True, help="Check everything, print what would be done, write nothing.")
def prepare(dataset: str, pairs: str | None, mini_seed: int | None, dry_run: bool, **options: Any) -> None:
    """Turn the tree of DATASET into a manifest of face crops.

    Rerun the same command to resume after an interruption. A manipulation filter keeps all reals.
    See: dfbench list datasets.
    """
    from dfbench.datasets.registry import get_adapter
    from dfbench.preparation.prepare import plan_preparation

    get_adapter(dataset)
    mini = _mini_settings(dataset, pairs, mini_seed)
    plan = plan_preparation(PreparationRequest(dataset, mini=mini, **options))
    from dfbench.cli.preparation_summary import show_plan, show_summary

    if dry_run:
        show_plan(plan)
        return
    manifest = plan.run()
    if not plan.quiet:
        show_summary(manifest)
    if manifest.info.profile.endswith("~"):
        echo(f"note: {manifest.info.profile} is approximate, see docs/media-and-faces.md, crop profiles")
    echo(str(manifest.path))


def _mini_settings(dataset: str, pairs: str | None, seed: int | None) -> MiniSettings | None:
    if dataset != "mini":
        if pairs is not None or seed is not None:
            raise UsageError(
                "--pairs and --mini-seed require the data set mini", "dfbench prepare mini --pairs 48,12,24"
            )
        return None
    from dataclasses import replace

    from dfbench.mini.settings import default_settings

    settings = default_settings()
    if pairs is not None:
        numbers = pairs.split(",")
        if len(numbers) != 3 or not all(number.strip().isdigit() for number in numbers):
            raise UsageError(f"--pairs needs three numbers, not {pairs!r}", "for example --pairs 48,12,24")
        train, val, test = (int(number) for number in numbers)
        settings = replace(settings, train_pairs=train, val_pairs=val, test_pairs=test)
    return settings if seed is None else replace(settings, seed=seed)
