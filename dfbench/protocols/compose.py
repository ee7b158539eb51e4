"""Compose the fields of a protocol from its file, the protocol that it extends, and its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dfbench.errors import DataError, unknown_name
from dfbench.untrusted import read_toml

SIGN = "@"
"""Separator between the names of a protocol and of its variant: ``grnet/hff-binary@jp60``."""

Fields = dict[str, Any]


def split_name(name: str) -> tuple[str, str]:
    """Return name and variant; the variant is empty if none is named.

    >>> split_name("grnet/hff-binary@jp60")
    ('grnet/hff-binary', 'jp60')
    """
    base, sign, variant = name.rpartition(SIGN)
    return (base, variant) if sign else (name, "")


def read_fields(path: Path) -> Fields:
    """Return the tables of a TOML file.

    Raises:
        DataError: it is not TOML.
    """
    return read_toml(path, "see docs/protocols.md for an example")


def variants_of(fields: Mapping[str, Any], path: Path) -> dict[str, Fields]:
    """Return the variants of a file by name, in its order.

    Raises:
        DataError: ``variants`` is not a table of tables.
    """
    found = fields.get("variants", {})
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise DataError(f"{path}: variants must be tables: [variants.NAME]", "see docs/protocols.md for an example")
    return found


def compose(path: Path, variant: str, base_of: Callable[[str], Fields]) -> Fields:
    """Return the fields of a protocol: those of the extended protocol, updated by the file's, updated by the variant's.

    Tables are merged key by key; lists and values are replaced. ``subsets`` of a variant replaces subsets in every data
    part, ``manipulations`` those of all data parts with a role.

    Args:
        path: the file.
        variant: name of the variant; empty: the file itself.
        base_of: returns the fields of the protocol that a file extends.

    Raises:
        DataError: the file is not TOML, or its variants are not tables.
        UsageError: the variant does not exist.
    """
    own = read_fields(path)
    variants = variants_of(own, path)
    own.pop("variants", None)
    extends = own.pop("extends", None)
    if extends is not None and not isinstance(extends, str):
        raise DataError(f"{path}: extends must be the name of a protocol", 'extends = "grnet/hff-multi"')
    fields = merged(base_of(extends), own) if extends is not None else own
    if not variant:
        return fields
    if variant not in variants:
        known = [f"{fields.get('name')}{SIGN}{name}" for name in variants]
        raise unknown_name("protocol", f"{fields.get('name')}{SIGN}{variant}", known, "dfbench list protocols")
    changes = dict(variants[variant])
    fields = _with_subsets(fields, changes.pop("subsets", {}), path)
    fields = _with_manipulations(fields, changes.pop("manipulations", {}), path)
    return merged(fields, changes) | {"name": f"{fields.get('name')}{SIGN}{variant}"}


def _with_subsets(fields: Fields, other: Any, path: Path) -> Fields:
    """Return the fields with subsets replaced in every data part: ``{ c23 = "c40" }``."""
    if not isinstance(other, dict) or not all(isinstance(name, str) for name in other.values()):
        raise DataError(f"{path}: subsets of a variant must map names to names", 'subsets = { c23 = "c40" }')
    if not other:
        return fields
    data = [
        part | {"subsets": [other.get(name, name) for name in part["subsets"]]} if part.get("subsets") else part
        for part in fields.get("data", [])
    ]
    return fields | {"data": data}


def _with_manipulations(fields: Fields, by_role: Any, path: Path) -> Fields:
    """Return the fields with other manipulations in the data parts of some roles: ``{ train = ["Deepfakes"] }``."""
    if not isinstance(by_role, dict) or not all(isinstance(names, list) for names in by_role.values()):
        raise DataError(
            f"{path}: manipulations of a variant must map roles to lists", 'manipulations = { train = ["Deepfakes"] }'
        )
    data = fields.get("data", [])
    unused = sorted(by_role.keys() - {part.get("role") for part in data})
    if unused:
        raise DataError(
            f"{path}: manipulations of a variant are of the role {unused[0]!r}, which no data part has",
            "the roles are train, val and test",
        )
    changed = [
        part | {"manipulations": by_role[part["role"]]} if part.get("role") in by_role else part for part in data
    ]
    return fields | {"data": changed} if by_role else fields


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Fields:
    """Merge two tables; ``over`` takes precedence.

    >>> merged({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"c": 3}, "d": [4]})
    {'a': {'b': 1, 'c': 3}, 'd': [4]}
    """
    out = dict(base)
    for key, value in over.items():
        before = out.get(key)
        out[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return out
