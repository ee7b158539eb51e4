"""Meso-4 as others store it: the authors' Keras weights, and the PyTorch ports; free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dfbench.models import KeyMap
from dfbench.models.convert.keymap import State

CONVOLUTIONS = tuple(f"features.{index}" for index in (0, 4, 8, 12))
NORMS = tuple(f"features.{index}" for index in (2, 6, 10, 14))
DENSE = ("classifier.2", "classifier.5")
HEAD = "classifier.5.weight"
_LAST_PLANES = 16
_EPS, _PORT_EPS = 1e-3, 1e-5  # of batch normalisation: Keras's, PyTorch's
_KERAS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def from_keras(state: State, convolutions: Sequence[str], norms: Sequence[str]) -> State:
    """Arrays of the authors' HDF5 files to our names and layouts.

    Kernels are H,W,in,out; the rows of the first dense matrix are in the order H,W,C; the output is P(real), so its
    logit is negated.

    Args:
        state: arrays under ``conv2d_1/kernel`` and the like, numbered from 1 (what ``tools/hdf5_to_npz.py`` writes).
        convolutions: our names of the convolutions in the order of their creation.
        norms: our names of the batch normalisations.
    """
    ours = {f"conv2d_{number}": name for number, name in enumerate(convolutions, start=1)}
    ours |= {f"batch_normalization_{number}": name for number, name in enumerate(norms, start=1)}
    ours |= {f"dense_{number}": name for number, name in enumerate(DENSE, start=1)}
    result: State = {}
    for name, tensor in state.items():
        layer, _, what = name.partition("/")
        if layer not in ours or what not in _KERAS:
            result[name] = tensor
            continue
        if what == "kernel" and tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1)
        elif what == "kernel":
            if ours[layer] == DENSE[0]:
                side = round((tensor.shape[0] / _LAST_PLANES) ** 0.5)
                tensor = tensor.reshape(side, side, _LAST_PLANES, -1).permute(2, 0, 1, 3).flatten(0, 2)
            tensor = tensor.t()
        if ours[layer] == DENSE[1]:
            tensor = -tensor
        result[f"{ours[layer]}.{_KERAS[what]}"] = tensor.contiguous()
    return result


def from_port(state: State, layers: Iterable[tuple[str, str]], shared: Iterable[tuple[str, Sequence[str]]]) -> State:
    """A PyTorch port, whose convolutions have no bias and whose normalisations are partly shared, to our names.

    Our convolutions get a bias of 0, our normalisations a copy each; the difference of the epsilon is put into their
    weight, so that the outputs are the same.

    Args:
        state: the port's tensors.
        layers: its names and ours of convolutions and dense layers.
        shared: its names of normalisations and ours of each place where one is used.
    """
    left = dict(state)
    result: State = {}
    for theirs, ours in layers:
        for what in ("weight", "bias"):
            if f"{theirs}.{what}" in left:
                result[f"{ours}.{what}"] = left.pop(f"{theirs}.{what}")
        kernel = result.get(f"{ours}.weight")
        if kernel is not None and kernel.ndim == 4:
            result.setdefault(f"{ours}.bias", kernel.new_zeros(kernel.shape[0]))
    for theirs, places in shared:
        norm = {name: left.pop(name) for name in list(left) if name.startswith(f"{theirs}.")}
        variance = norm.get(f"{theirs}.running_var")
        for name, tensor in norm.items():
            what = name.removeprefix(f"{theirs}.")
            if what == "weight" and variance is not None:
                tensor = tensor * ((variance + _EPS) / (variance + _PORT_EPS)).sqrt()
            for ours in places:
                result[f"{ours}.{what}"] = tensor.clone()
    return result | left


def meso4_from_keras(state: State) -> State:
    """See :func:`from_keras`."""
    return from_keras(state, CONVOLUTIONS, NORMS)


def meso4_from_port(state: State) -> State:
    """See :func:`from_port`."""
    layers = zip(("conv1", "conv2", "conv3", "conv4", "fc1", "fc2"), (*CONVOLUTIONS, *DENSE), strict=True)
    return from_port(state, layers, [("bn1", NORMS[:2]), ("bn2", NORMS[2:])])


MESO4 = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, meso4_best.pth; MesoNet-Pytorch has the same form",
        marks=("conv1.weight", "bn1.weight", "conv4.weight", "bn2.running_var", "fc2.weight"),
        convert=meso4_from_port,
        head=HEAD,
        options={"normalization": "half"},
        size=256,
        profile="dfb256",
        licence="CC BY-NC 4.0 (DeepfakeBench)",
        selection="by its authors, on test data",
    ),
    KeyMap(
        name="mesonet",
        source="MesoNet, Meso4_DF.h5 and Meso4_F2F.h5 converted to .npz",
        marks=("conv2d_4/kernel", "batch_normalization_4/gamma", "dense_2/kernel"),
        convert=meso4_from_keras,
        head=HEAD,
        options={"normalization": "none"},
        size=256,
        licence="Apache-2.0 (MesoNet)",
    ),
)
