"""MesoNet: very small networks for the detection of forged faces in videos (WIFS 2018)."""
