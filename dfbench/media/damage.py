"""Which frames of a clip show damage: those that the decoder concealed, and those that are decoded from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

CONCEALED = "the decoder flags it as damaged"
FOLLOWS = "it is decoded from frames that are damaged or lost"


@dataclass(frozen=True)
class DecodedFrame:
    """What a decoder says of a frame, without its pixels.

    Attributes:
        pts: presentation time in time base units; None if unknown.
        key: whether it refers to no frame before it.
        flagged: whether the decoder found damage in it and concealed it.
    """

    pts: int | None
    key: bool
    flagged: bool


class DamageRecord:
    """Follows one decoding pass over a clip and tells which of its frames cannot be trusted.

    FFmpeg flags a frame in which it concealed damage, and no frame that refers to it, although these show the same
    damage. So every frame that is decoded after a flagged one, or after a packet that does not decode, counts as
    damaged up to the next keyframe, and so do frames that are shown before that keyframe and decoded after it.

    Args:
        keys: presentation times of the keyframes according to the packets; a frame with another time does not end
            damage. Empty: unknown.
    """

    def __init__(self, keys: Collection[int] = ()) -> None:
        self._keys = frozenset(keys)
        self._sent: dict[int, int] = {}  # presentation time -> position of its packet in the order of decoding
        self._packets = 0
        self._failed: list[tuple[int, int]] = []  # position of the packet, frames shown before it failed
        self._frames: list[DecodedFrame] = []

    def sent(self, pts: int | None) -> None:
        """Record the next packet, in the order of decoding."""
        self._packets += 1
        if pts is not None:
            self._sent.setdefault(pts, self._packets)

    def failed(self) -> None:
        """Record that the last packet does not decode."""
        self._failed.append((self._packets, len(self._frames)))

    def shown(self, frame: DecodedFrame) -> None:
        """Record the next frame, in the order in which frames are shown."""
        self._frames.append(frame)

    def damaged(self) -> dict[int, str]:
        """Return position in the order in which frames are shown -> reason, for the frames that are damaged."""
        out: dict[int, str] = {}
        bad = before = False  # since the last keyframe, and before it
        last_key: int | None = None
        for position in self._in_decoding_order():
            if position is None:
                bad = True
                continue
            frame = self._frames[position]
            if self._restarts(frame):
                before, bad, last_key = bad, False, frame.pts
            leads = last_key is not None and frame.pts is not None and frame.pts < last_key
            if frame.flagged:
                bad = True
                out[position] = CONCEALED
            elif bad or (leads and before):
                out[position] = FOLLOWS
        return out

    def _in_decoding_order(self) -> Sequence[int | None]:
        """Return the positions of the shown frames, and None for each packet that does not decode."""
        orders = [self._sent.get(frame.pts) if frame.pts is not None else None for frame in self._frames]
        known = [order for order in orders if order is not None]
        items: list[tuple[float, int | None]]
        if len(set(known)) == len(orders):
            items = [(order, position) for position, order in enumerate(orders) if order is not None]
            items += [(packet, None) for packet, _ in self._failed]
        else:  # without times: the order in which frames are shown
            items = [(float(position), position) for position in range(len(orders))]
            items += [(shown - 0.5, None) for _, shown in self._failed]
        return [position for _, position in sorted(items, key=lambda item: item[0])]

    def _restarts(self, frame: DecodedFrame) -> bool:
        return frame.key and (not self._keys or frame.pts is None or frame.pts in self._keys)
