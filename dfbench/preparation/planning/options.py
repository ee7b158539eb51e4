"""The options of ``prepare``: declared here once, for the command line, for Python and for the recipe.

Every field of :class:`PreparationRequest` carries its type, its default, one sentence of help and its spelling on the
command line. The command's options, the signature and the docstring of :func:`dfbench.prepare`, and the table in
``docs/prepare.md`` are made from it. Nothing is imported here, so that ``dfbench prepare --help`` is quick.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, Field, dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from dfbench.mini.settings import MiniSettings
    from dfbench.protocols.protocol import Protocol

P = ParamSpec("P")
T = TypeVar("T")

MINI = "mini"
DEFAULT_FRAMES = 32
DEFAULT_PROFILE = "native"
DEFAULT_FACE_DETECTOR = "centerface"

_KEY = "option"


@dataclass(frozen=True)
class OptionDeclaration:
    """How an option of ``prepare`` is described and typed.

    Attributes:
        help: one sentence for the help of the command and of the function.
        spelling: on the command line; empty: an option of Python alone.
        metavar: what stands for its value in the help of the command.
        kind: type of a value on the command line.
        repeat: whether it may be given several times.
        assumed: in the help, what is taken where the option is not given and its default does not say so.
        command_default: the default on the command line, where it is not that of Python.
    """

    help: str
    spelling: str = ""
    metavar: str | None = None
    kind: type[int] | type[float] | type[str] = str
    repeat: bool = False
    assumed: str = ""
    command_default: str | None = None


def _option(typed: str, help: str, **more: Any) -> dict[str, OptionDeclaration]:
    # ``typed``: the spelling on the command line and the metavar, as in "--frames K".
    spelling, _, metavar = typed.partition(" ")
    return {_KEY: OptionDeclaration(help, spelling, metavar or None, **more)}


def declaration(option: Field[Any]) -> OptionDeclaration:
    """The declaration of a field of :class:`PreparationRequest`."""
    found: OptionDeclaration = option.metadata[_KEY]
    return found


@dataclass(frozen=True)
class PreparationRequest:
    """What is requested of ``prepare``; ``None`` and empty sequences stand for the default.

    The fields are the options of :func:`dfbench.prepare` and of ``dfbench prepare``, which describe them. A request is
    not checked here: see :func:`dfbench.preparation.planning.request.make_recipe`.
    """

    dataset: str = field(metadata=_option("", "Name of the data set; see: dfbench list datasets."))
    root: str | Path | None = field(
        default=None,
        metadata=_option("--root DIR", "The data set's folder or its parent, or its URL; overrides the configuration."),
    )
    out: str | Path | None = field(
        default=None,
        metadata=_option(
            "--out DIR", "The manifest's folder, or its URL.", assumed="manifests/DATASET in the workspace"
        ),
    )
    _: KW_ONLY
    protocol: Protocol | str | Path | None = field(
        default=None, metadata=_option("--protocol P", "Use the frames, crops and media of a protocol (name or file).")
    )
    frames: int | None = field(
        default=None,
        metadata=_option("--frames K", "Frames per clip, evenly spaced.", kind=int, assumed=str(DEFAULT_FRAMES)),
    )
    every: int | None = field(
        default=None, metadata=_option("--every N", "Frames 0, N, 2N, ... instead of --frames.", kind=int)
    )
    max_frames: int | None = field(
        default=None, metadata=_option("--max M", "At most M frames per clip, with --every.", kind=int)
    )
    sampling: str | Sequence[str] = field(
        default=(),
        metadata=_option(
            "--sampling [SPLIT:]RULE",
            "Other sampling rules: all, aligned=32, random=20, clips=4,length=16, first=32, "
            "total_real=N,total_per_method=N; repeat for other splits (test:frames=100).",
            repeat=True,
        ),
    )
    face_rule: str | None = field(
        default=None,
        metadata=_option(
            "--face-rule RULE",
            "Which faces of a frame become rows: largest, track, all or manipulated.",
            assumed="largest",
        ),
    )
    geometry: str = field(
        default="own",
        metadata=_option(
            "--geometry G",
            "own: find faces in every clip; shared: use the faces of the base clip for all clips made from it.",
        ),
    )
    sizes: int | Sequence[int] | None = field(
        default=None,
        metadata=_option("--size S", "Crop size in pixels; repeat.", kind=int, repeat=True, assumed="128, 224"),
    )
    profile: str | None = field(
        default=None,
        metadata=_option("--profile P", "Crop profile; see: dfbench list profiles.", assumed=DEFAULT_PROFILE),
    )
    subsets: Sequence[str] = field(
        default=(), metadata=_option("--subset NAME", "Keep this compression level (c23); repeat.", repeat=True)
    )
    splits: Sequence[str] = field(
        default=(), metadata=_option("--split NAME", "Keep train, val or test; repeat.", repeat=True)
    )
    manipulations: Sequence[str] = field(
        default=(),
        metadata=_option(
            "--manipulation NAME", "Keep the fakes of this method; reals are always kept; repeat.", repeat=True
        ),
    )
    workers: int | None = field(
        default=None, metadata=_option("--workers N", "Worker processes.", kind=int, assumed="one per CPU core")
    )
    engine: str | None = field(
        default=None,
        metadata=_option(
            "--engine E",
            "What runs the workers: local, dask, ray, or inline for this process.",
            assumed="inline for one worker, else local",
            command_default="local",
        ),
    )
    address: str | None = field(
        default=None,
        metadata=_option("--address A", "Scheduler of a Dask or Ray cluster.", assumed="workers on this machine"),
    )
    array: str | None = field(
        default=None,
        metadata=_option("--array I/N", "Prepare part I of N of the data set, for array jobs; then: dfbench merge."),
    )
    decoder: str = field(
        default="pyav", metadata=_option("--decoder D", "Video decoder: pyav, decord or an installed one.")
    )
    face_detector: str = field(
        default=DEFAULT_FACE_DETECTOR,
        metadata=_option(
            "--face-detector D",
            "Face detector: centerface, centerface-full, insightface, dlib, dlib-gray or an installed one.",
        ),
    )
    face_model: str | Path | None = field(
        default=None,
        metadata=_option("--face-model PATH", "Model pack of insightface: its folder or its det_10g.onnx."),
    )
    dlib_predictor: str | Path | None = field(
        default=None,
        metadata=_option("--dlib-predictor FILE", "Landmark file of dlib; makes the profile dfb256 exact."),
    )
    device: str = field(
        default="cpu", metadata=_option("--device D", "Device of the face detector: auto, cpu or cuda[:N].")
    )
    landmarks: str | None = field(
        default=None,
        metadata=_option(
            "--landmarks NAME",
            "Store dense landmarks: dlib-68, dlib-81 (trained on data for research only), mediapipe, average-face "
            "(approximate, needs no file) or an installed provider.",
        ),
    )
    landmark_model: str | Path | None = field(
        default=None, metadata=_option("--landmark-model FILE", "Model file of the landmark provider.")
    )
    patch: bool = field(
        default=False,
        metadata=_option("--patch", "Store the source pixels around each face as well, for dfbench recrop."),
    )
    masks: bool = field(
        default=False,
        metadata=_option("--masks", "Store crops of the fakes' mask videos as well (ff++, dfd, ffiw, folder)."),
    )
    condition: str | None = field(
        default=None,
        metadata=_option(
            "--condition SPEC", "Degrade the crops: jpeg:q=60, h264:crf=40@clip; faces are found in the clean frames."
        ),
    )
    time_limit: float = field(
        default=300,
        metadata=_option("--time-limit SECONDS", "Interrupt a clip of which no frame is read for so long.", kind=float),
    )
    retry: str | Sequence[str] = field(
        default=(),
        metadata=_option(
            "--retry STATUS,...",
            "Make the shards again that hold rows of a status: decode_error, missing_media, no_face.",
            repeat=True,
        ),
    )
    allow_missing: bool = field(
        default=False,
        metadata=_option(
            "--allow-missing", "Go on although media of finished shards are not in the tree, and drop their rows."
        ),
    )
    seed: int = field(
        default=0,
        metadata=_option("--seed N", "Seed of everything that is sampled at random; part of the recipe.", kind=int),
    )
    quiet: bool = field(default=False, metadata=_option("--quiet", "No progress bar, no summary."))
    mini: MiniSettings | None = field(
        default=None, metadata=_option("", "Settings of the embedded data set; for the data set mini.")
    )

    def __post_init__(self) -> None:
        # Sequences become tuples, so that equal requests compare equal; one sampling rule may be given as a string.
        for name in ("subsets", "splits", "manipulations"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        object.__setattr__(self, "sampling", _tuple(self.sampling))
        object.__setattr__(self, "retry", _tuple(self.retry))
        sizes = (self.sizes,) if isinstance(self.sizes, int) else self.sizes
        object.__setattr__(self, "sizes", tuple(sizes) if sizes else None)


def _tuple(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def called_with_options(
    request: Callable[P, PreparationRequest],
) -> Callable[[Callable[[PreparationRequest], T]], Callable[P, T]]:
    """Let a function that works on a request be called with the request's fields.

    Args:
        request: :class:`PreparationRequest`.

    Returns:
        A decorator. The decorated function has the signature of ``request``, for :mod:`inspect`, editors and type
        checkers, and its docstring lists all options.
    """

    def decorate(function: Callable[[PreparationRequest], T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return function(request(*args, **kwargs))

        returns = inspect.signature(function).return_annotation
        signature = inspect.signature(request).replace(return_annotation=returns)
        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = (function.__doc__ or "").replace("    Returns:\n", f"{_arguments()}\n\n    Returns:\n", 1)
        return call

    return decorate


def _arguments() -> str:
    # The section of a docstring that describes all options.
    lines = ["    Args:"]
    for option in fields(PreparationRequest):
        said = declaration(option)
        lines.append(f"        {option.name}: {said.help}" + (f" Default: {said.assumed}." if said.assumed else ""))
    return "\n".join(lines)
