"""A protocol's test samples through a detector: scores, metrics, example crops, all in one run folder."""
