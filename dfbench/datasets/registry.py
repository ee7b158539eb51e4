"""Names of the data sets and their adapters, which are imported when they are asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module

from dfbench.datasets.adapter import Adapter
from dfbench.errors import UsageError, unknown_name

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

_NAMED_FOLDER = re.compile(r"^folder:[A-Za-z0-9][A-Za-z0-9._-]*$")


def adapter_names() -> tuple[str, ...]:
    """Command-line names of all data sets.

    >>> "ff++" in adapter_names()
    True
    """
    return tuple(_ADAPTERS)


def get_adapter(name: str) -> Adapter:
    """The adapter of a data set.

    ``folder:NAME`` reads what ``folder`` reads and calls the data set so: several folders of a user have each their
    ids, default manifest and place in protocols.

    Raises:
        UsageError: there is no data set of that name; the hint names the nearest ones.

    >>> get_adapter("ff++").title
    'FaceForensics++'
    >>> get_adapter("folder:phones").name
    'folder:phones'
    """
    if name.startswith("folder:"):
        return _named_folder(name)
    if name not in _ADAPTERS:
        raise unknown_name("data set", name, _ADAPTERS, "dfbench list datasets")
    module, _, attribute = _ADAPTERS[name].partition(":")
    adapter: Adapter = getattr(import_module(module), attribute)
    return adapter


def _named_folder(name: str) -> Adapter:
    from dfbench.datasets.folder import FOLDER

    if not _NAMED_FOLDER.match(name):
        raise UsageError(
            f"not a name for a folder: {name!r}", "folder:NAME, of letters, digits, dots, hyphens and underscores"
        )
    return replace(FOLDER, name=name)
