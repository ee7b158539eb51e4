"""Manifests made from manifests: recrop, degrade, merge."""
