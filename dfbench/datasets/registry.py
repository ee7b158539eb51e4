"""Data sets by name. An adapter is imported on first use."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace

from dfbench.datasets.adapter import Adapter
from dfbench.errors import UsageError
from dfbench.registry import Registry, with_attributes

DATASETS: Registry[Adapter] = Registry(
    "data set",
    "dfbench.datasets",
    {
        "ff++": "dfbench.datasets.ffpp:FFPP",
        "dfd": "dfbench.datasets.dfd:DFD",
        "dfdc": "dfbench.datasets.dfdc:DFDC",
        "dfdcp": "dfbench.datasets.dfdcp:DFDCP",
        "celeb-df-v1": "dfbench.datasets.celebdf:CELEB_DF_V1",
        "celeb-df-v2": "dfbench.datasets.celebdf:CELEB_DF_V2",
        "celeb-df++": "dfbench.datasets.celebdfpp:CELEB_DF_PP",
        "ffiw": "dfbench.datasets.ffiw:FFIW",
        "kodf": "dfbench.datasets.kodf:KODF",
        "fakeavceleb": "dfbench.datasets.fakeavceleb:FAKEAVCELEB",
        "fakeavceleb-av": "dfbench.datasets.fakeavceleb:FAKEAVCELEB_AV",
        "dfdm": "dfbench.datasets.dfdm:DFDM",
        "df40": "dfbench.datasets.df40:DF40_CROPS",
        "deepfake-eval-2024": "dfbench.datasets.deepfake_eval:DEEPFAKE_EVAL_2024",
        "hff": "dfbench.datasets.hff:HFF",
        "wilddeepfake": "dfbench.datasets.wilddeepfake:WILDDEEPFAKE",
        "diff": "dfbench.datasets.diff:DIFF",
        "diffswap": "dfbench.datasets.diffswap:DIFFSWAP",
        "deepfakebench": "dfbench.datasets.deepfakebench:DEEPFAKEBENCH",
        "folder": "dfbench.datasets.folder:FOLDER",
        "mini": "dfbench.datasets.ffpp:MINI",
    },
    check=with_attributes(
        "dfbench.datasets.Adapter",
        *("name", "title", "licence", "access", "citation", "subsets", "manipulations", "filters", "scan"),
    ),
    listing="dfbench list datasets",
)

_NAMED_FOLDER = re.compile(r"^folder:[A-Za-z0-9][A-Za-z0-9._-]*$")


def adapter_names() -> tuple[str, ...]:
    """Return the command-line names of all data sets.

    >>> "ff++" in adapter_names()
    True
    """
    return DATASETS.names()


def list_datasets(filter: str = "*") -> list[str]:
    """Return the names of the data sets that dfbench can read.

    Args:
        filter: shell-style pattern; the default matches all names.

    >>> list_datasets("celeb-*")
    ['celeb-df-v1', 'celeb-df-v2', 'celeb-df++']
    """
    return fnmatch.filter(adapter_names(), filter)


def get_adapter(name: str) -> Adapter:
    """Return the adapter of a data set.

    ``folder:NAME`` reads the same layout as ``folder`` under its own name, so that several user-defined data sets
    have distinct ids, default manifests and entries in protocols.

    Raises:
        UsageError: no data set has that name; the hint names the nearest ones.
        SetupError: the package that provides it is broken.

    >>> get_adapter("ff++").title
    'FaceForensics++'
    >>> get_adapter("folder:phones").name
    'folder:phones'
    """
    if name.startswith("folder:"):
        return _named_folder(name)
    return DATASETS.get(name)


def _named_folder(name: str) -> Adapter:
    from dfbench.datasets.folder import FOLDER

    if not _NAMED_FOLDER.match(name):
        raise UsageError(
            f"not a valid data set name: {name!r}",
            "write folder:NAME with letters, digits, dots, hyphens and underscores",
        )
    return replace(FOLDER, name=name)
