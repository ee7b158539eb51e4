"""EfficientNet-B4, a common backbone of forgery detectors."""
