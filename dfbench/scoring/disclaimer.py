"""What every output of ``score`` says about itself."""

from __future__ import annotations

CAUTION = (
    "A score is the answer of one detector that has learned from particular data. It is not the probability that a "
    "file is forged, and it is no evidence.",
    "On sources, forgeries and re-encodings that the detector has not seen, it can be wrong with confidence. For files "
    "of unknown origin there is no calibrated threshold above which they are fake.",
)
"""What a score is not."""

CAUTION_SHORT = "one detector's answer: no probability of forgery, no evidence"
"""The same where there is little room."""


def mismatch_note(trained: str, profile: str, size: int) -> str:
    """That weights were used on other crops than they were trained on.

    >>> mismatch_note("native 128 px", "box", 224)
    'crop mismatch: trained on native 128 px crops, scored on box 224 px'
    """
    return f"crop mismatch: trained on {trained} crops, scored on {profile} {size} px"
