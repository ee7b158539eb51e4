"""``dfbench doctor``: what is installed, what is missing, and how to install it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import click

from dfbench.cli.show import echo
from dfbench.errors import DfbenchError
from dfbench.startup import telemetry_state
from dfbench.storage import is_url

# import name -> (distribution, purpose, how to install it)
_NEEDED = {
    "av": ("av", "decoding and encoding of clips", "pip install deepfake-dfbench"),
    "cv2": ("opencv-python", "images and crops", "pip install deepfake-dfbench"),
    "onnxruntime": ("onnxruntime", "face detection", "pip install deepfake-dfbench"),
    "pyarrow": ("pyarrow", "manifests and scores", "pip install deepfake-dfbench"),
}
_OPTIONAL = {
    "torch": ("torch", "models, training, evaluation", 'pip install "deepfake-dfbench[models]"'),
    "timm": ("timm", "backbones", 'pip install "deepfake-dfbench[models]"'),
    "lightning": ("lightning", "training", 'pip install "deepfake-dfbench[models]"'),
    "dlib": (
        "dlib-bin",
        "the exact crop profiles dfb256 and ffpp13, --landmarks dlib-68 and dlib-81",
        'pip install "deepfake-dfbench[dlib]"; dfb256 also needs a landmark file (--dlib-predictor)',
    ),
    "ai_edge_litert": (
        "ai-edge-litert",
        "--landmarks mediapipe (openvino does as well)",
        "pip install ai-edge-litert; it also needs the file face_landmark.tflite (--landmark-model)",
    ),
    "insightface": (
        "insightface",
        "--face-detector insightface",
        'pip install "deepfake-dfbench[insightface]"; it also needs a model pack (--face-model)',
    ),
    "kornia_rs": ("kornia-rs", "decoding of PNG crops in half the time", 'pip install "deepfake-dfbench[models]"'),
    "decord": ("decord", "--decoder decord, an alternative video decoder", 'pip install "deepfake-dfbench[decord]"'),
    "dask": ("dask", "--engine dask", 'pip install "deepfake-dfbench[dask]"'),
    "distributed": ("distributed", "--engine dask", 'pip install "deepfake-dfbench[dask]"'),
    "ray": ("ray", "--engine ray", 'pip install "deepfake-dfbench[ray]"'),
    "s3fs": ("s3fs", "paths that begin with s3://", 'pip install "deepfake-dfbench[s3]"'),
}


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@click.command(epilog="Example: dfbench doctor")
def doctor() -> None:
    """Show versions, the face detector, the GPU and the configured roots.

    The exit code is 5 if something required is missing.
    """
    from dfbench import config
    from dfbench._version import __version__

    missing: list[str] = []
    echo(f"dfbench        {__version__}")
    for needed, table in ((True, _NEEDED), (False, _OPTIONAL)):
        for module, (distribution, purpose, how) in table.items():
            found = _installed(distribution) if find_spec(module) else None
            if found:
                echo(f"{module:<14} {found:<14} {purpose}")
            else:
                echo(f"{module:<14} not installed, needed for {purpose}: {how}")
                if needed:
                    missing.append(module)
    try:
        from dfbench.faces.detectors import build_face_detector

        detector = build_face_detector()
        echo(f"face detector  {detector.name}, {detector.fingerprint}")
    except (DfbenchError, ImportError) as error:
        hint = error.hint if isinstance(error, DfbenchError) else ""
        echo(f"face detector  not available: {error}; {hint}")
        missing.append("face detector")
    if find_spec("torch"):
        from dfbench.models.device import gpu_names

        echo(f"GPU            {', '.join(gpu_names()) or 'none: models run on the CPU'}")
    echo(f"telemetry      {telemetry_state()}")
    echo(f"workspace      {config.workspace().resolve()}")
    roots = config.configured_roots()
    for name, root in roots.items():
        known = is_url(root) or Path(root).expanduser().is_dir()
        echo(f"root {name:<9} {root}{'' if known else '   (not a folder)'}")
    if not roots:
        echo(f"roots          none configured; see DFBENCH_ROOTS or {config.CONFIG_NAME} in docs/prepare.md")
    if missing:
        raise click.exceptions.Exit(5)
