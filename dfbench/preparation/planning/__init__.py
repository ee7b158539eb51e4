"""From a request to a plan: recipe, frames, shards, estimate."""
