"""Read the requested frames of one scene group's media: video files, still images, folders or archives of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
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
        self._rules = {job.media.media_id: job.sampling for job in jobs}
        self._names: dict[str, dict[str, Sequence[str]]] = {}
        self._archives: dict[str, dict[str, ArchiveImages]] = {}
        self._streams: dict[str, StreamFacts | None] = {}  # media id -> what was learnt while it was read

    def requested(self, media: Media, count: int, seed_id: str | None = None) -> list[int]:
        """Return the frames that the rule of a medium requests, in ascending order.

        Args:
            media: the medium.
            count: number of its frames.
            seed_id: id that seeds random rules; default: the medium's.

        Raises:
            MemoryError: memory ran out while the lengths of the other media were read.
        """
        rule = self._rules[media.media_id]
        if rule.aligned is None:
            return rule.indices(count, media.media_id if seed_id is None else seed_id)
        # A clip whose last frames do not decode can be shorter than its packets say.
        return [index for index in rule.indices(self._shortest) if index < count]

    def read(self, media: Media, choose: Chooser, callback: FrameCallback[T]) -> Reading[T]:
        """Call ``callback`` with the requested frames; if none is requested, only frame count and size are read.

        Raises:
            Unreadable: no frame can be read.
            MemoryError: memory ran out.
        """
        self._measure()
        return self._read(media, choose, callback)

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
        if media.kind == "sequence" and split_archive_path(media.path) is not None:
            self._measure()
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

    def _read(self, media: Media, choose: Chooser, callback: FrameCallback[T]) -> Reading[T]:
        with self._opening(media):
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

    @contextmanager
    def _opening(self, media: Media) -> Iterator[None]:
        """Report that a medium is opened, and turn what goes wrong with it into :class:`Unreadable`."""
        if media.media_id in self._given_up:
            raise Unreadable("decode_error", self._given_up[media.media_id])
        self._on_open(media.media_id)
        try:
            yield
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

    def _measure(self) -> None:
        # Before a medium is opened, since it would be blamed where another one ends the process.
        if any(rule.aligned is not None for rule in self._rules.values()):
            _ = self._shortest

    @cached_property
    def _shortest(self) -> int:
        """Frames of the shortest clip with an aligned rule; still images and what cannot be read do not count."""
        lengths = [self._length(job.media) for job in self._jobs if job.sampling.aligned is not None]
        return min((length for length in lengths if length > 1), default=1)

    def _length(self, media: Media) -> int:
        """Return the number of frames of a medium; 0 if it cannot be read."""
        inside = split_archive_path(media.path) if media.kind == "sequence" else None
        try:
            if inside is None:
                return self._read(media, lambda _: [], lambda frames: [None] * len(frames)).frame_count
            with self._opening(media):  # its images are loaded when it is known which are requested
                return len(self._names_in(inside[0])[inside[1]])
        except Exception as error:
            # Whatever it is, it costs the other media nothing.
            if isinstance(error, SetupError) or is_machine_fault(error):
                raise
            return 0

    def _images(self, media: Media) -> ImageSource:
        inside = split_archive_path(media.path)
        return FolderImages(self._root / media.path) if inside is None else self._archived(*inside)

    def _archived(self, archive: str, folder: str) -> ImageSource:
        if archive not in self._archives:
            names = self._names_in(archive)
            requested = {}
            for job in self._jobs:
                inside = split_archive_path(job.media.path) if job.media.kind == "sequence" else None
                if inside is not None and inside[0] == archive:
                    requested[inside[1]] = self._requested_names(job.media, names[inside[1]])
            loaded = load_images(self._root / archive, requested)
            self._archives[archive] = {name: ArchiveImages(names[name], loaded[name]) for name in names}
        return self._archives[archive][folder]

    def _names_in(self, archive: str) -> Mapping[str, Sequence[str]]:
        """Return the names of the images in each folder of an archive that is a medium of the scene group."""
        path = self._root / archive
        if not path.is_file():
            raise Unreadable("missing_media", VANISHED)
        if archive not in self._names:
            sequences = (split_archive_path(job.media.path) for job in self._jobs if job.media.kind == "sequence")
            folders = [inside[1] for inside in sequences if inside is not None and inside[0] == archive]
            self._names[archive] = dict(list_images(path, folders))
        return self._names[archive]

    def _requested_names(self, media: Media, names: Sequence[str]) -> list[str]:
        ordered = sorted(names, key=sequence_order)
        # The first image gives the size if no other is requested.
        return [ordered[i] for i in sorted({0, *self.requested(media, len(ordered))}) if i < len(ordered)]
