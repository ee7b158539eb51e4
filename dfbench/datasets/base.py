"""The common part of all adapters: collect media, record what is excluded, apply filters, build the scan."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dfbench.datasets.adapter import CountKey, Filters, Scan, count_key, make_filters, missing_of, nested
from dfbench.datasets.label_lists import normal
from dfbench.datasets.tree import entries
from dfbench.errors import DataError, unknown_name
from dfbench.schema.media import Media
from dfbench.text import path_text

NOT_A_CLIP = "not the name of a clip"
SECOND_FILE = "a second file of the same clip"
BAD_NAME = "a name with '#', a backslash or bytes that are not UTF-8, which ids cannot contain"
NOT_LISTED = "not named in the label file"
UNLABELLED = "without a label in the label file"
_NOT_TEXT = re.compile("[\udc80-\udcff]")  # how Python represents bytes of names that are not valid text
_BAD = re.compile("[#\\\\\udc80-\udcff]")
_TEXTS = (
    *("subset", "manipulation", "name", "scene_group", "class_name"),
    *("identity_target", "identity_source", "base_media_id", "source_media_id"),
)
_TEXTS_OF = attrgetter(*_TEXTS)


@dataclass
class Findings:
    """What has been collected while a tree is read.

    Attributes:
        tree: the folder that paths are relative to.
        media: media id -> media.
        expected: published counts, before filters.
        excluded: reason -> paths found but not used.
        warnings: sentences for the user.
    """

    tree: Path
    media: dict[str, Media] = field(default_factory=dict)
    expected: dict[CountKey, int] = field(default_factory=dict)
    excluded: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, media: Media) -> bool:
        """Add a medium; if its name is unsuitable or already used, record it as excluded and return False.

        Its ids are in Unicode's composed normal form, so that they do not depend on the file system; its path is not.
        """
        media = _normalised(media)
        if _BAD.search(f"{media.subset}{media.manipulation}{media.name}") or _NOT_TEXT.search(media.path):
            self.exclude(BAD_NAME, media.path)
            return False
        if self.media.setdefault(media.media_id, media) is not media:
            self.exclude(SECOND_FILE, media.path)
            return False
        return True

    def exclude(self, reason: str, path: str) -> None:
        """Record a file that was found but is not used."""
        self.excluded.setdefault(reason, []).append(path_text(path))  # names on disk need not be valid text

    def expect(self, key: CountKey, number: int) -> None:
        """Add to the published counts."""
        self.expected[key] = self.expected.get(key, 0) + number

    def warn(self, sentence: str) -> None:
        """Add a warning."""
        self.warnings.append(path_text(sentence))


@dataclass(frozen=True)
class DataSetAdapter(ABC):
    """Base class of the adapters: everything except the reading of the tree.

    Attributes:
        name: command-line name, the first part of every media id.
        title: full name.
        licence: licence note.
        access: how to get the data.
        citation: the publication to cite.
        layout: description of the tree, for hints.
        subsets: subsets it can have; empty: any that are found.
        manipulations: methods it can have; empty: any that are found.
        subset_aliases: other spellings of subsets.
        evidence: what of the layout, numbers and names was read in the owners' files (verified), is stated by others
            (quoted), or is unknown (open).
        real_classes: names that the class of its reals can have, see :attr:`dfbench.schema.media.Media.class_name`.
    """

    name: str
    title: str
    licence: str
    access: str
    citation: str
    layout: str
    subsets: tuple[str, ...] = ("all",)
    manipulations: tuple[str, ...] = ()
    subset_aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    real_classes: tuple[str, ...] = ("real",)
    evidence: str = ""

    @abstractmethod
    def read(self, root: Path) -> Findings:
        """Collect everything below ``root``, without filters.

        Raises:
            DataError: there is no tree of this data set, or it is inconsistent.
        """

    def source_of(self, subset: str, name: str) -> str | None:
        """Return the media id of the clip that provided identity or expression of a fake; by default not known.

        Args:
            subset: of the fake.
            name: of the fake, without the extension.
        """
        return None

    def expect_requested(self, findings: Findings, filters: Filters) -> None:  # noqa: B027
        """Add published counts that apply only if a filter names them; by default none."""

    def filters(
        self, subsets: Sequence[str] = (), splits: Sequence[str] = (), manipulations: Sequence[str] = ()
    ) -> Filters:
        """Check filter values; if a data set can have any names, :meth:`scan` checks them against those found."""
        known_subsets = self.subsets or tuple(subsets)
        known_methods = self.manipulations or tuple(manipulations)
        return make_filters(
            self.name, known_subsets, known_methods, subsets, splits, manipulations, self.subset_aliases
        )

    def scan(
        self,
        root: Path,
        subsets: Sequence[str] = (),
        splits: Sequence[str] = (),
        manipulations: Sequence[str] = (),
    ) -> Scan:
        """List the media of the tree; see :class:`dfbench.datasets.adapter.Adapter`."""
        filters = self.filters(subsets, splits, manipulations)
        root = Path(root)
        if not root.is_dir():
            what = "a file, not a folder" if root.is_file() else "not there"
            raise DataError(f"no folder {root}: it is {what}", self.layout)
        findings = self.read(root)
        if unusable := findings.excluded.get(BAD_NAME):
            findings.warn(
                f"{len(unusable)} files are not used, because their names contain '#', a backslash or bytes that are "
                f"not UTF-8: {some(sorted(unusable))}; rename them, for example with convmv -f gbk -t utf-8"
            )
        self._check_names(filters, findings)
        kept = [m for m in findings.media.values() if filters.keeps(count_key(m))]
        if not kept:
            raise self._nothing(filters, findings)
        self.expect_requested(findings, filters)
        expected = nested((key, n) for key, n in findings.expected.items() if filters.keeps(key))
        media = tuple(sorted(kept, key=lambda m: (m.scene_group, m.media_id)))
        return Scan(
            root=findings.tree,
            media=media,
            expected=expected,
            missing=missing_of(expected, media),
            excluded={reason: tuple(sorted(paths)) for reason, paths in sorted(findings.excluded.items())},
            warnings=tuple(findings.warnings),
        )

    def no_tree(self, root: Path) -> DataError:
        """Return the error for a root that does not contain this data set: what it contains, and what was expected."""
        return DataError(f"no {self.title} tree in {root}, which contains {contents_of(root)}", self.layout)

    def _check_names(self, filters: Filters, findings: Findings) -> None:
        requested = (("subset", filters.subsets), ("manipulation", filters.manipulations))
        for kind, names in requested:
            if findings.media and not getattr(self, f"{kind}s"):
                found = {getattr(m, kind) for m in findings.media.values()}
                for name in names:
                    if name not in found and name != "real":
                        raise unknown_name(f"{kind} in {findings.tree}", name, found)

    def _nothing(self, filters: Filters, findings: Findings) -> DataError:
        chosen = ", ".join((*filters.subsets, *filters.splits, *filters.manipulations))
        message = f"no media of {self.title} found in {findings.tree}" + (f" for {chosen}" if chosen else "")
        reasons = "; ".join(f"{len(paths)} excluded: {reason}" for reason, paths in sorted(findings.excluded.items()))
        return DataError(message + (f" ({reasons})" if reasons else ""), self.layout)


def _normalised(media: Media) -> Media:
    texts = _TEXTS_OF(media)
    if "".join(filter(None, texts)).isascii():  # a million media are looked at
        return media
    changed: dict[str, Any] = {name: normal(text) for name, text in zip(_TEXTS, texts, strict=True) if text}
    return replace(media, **changed)


def contents_of(folder: Path, most: int = 5) -> str:
    """Return the first few names in a folder and in its first subfolder as text, folders first."""

    def names(where: Path) -> list[str]:
        try:
            listing = entries(where)
        except DataError:
            return []
        listing.sort(key=lambda entry: not entry.is_dir())
        return [f"{entry.name}/" if entry.is_dir() else entry.name for entry in listing]

    found = names(folder)
    text = some(found, most) if found else "nothing"
    inner = names(folder / found[0]) if found and found[0].endswith("/") else []
    return path_text(f"{text} ({found[0]} contains {some(inner)})" if inner else text)


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the first few of many names as text.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
