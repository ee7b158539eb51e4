"""dfbench: dataset preparation and fixed-protocol benchmarks for face-forgery detection.

The names below are the public interface; they load what they need on first use, so that
``import dfbench`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes
from dfbench._version import __version__
from dfbench.startup import disable_telemetry

if TYPE_CHECKING:
    from dfbench import degrade as degrade
    from dfbench import metrics as metrics
    from dfbench.datasets.registry import list_datasets as list_datasets
    from dfbench.degrade import list_degradations as list_degradations
    from dfbench.evaluation.run import Run as Run
    from dfbench.evaluation.run import open_run as open_run
    from dfbench.interchange.scores import import_scores as import_scores
    from dfbench.manifest.manifest import Manifest as Manifest
    from dfbench.manifest.manifest import open_manifest as open_manifest
    from dfbench.metrics import list_metrics as list_metrics
    from dfbench.models.build import build_model as build_model
    from dfbench.models.convert.import_weights import import_weights as import_weights
    from dfbench.models.registry import list_models as list_models
    from dfbench.protocols.files import list_protocols as list_protocols
    from dfbench.protocols.files import load_protocol as load_protocol
    from dfbench.scoring.score_files import score as score
    from dfbench.workflow import evaluate as evaluate
    from dfbench.workflow import explain_detector as explain_detector
    from dfbench.workflow import prepare as prepare
    from dfbench.workflow import train as train

_LAZY = {
    "Manifest": "dfbench.manifest.manifest",
    "Run": "dfbench.evaluation.run",
    "build_model": "dfbench.models.build",
    "degrade": "dfbench.degrade",
    "evaluate": "dfbench.workflow",
    "explain_detector": "dfbench.workflow",
    "import_scores": "dfbench.interchange.scores",
    "import_weights": "dfbench.models.convert.import_weights",
    "list_datasets": "dfbench.datasets.registry",
    "list_degradations": "dfbench.degrade",
    "list_metrics": "dfbench.metrics",
    "list_models": "dfbench.models.registry",
    "list_protocols": "dfbench.protocols.files",
    "load_protocol": "dfbench.protocols.files",
    "metrics": "dfbench.metrics",
    "open_manifest": "dfbench.manifest.manifest",
    "open_run": "dfbench.evaluation.run",
    "prepare": "dfbench.workflow",
    "score": "dfbench.scoring.score_files",
    "train": "dfbench.workflow",
}

__all__ = ["__version__", *sorted(_LAZY)]

disable_telemetry()  # before the libraries are imported, in worker processes as well

__getattr__ = lazy_attributes(__name__, _LAZY)


def __dir__() -> list[str]:
    return __all__
