"""MesoInception-4, the larger network of MesoNet (WIFS 2018)."""
