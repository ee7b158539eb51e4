"""Read the requested frames of one scene group's media: video files, still images, folders or archives of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dfbench.datasets.archives import ArchiveImages, list_images, load_images
from dfbench.errors import DataError, DfbenchError, SetupError
from dfbench.media.facts import MediaFacts, file_facts, sequence_facts
from dfbench.media.frames import Chooser, FrameCallback, Reading, StreamFacts, T
from dfbench.media.limits import is_machine_fault
from dfbench.media.reader import is_still, read
from dfbench.media.sequence import FolderImages, ImageSource, read_sequence
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media, sequence_order, split_archive_path
from dfbench.text import terminal_text

VANISHED = "the file vanished after planning"
GIVEN_UP = "reading it ended the worker process twice: it crashes the decoder"
TIME_LIMIT = "time limit"


class TimeLimitError(DataError):
    """Raised in the middle of reading a clip that makes no progress, where no other process can be ended."""

    def __init__(self, message: str = TIME_LIMIT, hint: str = "") -> None:
        super().__init__(message, hint)


class Unreadable(Exception):  # noqa: N818 - an outcome that becomes rows
    """Raised for a medium of which no frame can be read.

    Attributes:
        status: ``missing_media`` or ``decode_error``.
        reason: the reason, without paths of this machine.
        image: whether the file is a still image by its content, so that it would have had one frame.
    """

    def __init__(self, status: str, reason: str, image: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.image = image


class SceneReader:
    """Reads the media of one scene group.

    Args:
        jobs: the media. Image sequences inside one archive are read in two passes over it, whatever their number: one
            for the file names, one for the images that the frame rules request.
        root: folder that media paths are relative to.
        decoder: name of the video decoder.
        given_up: ids of media that are not read, and why.
        on_open: called with a medium's id before it is opened.
    """

    def __init__(
        self,
        jobs: Sequence[MediaJob],
        root: Path,
        decoder: str,
        given_up: Mapping[str, str] = MappingProxyType({}),
        on_open: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._jobs = jobs
        self._root = root
        self._decoder = decoder
        self._given_up = given_up
        self._on_open = on_open
        self._archives: dict[str, dict[str, ArchiveImages]] = {}
        self._streams: dict[str, StreamFacts | None] = {}  # media id -> what was learnt while it was read

    def read(self, media: Media, choose: Chooser, callback: FrameCallback[T]) -> Reading[T]:
        """Call ``callback`` with the requested frames; if none is requested, only frame count and size are read.

        Raises:
            Unreadable: no frame can be read.
            MemoryError: memory ran out.
        """
        if media.media_id in self._given_up:
            raise Unreadable("decode_error", self._given_up[media.media_id])
        self._on_open(media.media_id)
        try:
            inside = split_archive_path(media.path) if media.kind == "sequence" else None
            if inside is not None:
                return read_sequence(self._archived(*inside), choose, media.path, callback)
            path = self._root / media.path
            if media.kind == "sequence" and path.is_dir():
                return read_sequence(FolderImages(path), choose, media.path, callback)
            if media.kind == "sequence" or not path.is_file():
                raise Unreadable("missing_media", VANISHED)
            reading = read(path, choose, self._decoder, callback)
            self._streams[media.media_id] = reading.stream
            return reading
        except SetupError:  # something lacks on this machine, whatever the file
            raise
        except DfbenchError as error:
            if is_machine_fault(error):
                raise MemoryError(error.message) from error
            # Rows must not contain paths of this machine.
            full, short, root = map(terminal_text, (str(self._root / media.path), media.path, f"{self._root}/"))
            text = error.message.replace(full, short).replace(root, "")
            raise Unreadable("decode_error", text, is_still(self._root / media.path)) from error
        except OSError as error:
            if is_machine_fault(error):
                raise MemoryError(str(error)) from error
            raise Unreadable("decode_error", error.strerror or type(error).__name__) from error

    def read_requested(self, media: Media, choose: Chooser, callback: FrameCallback[T]) -> Reading[T]:
        """As :meth:`read`, for the frames that become rows.

        Raises:
            Unreadable: no frame can be read, or none is requested.
        """
        reading = self.read(media, choose, callback)
        if not (reading.results or reading.errors):
            raise Unreadable("decode_error", "no frame decodes")
        return reading

    def facts(self, media: Media, frames: Sequence[int]) -> MediaFacts | None:
        """Return what is known of a medium beside its frames; None if it cannot be read.

        Args:
            media: the medium.
            frames: of a sequence the frames that were requested; others are not read.

        Raises:
            MemoryError: memory ran out.
        """
        self._on_open(media.media_id)
        opens = media.media_id not in self._given_up
        path = self._root / media.path
        try:
            if media.kind == "sequence" and split_archive_path(media.path) is None and not path.is_dir():
                return None
            if media.kind == "sequence":
                images = self._images(media)
                names = sorted(images.names(), key=sequence_order)
                wanted = [names[n] for n in sorted({0, *frames}) if 0 <= n < len(names)]
                if not opens:
                    return None
                return sequence_facts(pair for name in wanted for pair in images.load([name]).items())
            return file_facts(path, opens, self._streams.get(media.media_id)) if path.is_file() else None
        except Exception as error:
            # Whatever it is, the rows of a medium that was read do not depend on it.
            if is_machine_fault(error):
                raise MemoryError(str(error)) from error
            return None

    def _images(self, media: Media) -> ImageSource:
        inside = split_archive_path(media.path)
        return FolderImages(self._root / media.path) if inside is None else self._archived(*inside)

    def _archived(self, archive: str, folder: str) -> ImageSource:
        path = self._root / archive
        if not path.is_file():
            raise Unreadable("missing_media", VANISHED)
        if archive not in self._archives:
            jobs = {}
            for job in self._jobs:
                inside = split_archive_path(job.media.path) if job.media.kind == "sequence" else None
                if inside is not None and inside[0] == archive:
                    jobs[inside[1]] = job
            names = list_images(path, list(jobs))
            requested = {name: _requested(names[name], job) for name, job in jobs.items()}
            loaded = load_images(path, requested)
            self._archives[archive] = {name: ArchiveImages(names[name], loaded[name]) for name in jobs}
        return self._archives[archive][folder]


def _requested(names: Sequence[str], job: MediaJob) -> list[str]:
    ordered = sorted(names, key=sequence_order)
    chosen = job.sampling.indices(len(ordered), job.media.media_id)
    # The first image gives the size if no other is requested.
    return [ordered[i] for i in sorted({0, *chosen}) if i < len(ordered)]
