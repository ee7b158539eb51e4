"""Single-stream ResNets: ResNet-18, GRnet's backbone alone, and ResNet-34."""
