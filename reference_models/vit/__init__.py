"""ViT-B/16, a plain vision transformer."""
