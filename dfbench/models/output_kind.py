"""Whether the outputs of a user's detector are logits, as they should be, or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

DECLARATION = "outputs_probabilities"
"""Attribute of a detector that returns probabilities: true."""

_SUM_TOLERANCE = 1e-3  # of probabilities in half precision
_FEWEST = 20  # outputs of which a single one per image says something
_SMALLEST = 1e-37, 2.0**-25  # of P and of 1 - P in float32

_ACTIVATIONS = {"SigmoidBackward0": "sigmoid", "SoftmaxBackward0": "softmax"}
_SHAPE_ONLY = (
    "View", "UnsafeView", "Reshape", "ReshapeAlias", "Unsqueeze", "Squeeze", "Select", "Slice", "Permute", "T",
    "Transpose", "Clone", "ToCopy", "Alias",
)  # fmt: skip
"""Operations that change no value, as PyTorch names their gradients."""


def declares_probabilities(network: nn.Module, name: str) -> bool:
    """Whether a user's detector says that it returns probabilities, by an attribute :data:`DECLARATION`.

    Raises:
        ModelError: the attribute is not a bool.
    """
    value = getattr(network, DECLARATION, False)
    if not isinstance(value, bool):
        raise ModelError(f"{name}.{DECLARATION} is {value!r}, not True or False", "True: it returns probabilities")
    return value


def logits_of_probabilities(probabilities: Tensor, name: str) -> Tensor:
    """Convert probabilities to logits of which :func:`dfbench.models.interface.fake_probability` gives them back.

    Args:
        probabilities: (N, 1) P(fake), or (N, C) of all classes; float.
        name: name of the detector in messages.

    Returns:
        The log-odds, (N, 1), or the logarithms, (N, C); float32, or float64 if the input is. A probability of 0 or 1
        gets a finite value.

    Raises:
        ModelError: a value is outside [0,1], or a row does not sum to 1. NaN is passed on.
    """
    import torch

    values = probabilities if probabilities.dtype == torch.float64 else probabilities.float()
    outside = (values < 0) | (values > 1)
    if bool(outside.any()):
        found = float(values[outside][0])
        raise ModelError(
            f"{name} declares that it returns probabilities, but one is {found:.4g}",
            f"they are in [0,1]; for logits remove {DECLARATION}",
        )
    if values.shape[1] == 1:
        odds = values.clamp_min(_SMALLEST[0]).log() - (1 - values).clamp_min(_SMALLEST[1]).log()
        return odds.where(~values.isnan(), values)
    sums = values.sum(dim=1)
    wrong = (sums - 1).abs() > _SUM_TOLERANCE
    if bool(wrong.any()):
        raise ModelError(
            f"{name} declares that it returns probabilities, but those of one image sum to {float(sums[wrong][0]):.4g}",
            "apply a softmax over the classes, or return P(fake) alone",
        )
    return values.clamp_min(_SMALLEST[0]).log()


def final_activation(output: Tensor) -> str:
    """Return ``sigmoid`` or ``softmax`` if that is the last operation that made a tensor; else an empty string.

    Args:
        output: a tensor whose gradient is recorded; operations that change only its shape are ignored.

    >>> import torch
    >>> x = torch.zeros(2, 2, requires_grad=True)
    >>> final_activation(x.softmax(1)[:, 1:]), final_activation(torch.sigmoid(x) * 2)
    ('softmax', '')
    """
    node = output.grad_fn
    while node is not None:
        name = node.name()
        if name in _ACTIVATIONS:
            return _ACTIVATIONS[name]
        if name.rstrip("0123456789").removesuffix("Backward").rstrip("_") not in _SHAPE_ONLY:
            return ""
        node = node.next_functions[0][0] if node.next_functions else None
    return ""


def output_doubt(logits: NDArray[np.floating], activation: str = "") -> str:
    """Say why the logits of a detector look like probabilities; an empty string if they do not.

    Args:
        logits: (N, C) outputs.
        activation: from :func:`final_activation`.

    >>> output_doubt(np.array([[0.2, 0.8], [0.9, 0.1]]))[:53]
    'the outputs of the detector look like probabilities ('
    >>> output_doubt(np.array([[-1.0, 2.0]]))
    ''
    """
    values = np.asarray(logits, np.float64)
    inside = bool(values.size and ((values >= 0) & (values <= 1)).all())
    if activation:
        reason = f"its last operation is a {activation}"
    elif inside and values.shape[1] > 1 and bool((np.abs(values.sum(axis=1) - 1) <= _SUM_TOLERANCE).all()):
        reason = "all are in [0,1], and those of each image sum to 1"
    elif inside and len(values) >= _FEWEST and np.ptp(values) > 0:
        reason = f"all {len(values)} are in [0,1]"
    else:
        return ""
    return (
        f"the outputs of the detector look like probabilities ({reason}), but are used as logits: "
        f"if they are probabilities, return the values before them, or set {DECLARATION} = True in the detector"
    )
