"""Weights of other projects."""
