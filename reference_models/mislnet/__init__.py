"""MISLnet: a constrained convolution before a small network (TIFS 2018)."""
