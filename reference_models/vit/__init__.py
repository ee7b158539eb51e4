"""ViT-S/16 and ViT-B/16, plain vision transformers."""
