"""EfficientNet-B0 and B4, common backbones of forgery detectors."""
