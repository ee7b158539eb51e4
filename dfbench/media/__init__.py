"""Media files: decode exact frames of clips, images and image sequences; encode clips and images.

The decoders (PyAV, decord) are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.media.encode import write_clip as write_clip
    from dfbench.media.frames import Decoder as Decoder
    from dfbench.media.frames import Frame as Frame
    from dfbench.media.frames import FrameCollector as FrameCollector
    from dfbench.media.frames import Reading as Reading
    from dfbench.media.frames import requested_frames as requested_frames
    from dfbench.media.images import decode_image as decode_image
    from dfbench.media.images import encode_png as encode_png
    from dfbench.media.images import pixel_hash as pixel_hash
    from dfbench.media.reader import check_decoder as check_decoder
    from dfbench.media.reader import decoder_names as decoder_names
    from dfbench.media.reader import read as read
    from dfbench.media.sequence import read_sequence as read_sequence
    from dfbench.media.stream import stream_frames as stream_frames

_LAZY = {
    "requested_frames": "dfbench.media.frames",
    "FrameCollector": "dfbench.media.frames",
    "Decoder": "dfbench.media.frames",
    "Frame": "dfbench.media.frames",
    "Reading": "dfbench.media.frames",
    "check_decoder": "dfbench.media.reader",
    "decode_image": "dfbench.media.images",
    "decoder_names": "dfbench.media.reader",
    "encode_png": "dfbench.media.images",
    "pixel_hash": "dfbench.media.images",
    "read": "dfbench.media.reader",
    "read_sequence": "dfbench.media.sequence",
    "stream_frames": "dfbench.media.stream",
    "write_clip": "dfbench.media.encode",
}

__all__ = [
    "Decoder",
    "Frame",
    "FrameCollector",
    "Reading",
    "check_decoder",
    "decode_image",
    "decoder_names",
    "encode_png",
    "pixel_hash",
    "read",
    "read_sequence",
    "requested_frames",
    "stream_frames",
    "write_clip",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
