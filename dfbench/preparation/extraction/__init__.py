"""Extraction: one clip becomes manifest rows.

Between the adapter's media table and Parquet, a clip is represented by five types:

1. :class:`~dfbench.schema.media.Media`: ids, labels and path, from names and label files alone.
2. :class:`~dfbench.preparation.planning.sampling.MediaJob`: a medium and the rule that requests its frames.
3. :class:`~dfbench.media.frames.Reading` of :class:`FrameFaces`: each decoded frame, replaced by its faces and crops.
4. :class:`ClipFaces`: the same, with the faces that become rows and the clip whose geometry they have.
5. ``Row``, a dictionary: one requested frame and face, with its status, in the columns of the manifest.

One clip from ``prepare`` to its shard file:

1. ``planning.request`` resolves the options to a recipe: all that decides rows and pixels.
2. The data set's adapter scans the tree: ``Media``.
3. ``planning.sharding`` cuts the media into shards of whole scene groups.
4. ``execution.run`` locks the folder, skips what ``execution.inventory`` recognises as finished, and makes a
   ``ShardTask`` of each other shard.
5. ``execution.engine`` passes the tasks to worker processes; ``execution.retry`` repeats a task whose worker crashed.
6. ``execution.shard_worker`` builds the face detector and :class:`ExtractionSettings` once, and one :class:`Scene` per
   scene group: its clips as ``MediaJob``.
7. ``Scene.rows`` takes one clip through the steps below; a clip that cannot be read gives rows ``decode_error`` or
   ``missing_media``.
8. ``scene_reader`` opens the medium, and ``media.reader`` decodes the requested frames in batches.
9. ``clip_faces.find_faces`` detects the faces of each batch and crops them (``faces.profiles``, ``faces.crops``), so
   that no frame is kept: ``Reading`` of ``FrameFaces``.
10. ``face_selection`` applies the face rule; for ``manipulated``, ``change_maps`` compares the clip with its base or
    mask video: ``ClipFaces``. With shared geometry, ``shared_geometry`` replaces steps 9 and 10: the faces of the base
    clip are cropped from the frames of this one.
11. ``rows`` makes one row per requested frame and face, and adds what ``media.facts`` tells of the file, and the crops
    of the mask video, if requested: ``Row``.
12. ``manifest.degraded`` degrades the crops, if requested.
13. ``manifest.shards`` writes the rows of a shard through Arrow to a temporary Parquet file and renames it.
14. ``execution.finalize`` checks and counts the rows of all shards; ``execution.commit`` gives them their final names
    and writes ``manifest.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.preparation.extraction.clip_faces import ClipFaces as ClipFaces
    from dfbench.preparation.extraction.clip_faces import ExtractionSettings as ExtractionSettings
    from dfbench.preparation.extraction.clip_faces import FrameFaces as FrameFaces
    from dfbench.preparation.extraction.scene import Scene as Scene

_LAZY = {
    "ClipFaces": "dfbench.preparation.extraction.clip_faces",
    "ExtractionSettings": "dfbench.preparation.extraction.clip_faces",
    "FrameFaces": "dfbench.preparation.extraction.clip_faces",
    "Scene": "dfbench.preparation.extraction.scene",
}

__all__ = ["ClipFaces", "ExtractionSettings", "FrameFaces", "Scene"]

__getattr__ = lazy_attributes(__name__, _LAZY)
