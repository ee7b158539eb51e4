"""Single-stream ResNet-18: what GRnet's backbone does alone."""
