"""MesoNet: very small networks for forged faces in video (WIFS 2018)."""
