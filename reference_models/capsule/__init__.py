"""Capsule-Forensics v2: capsules with dynamic routing on VGG-19 features (2019)."""
