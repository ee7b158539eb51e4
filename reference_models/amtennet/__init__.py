"""AMTENnet: AMTEN followed by a small classifier (CVIU 2021), and the variants of Table II of GRnet."""
