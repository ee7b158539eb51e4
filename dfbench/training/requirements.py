"""What a training method needs of the manifests of its training samples: columns, patches, dense landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench.config import manifest_beside
from dfbench.degrade import CLEAN
from dfbench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from dfbench.evaluation.dataset import RoleData
    from dfbench.training.methods import TrainingMethod

_EXTRAS = {"patch": ("patches", "--patch"), "dense": ("dense landmarks", "--landmarks NAME")}
"""Group of optional columns -> what it is called, and the option of ``dfbench prepare`` that stores it."""


def needed_columns(method: TrainingMethod, data: RoleData) -> pa.Table | None:
    """Return the columns that a method needs, a row per training sample with a crop; None if it needs none.

    Raises:
        DataError: a manifest lacks one, or has no value in it.
    """
    if not method.columns:
        return None
    for manifest, samples in data.parts:
        usable = samples.ok()
        for name in method.columns:
            if name not in manifest.columns or (len(usable) and usable.select([name])[name].null_count == len(usable)):
                raise DataError(
                    f"the training method {method.name!r} needs the column {name!r}, of which the training samples of "
                    f"the manifest {manifest.path} have no values",
                    "prepare a manifest that has it: docs/manifest.md lists the columns and what fills them",
                )
    return data.columns(method.columns)


def prepare_options(method: TrainingMethod) -> str:
    """Return the options of ``dfbench prepare`` that store what a method needs beside crops; empty for most."""
    return " ".join(_EXTRAS[name][1] for name in method.extras)


def check_extras(method: TrainingMethod, data: RoleData) -> None:
    """Check that the manifests of the training samples have what a method needs beside crops.

    Raises:
        DataError: one lacks it, and the hint is the command that prepares it; or the training has a condition, which
            patches do not show.
    """
    conditions = sorted({*data.conditions(data.condition)} - {CLEAN})
    if "patch" in method.extras and conditions:
        raise DataError(
            f"the training method {method.name!r} makes its images from patches, which are not degraded: it cannot "
            f"train under the condition {conditions[0]!r}",
            "train on clean data: drop --condition, or give the manifest that the degraded one was made from",
        )
    for manifest, _ in data.parts:
        lacks = [name for name in method.extras if name not in manifest.info.extras]
        if lacks:
            named = " and ".join(_EXTRAS[name][0] for name in lacks)
            out = manifest_beside(manifest.path, method.name)
            raise DataError(
                f"the training method {method.name!r} needs {named}, which the manifest {manifest.path} does not have",
                f"prepare one that has: dfbench prepare {manifest.info.dataset} --protocol {data.protocol.typed} "
                f"{prepare_options(method)} --out {out}; and give --manifest {out}. Providers of landmarks: "
                "dfbench list landmarks",
            )
