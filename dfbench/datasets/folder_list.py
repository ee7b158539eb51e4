"""The list of a user-defined data set, ``media.csv``: path and label of every medium, and what else is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import Findings, some
from dfbench.datasets.folder_labels import EXACT, parse_folders
from dfbench.datasets.label_lists import given, normal, posix, read_label
from dfbench.datasets.layout import split_of
from dfbench.datasets.text_files import csv_rows
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Kind, Split
from dfbench.untrusted import is_relative

REQUIRED = ("path", "label")
_OF_FAKES = ("base", "source", "mask")
COLUMNS = (
    *REQUIRED,
    *("split", "group", "manipulation", "base", "source", "mask", "identity_target", "identity_source"),
)


@dataclass(frozen=True)
class ListedMedium:
    """One row of the list.

    Attributes:
        line: its line.
        path: path in normal form.
        label: 0 real, 1 fake; None if the row leaves it open.
        split: as given, else by a folder, else ``test``.
        group: as given, else None.
        manipulation: as given, else by a folder, else None.
        base: path of the real clip that a fake was made from, a row of the list.
        source: path of the clip whose face or motion was used, a row of the list.
        mask: path of the mask of a fake in normal form.
        identity_target: the person shown, if given.
        identity_source: the person whose face or motion was used, if given.
    """

    line: int
    path: str
    label: int | None
    split: Split
    group: str | None
    manipulation: str | None
    base: str | None
    source: str | None
    mask: str | None
    identity_target: str | None
    identity_source: str | None


def read_list(findings: Findings, file: Path, kinds: Mapping[str, Kind]) -> dict[str, ListedMedium]:
    """Return the rows of a list by path, in their order.

    Args:
        findings: gets warnings.
        file: the list.
        kinds: path in normal form -> kind of the medium, for all that were found.

    Raises:
        DataError: a row contradicts itself, its folder or another row.
    """
    rows: dict[str, ListedMedium] = {}
    unknown: set[str] = set()
    for line, row in csv_rows(file, REQUIRED):
        where = f"{file}, line {line}"
        unknown |= {name for name in set(row) - set(COLUMNS) if name}
        path = _path(row["path"], where, findings.tree)
        if path in rows:
            raise DataError(f"{where}: {path} is a duplicate of line {rows[path].line}")
        folders = f"{path}/" if kinds.get(path) == "sequence" else path
        rows[path] = _row(row, path, folders, line, where, findings.tree)
    _check(rows, file)
    if unknown:
        findings.warn(f"unknown columns of {file.name} were ignored: {', '.join(sorted(unknown))}")
    absent = [path for path in rows if path not in kinds]
    if absent:
        findings.warn(f"{len(absent)} paths of {file.name} were not found: {some(absent)}")
    return rows


def _path(text: str, where: str, tree: Path) -> str:
    path = posix(text)
    if not is_relative(path):
        raise DataError(f"{where}: {text!r} is not a path below {tree}", "give relative paths")
    return path


def _row(row: Mapping[str, str], path: str, folders: str, line: int, where: str, tree: Path) -> ListedMedium:
    told = parse_folders(folders, where, EXACT)
    label = None if given(row["label"]) is None else read_label(row["label"], where)
    if None not in (label, told.label) and told.label != label:
        raise DataError(
            f"{where}: {path} is labelled {row['label']!r}, which contradicts its folder", "0 is real and 1 is fake"
        )
    word = given(row.get("split"))
    split = split_of(word) if word else (told.split or "test")
    if split is None:
        raise DataError(f"{where}: not a split: {word!r}", "splits are train, val and test")
    method = given(row.get("manipulation"))
    if method and not {"/", "\\", "#"}.isdisjoint(method):
        raise DataError(
            f"{where}: not a manipulation: {method!r}", "names must not contain slashes, backslashes or '#'"
        )
    if method and label is not None and (method == "real") != (label == REAL):
        raise DataError(f"{where}: manipulation {method!r} contradicts label {row['label']!r}")
    paths = {name: _path(text, where, tree) if (text := given(row.get(name))) else None for name in _OF_FAKES}
    named = [name for name, text in paths.items() if text]
    if named and label == REAL:
        raise DataError(f"{where}: {path} is real, but names a {named[0]}", "only fakes have one")
    group = given(row.get("group"))
    return ListedMedium(
        line=line,
        path=path,
        label=label,
        split=cast(Split, split),
        group=normal(group) if group else None,
        manipulation=method or told.manipulation,
        base=paths["base"],
        source=paths["source"],
        mask=paths["mask"],
        identity_target=given(row.get("identity_target")),
        identity_source=given(row.get("identity_source")),
    )


def _check(rows: Mapping[str, ListedMedium], file: Path) -> None:
    splits: dict[str, ListedMedium] = {}
    for medium in rows.values():
        where = f"{file}, line {medium.line}"
        if medium.source is not None and medium.source not in rows:
            raise DataError(
                f"{where}: the source {medium.source!r} is not a row of the list",
                "write the path as in its row; for a person use the column identity_source",
            )
        base = rows.get(medium.base) if medium.base is not None else None
        if medium.base is not None and (base is None or base.label == FAKE):
            what = "is not a row of the list" if base is None else f"is fake in line {base.line}"
            raise DataError(
                f"{where}: the base {medium.base!r} {what}", "write the path of the real clip as in its row"
            )
        if base is not None and medium.group is None and base.split != medium.split:
            raise DataError(
                f"{where}: {medium.path} is {medium.split}, but its base in line {base.line} is {base.split}",
                "an original and its fakes must be in one split",
            )
        first = splits.setdefault(medium.group, medium) if medium.group is not None else medium
        if first.split != medium.split:
            raise DataError(
                f"{where}: group {medium.group!r} is {medium.split}, but {first.split} in line {first.line}",
                "a group must be in one split",
            )
