"""MISLnet: a constrained convolution followed by a small network (TIFS 2018)."""
