"""FaceForensics++: the tree of the official download script at raw (c0), c23 and c40, and the flat copy at c23.

Sources: the FaceForensics repository's ``dataset/README.md`` (tree, names: the first id of a fake gives the scene, the
second the face or expression) and ``dataset/splits`` (pairs). DeepFakeDetection, which is distributed in the same
tree, is a separate data set and is not read here. The embedded data set mini has the same tree and its own pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfbench.datasets.adapter import Filters, label_name
from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings
from dfbench.datasets.ffpp_flat import SUBSET, compare_csv, find_flat, flat_clips, other_folders
from dfbench.datasets.ffpp_pairs import ClipName, ClipPairs, official_pairs, pairs_from_json, parse_name
from dfbench.datasets.frame_folders import FrameFolder, add_frames, find_frames, warn_of_frames
from dfbench.datasets.layout import stem
from dfbench.datasets.tree import child, descend, entries, locate, subfolders
from dfbench.schema.media import FAKE, REAL, SPLITS, Media

SUBSETS = ("raw", "c23", "c40")
CORE_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
LATER_METHODS = ("FaceShifter",)  # added to the data set in 2020; expected only if it is found or requested
_FOLDERS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
_ORIGINALS = "original_sequences"
_FORGED = "manipulated_sequences"
_OTHER_SETS = {"deepfakedetection"}  # another data set in the same tree
_LAYOUT = (
    "the layout is original_sequences/youtube/c23/videos/000.mp4 and "
    "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4 (c23, c40, raw or c0); "
    "give the folder that holds both, or its parent; or the flat copy: original/000.mp4, Deepfakes/000_003.mp4"
)


@dataclass(frozen=True)
class FaceForensicsTree(DataSetAdapter):
    """Adapter for a data set in FaceForensics++'s tree; a scene group is a pair of clips with all its fakes.

    Attributes:
        load_pairs: returns the pairs, given the tree's root.
    """

    load_pairs: Callable[[Path], ClipPairs] = lambda tree: official_pairs()

    def read(self, root: Path) -> Findings:
        """Read the official tree or, if there is none, the flat copy."""
        tree = locate(root, (_ORIGINALS, _FORGED), self.title)
        if tree is None:
            return self._read_flat(root)
        pairs = self.load_pairs(tree)
        findings = Findings(tree)
        found: set[tuple[str, str]] = set()
        frames: list[FrameFolder] = []
        sources = [("real", (_ORIGINALS, "youtube")), *((m, (_FORGED, m)) for m in self.manipulations)]
        masks = {m: mask_videos(tree, descend(tree, *names)) for m, names in sources if m != "real"}
        for subset in SUBSETS:
            for manipulation, names in sources:
                for name in _FOLDERS[subset]:
                    folder = descend(tree, *names, name, "videos")
                    if folder is not None:
                        found.add((subset, manipulation))
                        self._read_folder(findings, folder, subset, manipulation, pairs, masks.get(manipulation, {}))
                    frames += self._read_frames(findings, descend(tree, *names, name), subset, manipulation, pairs)
        warn_of_frames(findings, frames)
        found |= {(m.subset, m.manipulation) for m in findings.media.values()}
        self._expect(findings, {s for s, _ in found}, {m for _, m in found}, pairs)
        known = {m.casefold() for m in self.manipulations} | _OTHER_SETS
        forged = child(tree, _FORGED)
        self._warn_unknown(findings, [n for n in subfolders(forged) if n.casefold() not in known] if forged else [])
        return findings

    def source_of(self, subset: str, name: str) -> str | None:
        """Return the real clip that the second number of a fake's name stands for."""
        clip = parse_name(f"{name}.mp4", real=False)
        return None if clip is None else f"{self.name}/{subset}/real/{clip.source}"

    def expect_requested(self, findings: Findings, filters: Filters) -> None:
        """Expect all clips of every requested subset and method, and warn about subsets that were not found."""
        found = {subset for subset, *_ in findings.expected}
        for subset in filters.subsets:
            if subset not in found:
                findings.warn(f"subset {subset} is not in {findings.tree}")
        methods = {method for *_, method in findings.expected} | set(filters.manipulations)
        self._expect(findings, found | set(filters.subsets), methods, self.load_pairs(findings.tree))

    def _read_folder(
        self,
        findings: Findings,
        folder: Path,
        subset: str,
        manipulation: str,
        pairs: ClipPairs,
        masks: Mapping[str, str],
    ) -> None:
        where = folder.relative_to(findings.tree).as_posix()
        for entry in entries(folder):
            path = f"{where}/{entry.name}"
            clip = parse_name(entry.name, manipulation == "real")
            if clip is None:
                findings.exclude(NOT_A_CLIP, path)
            elif not entry.is_file():
                findings.exclude("not a file", path)
            elif (media := self._media(findings, clip, subset, manipulation, path, pairs)) is not None:
                findings.add(replace(media, mask_path=masks.get(stem(entry.name))))

    def _read_frames(
        self, findings: Findings, folder: Path | None, subset: str, manipulation: str, pairs: ClipPairs
    ) -> list[FrameFolder]:
        """Read folders of frames, if there are no videos."""
        real = manipulation == "real"
        place = find_frames(folder, lambda name: parse_name(name, real) is not None)
        if place is None:
            return []

        def media_of(name: str, path: str) -> Media | None:
            clip = parse_name(name, real)
            return self._media(findings, clip, subset, manipulation, path, pairs) if clip is not None else None

        add_frames(findings, place, media_of)
        return [place]

    def _read_flat(self, root: Path) -> Findings:
        tree = find_flat(root, self.manipulations, self.title)
        if tree is None:
            raise self.no_tree(root)
        pairs = self.load_pairs(tree)
        findings = Findings(tree)
        names, methods = set(), set()
        for clip in flat_clips(tree, self.manipulations, findings.exclude):
            names.add(f"{clip.path.split('/')[0]}/{clip.name.name}".casefold())
            methods.add(clip.manipulation)
            media = self._media(findings, clip.name, SUBSET, clip.manipulation, clip.path, pairs)
            if media is not None:
                findings.add(replace(media, kind=clip.kind))
        self._expect(findings, {SUBSET}, methods, pairs)
        other, unknown = other_folders(tree, self.manipulations)
        for name in other:
            findings.exclude("clips of another data set, read as dfd", name)
        self._warn_unknown(findings, unknown)
        findings.warnings += compare_csv(tree, frozenset(names))
        return findings

    def _media(
        self, findings: Findings, clip: ClipName, subset: str, manipulation: str, path: str, pairs: ClipPairs
    ) -> Media | None:
        real = clip.source is None
        pair = pairs.by_clip.get(clip.target) if clip.source is None else pairs.of_fake(clip.target, clip.source)
        if pair is None:
            reason = "a real clip that is in no pair" if real else "a fake whose two clips are not an official pair"
            findings.exclude(reason, path)
            return None
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=manipulation,
            name=clip.name,
            label=REAL if real else FAKE,
            split=pair.split,
            scene_group=f"{self.name}/{pair.group}",
            path=path,
            identity_target=clip.target,
            identity_source=clip.source,
            base_media_id=None if real else f"{self.name}/{subset}/real/{clip.target}",
            source_media_id=None if real else self.source_of(subset, clip.name),
        )

    def _expect(self, findings: Findings, subsets: Iterable[str], methods: Iterable[str], pairs: ClipPairs) -> None:
        """Expect the reals and the fakes of the core methods and of the given ones, in the published order."""
        chosen = [m for m in self.manipulations if m in CORE_METHODS or m in methods]
        clips = {split: 2 * sum(p.split == split for p in pairs.pairs) for split in SPLITS}
        findings.expected = {
            (subset, split, label_name(REAL if method == "real" else FAKE), method): clips[split]
            for subset in SUBSETS
            if subset in subsets
            for split in SPLITS
            for method in ("real", *chosen)
        }

    def _warn_unknown(self, findings: Findings, folders: list[str]) -> None:
        if folders:
            findings.warn(f"folders that are not methods of {self.title} were skipped: {', '.join(folders)}")


def mask_videos(tree: Path, method: Path | None) -> dict[str, str]:
    """Return the mask videos of a method's fakes: name of the fake -> POSIX path relative to the tree.

    They are white where a fake was manipulated, can be shorter than it, and have no compression level: one serves every
    subset. FaceForensics++ and DeepFakeDetection keep them in ``METHOD/masks/videos/NAME.mp4``.
    """
    folder = None if method is None else descend(method, "masks", "videos")
    if folder is None:
        return {}
    where = folder.relative_to(tree).as_posix()
    return {e.name[:-4]: f"{where}/{e.name}" for e in entries(folder) if e.name.endswith(".mp4") and e.is_file()}


FFPP = FaceForensicsTree(
    name="ff++",
    title="FaceForensics++",
    licence="FaceForensics Terms of Use (research, no redistribution); the crops fall under the same terms",
    access="request form at https://github.com/ondyari/FaceForensics; the download script is mailed on approval",
    citation="Roessler et al., FaceForensics++: Learning to Detect Manipulated Facial Images, ICCV 2019",
    layout=_LAYOUT,
    subsets=SUBSETS,
    manipulations=CORE_METHODS + LATER_METHODS,
    subset_aliases={"c0": "raw"},
    evidence="verified: official tree, names, numbers, split; quoted: flat copy, folders of frames",
)
MINI = FaceForensicsTree(
    name="mini",
    title="mini (invented faces)",
    licence=(
        "generated; the face model derives from public-domain portraits, see NOTICE. "
        "Nobody's photo, no stand-in for real forgeries"
    ),
    access="generated by: dfbench prepare mini",
    citation="dfbench, embedded data set of invented faces",
    layout=_LAYOUT,
    subsets=SUBSETS,
    manipulations=CORE_METHODS,
    subset_aliases={"c0": "raw"},
    load_pairs=pairs_from_json,
)
