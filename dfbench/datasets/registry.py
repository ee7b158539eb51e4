"""Names of the data sets and their adapters, which are imported when they are asked for."""

from __future__ import annotations

from importlib import import_module

from dfbench.datasets.adapter import Adapter
from dfbench.errors import unknown_name

_ADAPTERS: dict[str, str] = {
    "ff++": "dfbench.datasets.ffpp:FFPP",
    "dfd": "dfbench.datasets.dfd:DFD",
    "dfdc": "dfbench.datasets.dfdc:DFDC",
    "dfdcp": "dfbench.datasets.dfdcp:DFDCP",
    "celeb-df-v1": "dfbench.datasets.celebdf:CELEB_DF_V1",
    "celeb-df-v2": "dfbench.datasets.celebdf:CELEB_DF_V2",
    "hff": "dfbench.datasets.hff:HFF",
    "wilddeepfake": "dfbench.datasets.wilddeepfake:WILDDEEPFAKE",
    "diffswap": "dfbench.datasets.diffswap:DIFFSWAP",
    "deepfakebench": "dfbench.datasets.deepfakebench:DEEPFAKEBENCH",
    "folder": "dfbench.datasets.folder:FOLDER",
    "mini": "dfbench.datasets.mini:MINI",
}


def adapter_names() -> tuple[str, ...]:
    """Command-line names of all data sets.

    >>> "ff++" in adapter_names()
    True
    """
    return tuple(_ADAPTERS)


def get_adapter(name: str) -> Adapter:
    """The adapter of a data set.

    Raises:
        UsageError: there is no data set of that name; the hint names the nearest ones.

    >>> get_adapter("ff++").title
    'FaceForensics++'
    """
    if name not in _ADAPTERS:
        raise unknown_name("data set", name, _ADAPTERS, "dfbench list datasets")
    module, _, attribute = _ADAPTERS[name].partition(":")
    adapter: Adapter = getattr(import_module(module), attribute)
    return adapter
