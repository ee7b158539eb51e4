"""A detector: what is known of it without importing torch."""

from __future__ import annotations

from dfbench.models import ModelSpec

SPEC = ModelSpec(
    name="example-model",
    target="dfbench_example_plugins.network:Network",
    options={"width": 8},
    paper="none: an example",
)
