"""Write, open, verify and view manifests: a folder of Parquet shards and ``manifest.json``."""
