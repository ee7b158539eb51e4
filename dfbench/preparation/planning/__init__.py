"""From a request to a plan: options, recipe, frames, shards, estimate. Nothing here opens a medium."""

__all__ = [
    "estimate",
    "face_options",
    "job_array",
    "options",
    "recipe",
    "request",
    "sampling",
    "sampling_options",
    "shard_plan",
    "sharding",
]
