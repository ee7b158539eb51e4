"""Read the wanted frames of any medium: a clip, a picture, a folder of images, or one inside an archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dfbench.datasets.archives import ArchiveImages, list_images, load_images
from dfbench.errors import DfbenchError
from dfbench.media.reader import Chooser, Look, Reading, read
from dfbench.media.sequence import FolderPictures, Pictures, read_sequence
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media, sequence_order, split_archive_path

VANISHED = "the file vanished after planning"


class Unreadable(Exception):  # noqa: N818 - an outcome that becomes rows
    """A medium of which no frame can be had.

    Attributes:
        status: ``missing_media`` or ``decode_error``.
        reason: why, without the machine's paths.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Sources:
    """Reads the media of one scene group.

    Args:
        jobs: the media. Sequences that lie in one archive are read in two passes over it, whatever their number: one
            for the names, one for the images that the rules want.
        root: folder that media paths are relative to.
        decoder: name of the video reader.
        opening: called with a medium's id before it is opened.
    """

    def __init__(
        self, jobs: Sequence[MediaJob], root: Path, decoder: str, opening: Callable[[str], None] = lambda _: None
    ) -> None:
        self._jobs = jobs
        self._root = root
        self._decoder = decoder
        self._opening = opening
        self._archives: dict[str, dict[str, ArchiveImages]] = {}

    def read(self, media: Media, choose: Chooser, look: Look | None = None) -> Reading:
        """The wanted frames, or what a look makes of them; choosing none gives the frame count and size alone.

        Raises:
            Unreadable: no frame can be had.
        """
        self._opening(media.media_id)
        try:
            inside = split_archive_path(media.path) if media.kind == "sequence" else None
            if inside is not None:
                return read_sequence(self._archived(*inside), choose, media.path, look)
            path = self._root / media.path
            if media.kind == "sequence" and path.is_dir():
                return read_sequence(FolderPictures(path), choose, media.path, look)
            if media.kind == "sequence" or not path.is_file():
                raise Unreadable("missing_media", VANISHED)
            return read(path, choose, self._decoder, look)
        except DfbenchError as error:
            # Rows must not hold a machine's paths.
            text = error.message.replace(str(self._root / media.path), media.path).replace(f"{self._root}/", "")
            raise Unreadable("decode_error", text) from error
        except OSError as error:
            raise Unreadable("decode_error", error.strerror or type(error).__name__) from error

    def _archived(self, archive: str, folder: str) -> Pictures:
        path = self._root / archive
        if not path.is_file():
            raise Unreadable("missing_media", VANISHED)
        if archive not in self._archives:
            rules = {}
            for job in self._jobs:
                inside = split_archive_path(job.media.path) if job.media.kind == "sequence" else None
                if inside is not None and inside[0] == archive:
                    rules[inside[1]] = job
            names = list_images(path, list(rules))
            wanted = {f: _wanted(names[f], job) for f, job in rules.items()}
            loaded = load_images(path, wanted)
            self._archives[archive] = {f: ArchiveImages(names[f], loaded[f]) for f in rules}
        return self._archives[archive][folder]


def _wanted(names: Sequence[str], job: MediaJob) -> list[str]:
    ordered = sorted(names, key=sequence_order)
    chosen = job.sampling.indices(len(ordered), job.media.media_id)
    # The first one tells the size where nothing else is wanted.
    return [ordered[i] for i in sorted({0, *chosen}) if i < len(ordered)]
