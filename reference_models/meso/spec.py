"""Specification of Meso-4, and the tensor names of its weight files in other projects; free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
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
    """Convert arrays of the authors' HDF5 files to our names and layouts.

    Kernels are stored as H,W,in,out; the rows of the first dense matrix are in the order H,W,C; the output is
    P(real), so its logit is negated.

    Args:
        state: arrays named ``conv2d_1/kernel`` etc., numbered from 1 (what ``tools/hdf5_to_npz.py`` writes).
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
    """Convert a PyTorch port, whose convolutions have no bias and whose normalisations are partly shared.

    Our convolutions get a bias of 0, and each of our normalisations a copy; the difference of epsilon is absorbed into
    the weight, so that the outputs are unchanged.

    Args:
        state: the port's tensors.
        layers: its names and ours of convolutions and dense layers.
        shared: its names of normalisations, and our names of all layers where each is used.
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
    for theirs, copies in shared:
        norm = {name: left.pop(name) for name in list(left) if name.startswith(f"{theirs}.")}
        variance = norm.get(f"{theirs}.running_var")
        for name, tensor in norm.items():
            what = name.removeprefix(f"{theirs}.")
            if what == "weight" and variance is not None:
                tensor = tensor * ((variance + _EPS) / (variance + _PORT_EPS)).sqrt()
            for ours in copies:
                result[f"{ours}.{what}"] = tensor.clone()
    return result | left


def meso4_from_keras(state: State) -> State:
    """Convert Meso-4 of the authors; see :func:`from_keras`."""
    return from_keras(state, CONVOLUTIONS, NORMS)


def meso4_from_port(state: State) -> State:
    """Convert Meso-4 of the PyTorch ports; see :func:`from_port`."""
    layers = zip(("conv1", "conv2", "conv3", "conv4", "fc1", "fc2"), (*CONVOLUTIONS, *DENSE), strict=True)
    return from_port(state, layers, [("bn1", NORMS[:2]), ("bn2", NORMS[2:])])


MESO4_FILES = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, meso4_best.pth; files of MesoNet-Pytorch",
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


_BIBTEX = """@inproceedings{afchar2018mesonet,
  title     = {{MesoNet}: a Compact Facial Video Forgery Detection Network},
  author    = {Afchar, Darius and Nozick, Vincent and Yamagishi, Junichi and Echizen, Isao},
  booktitle = {WIFS},
  year      = {2018}
}"""

MESO4 = ModelSpec(
    name="meso4",
    target="reference_models.meso.network:Meso4",
    options={"binary_outputs": 2, "normalization": "none"},
    sizes=(256, 128, 224),
    any_size=True,
    smallest=32,
    multiple=32,
    paper="Afchar, Nozick, Yamagishi and Echizen, MesoNet: a Compact Facial Video Forgery Detection Network, WIFS 2018",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote("more than one output", "the last dense layer has more outputs, the loss is cross-entropy"),
        ReproductionNote(
            "a task of two classes (published: one output, squared error on its sigmoid)",
            "two outputs with cross-entropy, as for all detectors; 1 is the published form",
            "binary_outputs",
        ),
        ReproductionNote("sizes other than 256", "the size of the first dense layer follows the last feature map"),
        ReproductionNote("length of training", "20 epochs"),
        ReproductionNote(
            "strength of the augmentation",
            "rotation 15 degrees, zoom 0.2, brightness 0.2, hue 0.05, flips: proposed",
        ),
    ),
    recipe=TrainingDefaults(
        lr=1e-3,
        lr_decay=0.1,
        lr_decay_steps=1000,
        lr_min=1e-6,
        epochs=20,
        batch_size=75,
        rotation=15.0,
        zoom=0.2,
        brightness=0.2,
        hue=0.05,
        source="batch size, learning rate and its schedule (a tenth every 1000 steps, not below 1e-6): the paper, from "
        "memory; all other values are proposed, see the reproduction notes",
    ),
    foreign_keys=MESO4_FILES,
)
