"""What several commands do first: make sure that the protocol's manifests and a detector's weights are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dfbench import config
from dfbench.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from dfbench.protocols.protocol import Protocol


def say(text: str, quiet: bool = False) -> None:
    """Announce a step on standard error, so that standard output stays clean."""
    if not quiet:
        click.echo(text, err=True)


def check_model(model: str, protocol: Protocol, options: dict[str, Any]) -> None:
    """Check that a detector can be built for a protocol; a user's own is built and shown two empty images.

    Raises:
        UsageError: an option that it does not have.
        ModelError: classes or crops that it can not take, or a user's module with a fault.
    """
    from dfbench.models.build import build_model, check_options
    from dfbench.models.registry import get_spec

    spec = get_spec(model)
    check_options(spec, protocol.num_classes, protocol.crops.size, options)
    if spec.provenance == "user":
        build_model(model, protocol.num_classes, protocol.crops.size, **options)


def check_manifests(protocol: Protocol, given: Sequence[Path]) -> dict[str, Path | None]:
    """Where the manifest of each data set of a protocol lies; None where one must be made first.

    Only ``mini`` can be made without the user's data; any other missing manifest is an error.

    Raises:
        DataError: a manifest is missing or can not be read.
        UsageError: a given manifest is of a data set that the protocol does not use, or two are of the same.
    """
    from dfbench.manifest.manifest import open_manifest

    wanted = protocol.datasets()
    found: dict[str, Path] = {}
    for path in given:
        name = open_manifest(path).info.dataset
        if name not in wanted:
            raise UsageError(
                f"the manifest {path} is of {name!r}, which protocol {protocol.name!r} does not use",
                f"it uses: {', '.join(wanted)}",
            )
        if name in found:
            raise UsageError(f"two manifests of {name!r} were given: {found[name]} and {path}", "give one of them")
        found[name] = path
    places: dict[str, Path | None] = {}
    for name in wanted:
        default = config.find_manifest(name, protocol.name)
        if name in found:
            places[name] = found[name]
        elif (default / "manifest.json").is_file():
            if open_manifest(default, allow_incomplete=name == "mini").info.complete:
                places[name] = default
            else:
                places[name] = None
        elif name == "mini":
            places[name] = None
        else:
            raise DataError(
                f"protocol {protocol.name!r} needs a manifest of {name!r}, and there is none in {default}",
                f"make it: dfbench prepare {name} --protocol {protocol.typed} --root DIR; or give --manifest DIR",
            )
    return places


def ensure_manifests(
    protocol: Protocol, given: Sequence[Path], jobs: int | None = None, quiet: bool = False
) -> list[Path]:
    """The manifests of a protocol; the embedded data set is generated and prepared when it is not there yet."""
    paths: list[Path] = []
    for place in check_manifests(protocol, given).values():
        if place is None:
            from dfbench.preparation.prepare import prepare

            say("the mini data set is not here yet: generating and preparing it (once, some minutes)", quiet)
            place = prepare("mini", protocol=protocol, workers=jobs, quiet=quiet).path
        paths.append(place)
    return paths


def check_weights(model: str, protocol: Protocol, weights: Path | None, out: Path | None = None) -> Path | None:
    """The weights file to use; None where it must be trained first.

    Raises:
        ModelError: the given file is not there, or the protocol is too long to train unasked.
    """
    if weights is not None:
        if not weights.is_file():
            raise ModelError(
                f"there are no weights at {weights}",
                f"train them: dfbench train --model {model} --protocol {protocol.typed}",
            )
        return weights
    from dfbench.evaluation.detector import default_weights

    place = out or default_weights(model, protocol)
    if place.is_file():
        return place
    if protocol.name != "mini":
        raise ModelError(
            f"there are no weights of {model!r} for protocol {protocol.name!r} in {place}",
            f"train them: dfbench train --model {model} --protocol {protocol.typed}; or give --weights FILE",
        )
    return None


def ensure_weights(
    model: str,
    protocol: Protocol,
    manifests: Sequence[Path],
    weights: Path | None,
    out: Path | None = None,
    **options: Any,
) -> Path:
    """The weights of a detector for a protocol; for ``mini`` they are trained first where none exist.

    Args:
        model: a registered name.
        protocol: the protocol.
        manifests: its manifests, all there.
        weights: a file given by the user, or None.
        out: where weights are looked for and kept instead of the workspace.
        options: passed on to :func:`dfbench.training.train.train` (``device``, ``quiet``, ...).
    """
    place = check_weights(model, protocol, weights, out)
    if place is not None:
        return place
    from dfbench.evaluation.detector import default_weights
    from dfbench.training.train import train

    say(
        f"no weights of {model!r} for protocol {protocol.name!r} yet: training them (once, some minutes)",
        options.get("quiet", False),
    )
    return train(model, protocol, manifests, out or default_weights(model, protocol), **options)
