"""Manifests made from manifests: ``recrop``, ``degrade``, ``merge``; ``derive`` is what the first two share."""

__all__ = ["degrade", "derive", "merge", "recrop"]
