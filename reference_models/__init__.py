"""Reference detectors, packaged the way a third party would: they reach dfbench through ``dfbench.models`` alone.

One folder a family. ``spec.py`` of each is free of torch, so that detectors can be listed without it.
"""
