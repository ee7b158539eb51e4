"""MAT, the multi-attentional detector (CVPR 2021): attention maps pool textures and semantics."""
