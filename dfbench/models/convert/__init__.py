"""Conversion of weight files of other projects: safe reading, key maps, import with a weight card."""
