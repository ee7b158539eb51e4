"""AMTENnet: adaptive manipulation traces before a small network (CVIU 2021), and Table II of GRnet."""
