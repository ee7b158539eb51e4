"""The list functions: names, filtered by shell-style patterns."""

from __future__ import annotations

import pytest

import dfbench
from dfbench.datasets.registry import adapter_names
from dfbench.degrade import degradation_names
from dfbench.protocols.files import protocol_names


@pytest.mark.parametrize(
    ("function", "names", "pattern", "expected"),
    [
        (dfbench.list_datasets, adapter_names, "celeb-df-*", ["celeb-df-v1", "celeb-df-v2"]),
        (dfbench.list_degradations, degradation_names, "*-blur", ["gaussian-blur", "motion-blur"]),
        (dfbench.list_protocols, protocol_names, "grnet/celeb-df*", ["grnet/celeb-df", "grnet/celeb-df@c40"]),
    ],
)
def test_names_are_listed_in_order_and_filtered(function, names, pattern, expected):
    assert function() == list(names())
    assert function(pattern) == expected
    assert function("nosuch*") == []


def test_what_is_listed_can_be_loaded():
    for name in dfbench.list_protocols():
        assert dfbench.load_protocol(name).name == name
