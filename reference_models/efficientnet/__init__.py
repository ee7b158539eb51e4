"""EfficientNet-B4, the backbone of many newer detectors."""
