"""Specification of MesoInception-4, and the tensor names of its weight files; free of torch."""

from __future__ import annotations

from dataclasses import replace

from dfbench.models.convert.keymap import State
from reference_models.meso.spec import DENSE, MESO4, MESO4_FILES, from_keras, from_port

# Our convolutions in the order of their creation: two inception blocks (1x1, then three times 1x1 and 3x3), then two.
_BRANCHES = ("0.0", "1.0", "1.2", "2.0", "2.2", "3.0", "3.2")
_BLOCKS = ("features.0", "features.3")
_LAST = ("features.6", "features.10")
CONVOLUTIONS = (*(f"{block}.branches.{branch}" for block in _BLOCKS for branch in _BRANCHES), *_LAST)
NORMS = ("features.1", "features.4", "features.8", "features.12")
_PORT_BRANCHES = ("1", "2_1", "2_2", "3_1", "3_2", "4_1", "4_2")


def mesoinception4_from_keras(state: State) -> State:
    """Convert MesoInception-4 of the authors; see :func:`reference_models.meso.spec.from_keras`."""
    return from_keras(state, CONVOLUTIONS, NORMS)


def mesoinception4_from_port(state: State) -> State:
    """Convert MesoInception-4 of the PyTorch ports (whose spelling is kept); see ``from_port``."""
    theirs = [f"Incption{block}_conv{branch}" for block in (1, 2) for branch in _PORT_BRANCHES]
    layers = zip((*theirs, "conv1", "conv2", "fc1", "fc2"), (*CONVOLUTIONS, *DENSE), strict=True)
    return from_port(state, layers, [("Incption1_bn", NORMS[:1]), ("Incption2_bn", NORMS[1:2]), ("bn1", NORMS[2:])])


_PORT, _KERAS = MESO4_FILES
MESOINCEPTION4_FILES = (
    replace(
        _PORT,
        source="DeepfakeBench v1.0.1, meso4Incep_best.pth; files of MesoNet-Pytorch",
        marks=("Incption1_conv1.weight", "Incption2_bn.running_var", "conv2.weight", "bn1.weight", "fc2.weight"),
        convert=mesoinception4_from_port,
        options={"inner_relu": False, "normalization": "half"},
    ),
    replace(
        _KERAS,
        source="MesoNet, MesoInception_DF.h5 and MesoInception_F2F.h5 converted to .npz",
        marks=("conv2d_16/kernel", "batch_normalization_4/gamma", "dense_2/kernel"),
        convert=mesoinception4_from_keras,
        options={"inner_relu": True, "normalization": "none"},
    ),
)


MESOINCEPTION4 = replace(
    MESO4,
    name="mesoinception4",
    target="reference_models.mesoinception.network:MesoInception4",
    options={"binary_outputs": 2, "inner_relu": True, "normalization": "none"},
    foreign_keys=MESOINCEPTION4_FILES,
)
