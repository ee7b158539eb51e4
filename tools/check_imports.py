"""Find import circles and upward imports in dfbench and reference_models; exit 1 where there are any.

Imports inside functions count; those under ``if TYPE_CHECKING:`` and names loaded from strings do not. The layers are
those of import-linter's contract in pyproject.toml, so there is one list. A package's own top module stands above its
layers: ``from dfbench import x`` inside dfbench is an upward import.

    python tools/check_imports.py [FOLDER]
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grimp
import numpy as np
from grimp import ImportGraph
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Layers:
    """The layer contract.

    Attributes:
        level: module or package -> its level, 0 at the bottom.
        independent: modules that share a level and must not import each other.
    """

    level: dict[str, int]
    independent: frozenset[str]

    def listed(self, module: str) -> str | None:
        """The module itself or its nearest parent that the contract names."""
        parts = module.split(".")
        names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((name for name in names if name in self.level), None)


def read_layers(settings: dict[str, Any]) -> Layers:
    """Read the layers from the settings of import-linter.

    Raises:
        SystemExit: there is not exactly one contract of the type ``layers``.
    """
    contracts = [c for c in settings["contracts"] if c["type"] == "layers"]
    if len(contracts) != 1:
        raise SystemExit(f"pyproject.toml has {len(contracts)} contracts of the type 'layers', not one")
    level: dict[str, int] = {}
    independent: set[str] = set()
    for number, line in enumerate(reversed(contracts[0]["layers"])):
        names = [name.strip("() ") for name in line.replace("|", ":").split(":")]
        level.update(dict.fromkeys(names, number))
        if "|" in line:
            independent.update(names)
    return Layers(level, frozenset(independent))


def circles(graph: ImportGraph) -> list[list[str]]:
    """One shortest circle of each group of modules that import each other, directly or not.

    Returns:
        Of each circle its modules in the order of the imports; the first comes again at the end.
    """
    modules = sorted(graph.modules)
    number = {module: n for n, module in enumerate(modules)}
    edges = [(number[a], number[b]) for a in modules for b in graph.find_modules_directly_imported_by(a)]
    rows, columns = np.array(edges, int).reshape(-1, 2).T
    matrix = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(modules),) * 2)
    _, group = connected_components(matrix, connection="strong")
    found = []
    for members in (np.flatnonzero(group == g) for g in np.flatnonzero(np.bincount(group) > 1)):
        names = {modules[n] for n in members}
        chains = (
            (a, *(graph.find_shortest_chain(importer=b, imported=a) or ()))
            for a in sorted(names)
            for b in graph.find_modules_directly_imported_by(a) & names
        )
        found.append(list(min(chains, key=lambda chain: (len(chain), chain))))
    return found


def upward(graph: ImportGraph, layers: Layers) -> list[str]:
    """Imports that do not point down, and modules that no layer names, one line each."""
    found = []
    roots = {name.split(".")[0] for name in layers.level}
    for module in sorted(m for m in graph.modules if m.split(".")[0] in roots):
        own = layers.listed(module)
        if own is None:
            if module not in roots and not module.endswith(".__main__"):
                found.append(f"{module} is in no layer")
            continue
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            other = layers.listed(imported)
            if other is None:
                up = imported in roots
            else:
                above = layers.level[other] - layers.level[own]
                up = above > 0 or (above == 0 and other != own and own in layers.independent)
            if up:
                found.append(f"{where(graph, module, imported)}: {module} imports {imported}")
    return found


def where(graph: ImportGraph, importer: str, imported: str) -> str:
    """``module:line`` of an import."""
    lines = sorted(d["line_number"] for d in graph.get_import_details(importer=importer, imported=imported))
    return f"{importer}:{lines[0]}" if lines else importer


def check(folder: Path) -> list[str]:
    """The faults of the packages in a folder with a pyproject.toml, one line each."""
    settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    sys.path.insert(0, str(folder))
    try:
        graph = grimp.build_graph(*settings["root_packages"], exclude_type_checking_imports=True, cache_dir=None)
    finally:
        sys.path.remove(str(folder))
    lines = []
    for circle in circles(graph):
        steps = [where(graph, a, b) for a, b in pairwise(circle)]
        lines.append("circle: " + " -> ".join(steps) + f" -> {circle[0]}")
    return lines + [f"upward: {line}" for line in upward(graph, read_layers(settings))]


def main() -> None:
    """Print the faults."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    faults = check(folder)
    print("\n".join(faults) or "no import circles, no upward imports")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
