"""Face swaps made by DiffSwap, as still images: the folder ``DiffSwap/`` of DiffusionFace.

DiffSwap itself is a method without a data set. Images known by its name are most likely those of DiffusionFace
(arXiv 2403.18471), made from CelebA-HQ. It is not documented which images papers tested on, and the reals are not part
of the archive. Reals are therefore read from a folder ``real`` that the user puts beside it, and never guessed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import DataSetAdapter, Findings
from dfbench.datasets.label_lists import normal, posix
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, stem, walk
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import child
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media

METHOD = "DiffSwap"
CSV_NAME = "target_source.csv"
NO_IMAGE = "not the name of an image"
_IMAGE_COLUMNS = ("image", "file", "filename", "name", "path", "result", "swap", "output")


@dataclass(frozen=True)
class SwappedFaces:
    """The two faces that an image was made from; names without extension."""

    target: str
    source: str


class DiffSwap(DataSetAdapter):
    """Adapter for DiffSwap images: all ``test``; a scene group is a target image and everything made from it."""

    def read(self, root: Path) -> Findings:
        """Read ``DiffSwap/`` and, if it exists, ``real/``."""
        tree = find_tree(root, lambda folder: child(folder, METHOD) is not None, self.title)
        folder = child(tree, METHOD) if tree is not None else None
        if tree is None or folder is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        file = find_file(folder, CSV_NAME) or find_file(tree, CSV_NAME)
        origins = _read_origins(file, findings) if file is not None else {}
        reals = child(tree, "real")
        real_names = self._images(findings, reals, {}, frozenset()) if reals is not None else frozenset()
        fake_names = self._images(findings, folder, origins, real_names)
        unused = len([name for name in origins if name.rpartition("/")[2] not in fake_names])
        if file is not None and unused:
            findings.warn(f"the images of {unused} rows of {file.name} were not found")
        if reals is None:
            findings.warn(
                "there are no reals, which the archive does not contain. Put the CelebA-HQ images that you compare "
                f"with, or a link to them, into {tree.name}/real; AUC is undefined for a single class"
            )
        return findings

    def _images(
        self, findings: Findings, folder: Path, origins: dict[str, SwappedFaces], reals: frozenset[str]
    ) -> frozenset[str]:
        where = folder.relative_to(findings.tree).as_posix()
        label = FAKE if folder.name.casefold() == METHOD.casefold() else REAL
        names = set()
        for inside, files in walk(folder):
            for entry in files:
                if entry.name.casefold() == CSV_NAME:
                    continue
                path = join(join(where, inside), entry.name)
                if not may_be_media(entry.name):
                    findings.exclude(NO_IMAGE, path)
                    continue
                name = normal(join(inside, stem(entry.name)))
                origin = origins.get(name, origins.get(normal(stem(entry.name))))
                findings.add(self._media(name, label, path, origin, reals))
                names.add(normal(stem(entry.name)))
        return frozenset(names)

    def _media(self, name: str, label: int, path: str, origin: SwappedFaces | None, reals: frozenset[str]) -> Media:
        manipulation = METHOD if label == FAKE else "real"
        source = origin.source if origin is not None else None
        base = origin.target if origin is not None else (name if label == REAL else None)
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=manipulation,
            name=name,
            label=label,
            split="test",
            scene_group=f"{self.name}/{base}" if base is not None else f"{self.name}/{METHOD}/{name}",
            path=path,
            identity_target=base,
            identity_source=source,
            base_media_id=f"{self.name}/all/real/{base}" if label == FAKE and base in reals else None,
            kind="image",
            source_media_id=f"{self.name}/all/real/{source}" if label == FAKE and source in reals else None,
        )


def _read_origins(file: Path, findings: Findings) -> dict[str, SwappedFaces]:
    """Return name of a swapped image -> its two faces, if the header identifies the columns."""
    rows = list(csv_rows(file, ()))
    header = list(rows[0][1]) if rows else []
    target, source = (next((c for c in header if word in c), None) for word in ("target", "source"))
    image = next((c for c in header if c not in (target, source) and c in _IMAGE_COLUMNS), None)
    if target is None or source is None or target == source:
        findings.warn(
            f"{file.name} was not used: its header has no columns for target and source: {', '.join(header) or 'none'}"
        )
        return {}
    out: dict[str, SwappedFaces] = {}
    for line, row in rows:
        origin = SwappedFaces(_name(row[target]), _name(row[source]))
        key = _name(row[image]) if image else f"{origin.target}_{origin.source}"
        if out.setdefault(key, origin) != origin:
            raise DataError(f"{file}, line {line}: {key} has other faces in an earlier line")
    return out


def _name(text: str) -> str:
    return stem(os.path.basename(posix(text)))


DIFFSWAP = DiffSwap(
    name="diffswap",
    title="DiffSwap images (of DiffusionFace)",
    licence="research only, see DiffusionFace and CelebA-HQ; the crops fall under the same terms",
    access="archive DiffSwap.tar at https://github.com/Rapisurazurite/DiffFace; CelebA-HQ from its authors",
    citation="Chen et al., DiffusionFace, arXiv 2403.18471, 2024; Zhao et al., DiffSwap, CVPR 2023",
    layout=f"the layout is DiffSwap/*.png, optionally {CSV_NAME}, and real/ with the real images you compare with",
    manipulations=(METHOD,),
    evidence="quoted: archive and its CSV; open: which images papers used, the reals",
)
