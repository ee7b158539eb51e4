"""Self-blended images: the training method, and its published pairing with EfficientNet-B4."""
