"""The clips of one scene group become rows: each by itself, or with the faces of the clip it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dfbench.errors import SetupError
from dfbench.media.frames import Chooser
from dfbench.media.limits import is_machine_fault
from dfbench.preparation.extraction.change_maps import ForgeryComparison
from dfbench.preparation.extraction.clip_faces import ClipFaces, ExtractionSettings, crop_whole_frames, find_faces
from dfbench.preparation.extraction.face_selection import select_faces
from dfbench.preparation.extraction.rows import (
    Row,
    rows_of_clip,
    rows_of_crops,
    unreadable_rows,
    with_facts,
    with_masks,
    with_runs,
)
from dfbench.preparation.extraction.scene_reader import SceneReader, TimeLimitError, Unreadable
from dfbench.preparation.extraction.shared_geometry import SharedGeometry
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media


class Scene:
    """Makes the rows of one scene group's clips, which may depend on each other.

    Args:
        jobs: the clips with their frame rules.
        root: folder that media paths are relative to.
        settings: what decides the rows.
        on_open: called with a medium's id before it is opened; it need not be the medium whose rows are made.
    """

    def __init__(
        self,
        jobs: Sequence[MediaJob],
        root: Path,
        settings: ExtractionSettings,
        on_open: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._jobs = tuple(jobs)
        self._root = root
        self._settings = settings
        self._reader = SceneReader(jobs, root, settings.decoder, settings.given_up, on_open)
        self._comparison = ForgeryComparison([job.media for job in jobs], root, settings.decoder, self._reader)
        self._shared = SharedGeometry(jobs, settings, self._reader, self._own_faces) if settings.shared else None

    def rows(self, job: MediaJob) -> list[Row]:
        """Return all rows of one of the clips, by rising frame index (-1, -2, ... if no frame can be read)."""
        media = job.media
        try:
            rows = self._rows(job)
        except Unreadable as error:
            number = 1 if error.image else job.rows_if_unreadable
            rows = unreadable_rows(media, number, error.status, error.reason)
        if job.sampling.length is not None:
            rows = with_runs(rows, job.sampling.length)
        rows = with_facts(rows, self._reader.facts(media, [row["frame_index"] for row in rows]))
        return with_masks(rows, media, self._root, self._settings) if self._settings.extras.masks else rows

    def is_unchanged(self, rows: Sequence[Row]) -> bool:
        """Whether the media of the scene group are, byte by byte, those that rows were made from.

        Args:
            rows: of all media of the scene group, as a shard holds them.
        """
        by_medium: dict[str, list[Row]] = {}
        for row in rows:
            by_medium.setdefault(row["media_id"], []).append(row)
        if by_medium.keys() != {job.media.media_id for job in self._jobs}:
            return False
        for job in self._jobs:
            stored = by_medium[job.media.media_id]
            facts = self._reader.facts(job.media, [row["frame_index"] for row in stored])
            if facts is None or any((r["media_size"], r["media_sha256"]) != (facts.size, facts.sha256) for r in stored):
                return False
        return True

    def failed(self, job: MediaJob, error: Exception) -> list[Row]:
        """Return the rows of a clip for which something raised an unexpected error.

        Raises:
            MemoryError: the error says that memory ran out, which is no property of the clip.
            SetupError: it is one; something lacks on this machine.
        """
        if isinstance(error, SetupError):
            raise error
        if is_machine_fault(error):
            raise MemoryError(str(error)) from error
        lines = str(error).splitlines()
        text = f"{type(error).__name__}: {lines[0] if lines else ''}".replace(f"{self._root}/", "")
        if isinstance(error, TimeLimitError):
            text = error.message
        return unreadable_rows(job.media, job.rows_if_unreadable, "decode_error", text)

    def _rows(self, job: MediaJob) -> list[Row]:
        media = job.media
        choose = partial(self._reader.requested, media)
        if media.cropped:
            whole = partial(crop_whole_frames, settings=self._settings)
            return rows_of_crops(media, self._reader.read_requested(media, choose, whole))
        source = self._shared.source_of(media) if self._shared is not None else None
        if self._shared is None or source is None:
            clip = self._own_faces(media, choose)
        else:
            clip = self._shared.faces(job, source)
        rows = rows_of_clip(media, clip)
        if self._shared is None:
            return rows
        shift = self._shared.shift_of(media)
        return [row | {"base_shift": shift} for row in rows]

    def _own_faces(self, media: Media, choose: Chooser) -> ClipFaces:
        """Find the faces of a clip in its own frames, and choose those that become rows."""
        reading = self._reader.read_requested(media, choose, partial(find_faces, settings=self._settings))
        chosen = select_faces(media, reading, self._settings.face_rule, self._comparison)
        return ClipFaces(reading, chosen, media.media_id)
