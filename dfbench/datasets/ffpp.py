"""FaceForensics++: the tree of the official download script, at raw (c0), c23 and c40; and the flat copy at c23.

Sources: the FaceForensics repository's ``dataset/README.md`` (tree, names: the first id of a fake gives the
scene, the second the face or expression) and ``dataset/splits`` (pairs). DeepFakeDetection, which is distributed
in the same tree, is a data set of its own and not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfbench.datasets.adapter import Counts, Scan
from dfbench.datasets.counts import missing_of, nested
from dfbench.datasets.ffpp_flat import SUBSET, compare_csv, find_flat, flat_clips, other_folders
from dfbench.datasets.ffpp_names import Found, parse_name
from dfbench.datasets.filters import Filters, make_filters
from dfbench.datasets.pairs import Pair, Pairs, official_pairs
from dfbench.datasets.tree import child, descend, entries, locate, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, SPLITS, Media

SUBSETS = ("raw", "c23", "c40")
CORE_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
LATER_METHODS = ("FaceShifter",)  # added to the data set in 2020; expected only where it is there
_FOLDERS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
_ORIGINALS = "original_sequences"
_FORGED = "manipulated_sequences"
_OTHER_SETS = {"deepfakedetection"}  # lies in the same tree, read by a data set of its own
LAYOUT = (
    "the layout is original_sequences/youtube/c23/videos/000.mp4 and "
    "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4 (c23, c40, raw or c0); "
    "give the folder that holds both, or its parent; or the flat copy: original/000.mp4, Deepfakes/000_003.mp4"
)


@dataclass
class _Finds:
    """What one scan has gathered so far."""

    media: dict[str, Media] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    present: set[tuple[str, str]] = field(default_factory=set)

    def leave_out(self, reason: str, path: str) -> None:
        # Names on disk may be no valid text; the list of them must be.
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.left_out.setdefault(reason, []).append(shown)


@dataclass(frozen=True)
class FaceForensicsTree:
    """Adapter for any data set in FaceForensics++'s tree.

    Attributes:
        name: command-line name, first part of every media id.
        title: full name.
        licence: licence note.
        access: how to get it.
        citation: what to cite.
        load_pairs: the pairs, given the tree's root.
        manipulations: the four methods of the paper, and FaceShifter, which was added later.
    """

    name: str
    title: str
    licence: str
    access: str
    citation: str
    load_pairs: Callable[[Path], Pairs]
    manipulations: tuple[str, ...] = CORE_METHODS + LATER_METHODS

    @property
    def subsets(self) -> tuple[str, ...]:
        """Compression levels; ``c0`` is read as ``raw``."""
        return SUBSETS

    def filters(
        self, subsets: Sequence[str] = (), splits: Sequence[str] = (), manipulations: Sequence[str] = ()
    ) -> Filters:
        """Check filter values; ``c0`` is read as ``raw``."""
        known = (self.name, SUBSETS, self.manipulations)
        return make_filters(*known, subsets, splits, manipulations, {"c0": "raw"})

    def scan(
        self,
        root: Path,
        subsets: Sequence[str] = (),
        splits: Sequence[str] = (),
        manipulations: Sequence[str] = (),
    ) -> Scan:
        """List the media of the tree; see :class:`dfbench.datasets.adapter.Adapter`."""
        filters = self.filters(subsets, splits, manipulations)
        tree = locate(Path(root), (_ORIGINALS, _FORGED), self.title)
        if tree is None:
            return self._scan_flat(Path(root), filters)
        pairs = self.load_pairs(tree)
        finds = _Finds()
        for subset in SUBSETS:
            if filters.keeps_subset(subset):
                self._read_subset(tree, subset, pairs, filters, finds)
        return self._scan_of(tree, pairs, filters, finds, self._warnings(tree, filters, finds))

    def _scan_flat(self, root: Path, filters: Filters) -> Scan:
        tree = find_flat(root, self.manipulations, self.title)
        if tree is None:
            raise DataError(f"no {self.title} tree in {root}", LAYOUT)
        pairs = self.load_pairs(tree)
        finds = _Finds()
        there = set()
        for clip in flat_clips(tree, self.manipulations, finds.leave_out):
            pair = self._pair_of(clip.found, pairs, clip.path, finds)
            there.add(f"{clip.path.split('/')[0]}/{clip.found.name}".casefold())
            kept = filters.keeps_subset(SUBSET) and filters.keeps_manipulation(clip.manipulation)
            finds.present.add((SUBSET, clip.manipulation))
            if pair is not None and kept and filters.keeps_split(pair.split):
                media = self._media(clip.found, pair, SUBSET, clip.manipulation, clip.path)
                self._add(replace(media, kind=clip.kind), finds)
        other, strange = other_folders(tree, self.manipulations)
        for name in other:
            finds.leave_out("clips of another data set, read as dfd", name)
        warnings = [
            f"subset {s} is not in {tree}, which is the flat copy at c23" for s in filters.subsets if s != SUBSET
        ]
        if strange:
            warnings.append(f"folders that are none of {self.title}'s methods were not read: {', '.join(strange)}")
        warnings += compare_csv(tree, frozenset(there))
        return self._scan_of(tree, pairs, filters, finds, tuple(warnings))

    def _scan_of(self, tree: Path, pairs: Pairs, filters: Filters, finds: _Finds, warnings: tuple[str, ...]) -> Scan:
        if not finds.media:
            chosen = ", ".join((*filters.subsets, *filters.splits, *filters.manipulations))
            raise DataError(f"no clip of {self.title} found in {tree}" + (f" for {chosen}" if chosen else ""), LAYOUT)
        media = tuple(sorted(finds.media.values(), key=lambda m: (m.scene_group, m.media_id)))
        expected = self._expected(pairs, filters, finds)
        return Scan(
            root=tree,
            media=media,
            expected=expected,
            missing=missing_of(expected, media),
            left_out={reason: tuple(paths) for reason, paths in sorted(finds.left_out.items())},
            warnings=warnings,
        )

    def _read_subset(self, tree: Path, subset: str, pairs: Pairs, filters: Filters, finds: _Finds) -> None:
        sources = [("real", (_ORIGINALS, "youtube"))]
        sources += [(m, (_FORGED, m)) for m in self.manipulations if filters.keeps_manipulation(m)]
        for manipulation, names in sources:
            for folder in _FOLDERS[subset]:
                place = descend(tree, *names, folder, "videos")
                if place is None:
                    continue
                finds.present.add((subset, manipulation))
                for path, found in _names_in(place, tree, manipulation == "real", finds):
                    pair = self._pair_of(found, pairs, path, finds)
                    if pair is not None and filters.keeps_split(pair.split):
                        self._add(self._media(found, pair, subset, manipulation, path), finds)

    def _pair_of(self, found: Found, pairs: Pairs, path: str, finds: _Finds) -> Pair | None:
        if found.source is None:
            pair = pairs.by_clip.get(found.target)
            if pair is None:
                finds.leave_out("a real clip that is in no pair", path)
            return pair
        pair = pairs.of_fake(found.target, found.source)
        if pair is None:
            finds.leave_out("a fake whose two clips are not an official pair", path)
        return pair

    def _media(self, found: Found, pair: Pair, subset: str, manipulation: str, path: str) -> Media:
        base = f"{self.name}/{subset}/real/{found.target}"
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=manipulation,
            name=found.name,
            label=REAL if found.source is None else FAKE,
            split=pair.split,
            scene_group=f"{self.name}/{pair.group}",
            path=path,
            identity_target=found.target,
            identity_source=found.source,
            base_media_id=None if found.source is None else base,
        )

    def _add(self, media: Media, finds: _Finds) -> None:
        if media.media_id in finds.media:
            finds.leave_out("a second file of the same clip", media.path)
        else:
            finds.media[media.media_id] = media

    def _expected(self, pairs: Pairs, filters: Filters, finds: _Finds) -> Counts:
        later = {m for _, m in finds.present}
        methods = [m for m in self.manipulations if m in CORE_METHODS or m in later or m in filters.manipulations]
        methods = [m for m in methods if filters.keeps_manipulation(m)]
        here = {s for s, _ in finds.present}
        clips = {split: 2 * sum(p.split == split for p in pairs.pairs) for split in SPLITS}
        return nested(
            ((subset, split, "real" if method == "real" else "fake", method), clips[split])
            for subset in SUBSETS
            if subset in here or subset in filters.subsets
            for split in SPLITS
            if filters.keeps_split(split)
            for method in ("real", *methods)
        )

    def _warnings(self, tree: Path, filters: Filters, finds: _Finds) -> tuple[str, ...]:
        here = {s for s, _ in finds.present}
        out = [f"subset {s} is not in {tree}" for s in filters.subsets if s not in here]
        known = {m.casefold() for m in self.manipulations} | _OTHER_SETS
        forged = child(tree, _FORGED)
        strange = [n for n in subfolders(forged) if n.casefold() not in known] if forged else []
        if strange:
            out.append(f"folders that are none of {self.title}'s methods were not read: {', '.join(strange)}")
        return tuple(out)


def _names_in(folder: Path, tree: Path, real: bool, finds: _Finds) -> Iterator[tuple[str, Found]]:
    where = folder.relative_to(tree).as_posix()
    for entry in entries(folder):
        path = f"{where}/{entry.name}"
        found = parse_name(entry.name, real)
        if found is None:
            finds.leave_out("a name that is not a clip's", path)
        elif not entry.is_file():
            finds.leave_out("not a file", path)
        else:
            yield path, found


FFPP = FaceForensicsTree(
    name="ff++",
    title="FaceForensics++",
    licence="FaceForensics Terms of Use (research, no redistribution); the crops fall under the same terms",
    access="request form at https://github.com/ondyari/FaceForensics; the download script is mailed on approval",
    citation="Roessler et al., FaceForensics++: Learning to Detect Manipulated Facial Images, ICCV 2019",
    load_pairs=lambda _: official_pairs(),
)
