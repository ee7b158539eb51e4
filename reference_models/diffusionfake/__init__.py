"""DiffusionFake: a detector is trained by letting Stable Diffusion rebuild the two faces behind an image."""
