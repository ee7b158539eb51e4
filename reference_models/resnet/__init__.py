"""Single-stream ResNet-18: GRnet's backbone alone."""
