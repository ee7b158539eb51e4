"""SCRFD from a model pack: a generated stand-in network takes the real way through insightface."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dfbench.errors import DataError, SetupError
from dfbench.faces.detectors import build_face_detector

STRIDES = (8, 16, 32)


def stand_in(path: Path, kind: int = 9) -> Path:
    """A network with SCRFD's interface that marks bright cells: two anchors a cell at three strides.

    The score of a cell is the logistic of its mean brightness, so that bright cells (and they alone) are faces; boxes
    reach one stride to each side of the cell's corner, the five points lie at fixed places in them.
    """
    nodes, weights = [], []
    outputs: list[list[object]] = [[], [], []]
    for group, channels in enumerate((1, 4, 10)):
        for stride in STRIDES:
            name = f"{group}_{stride}"
            kernel = np.zeros((2 * channels, 3, stride, stride), np.float32)
            bias = np.zeros(2 * channels, np.float32)
            if group == 0:
                kernel[0] = 40 / (3 * stride * stride)  # of two anchors one; input in [-1, 1]
                bias[:] = (-30, -100)
            elif group == 1:
                bias[:] = 1.0 + stride / 100
            else:
                bias[:] = [-0.5, -0.5, 0.5, -0.5, 0, 0, -0.4, 0.5, 0.4, 0.5] * 2
            shape = np.array([-1, channels], np.int64)
            weights += [
                numpy_helper.from_array(array, f"{part}{name}")
                for part, array in (("w", kernel), ("b", bias), ("s", shape))
            ]
            nodes += [
                helper.make_node(
                    "Conv",
                    ["input.1", f"w{name}", f"b{name}"],
                    [f"c{name}"],
                    kernel_shape=[stride, stride],
                    strides=[stride, stride],
                ),
                helper.make_node("Transpose", [f"c{name}"], [f"t{name}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t{name}", f"s{name}"], [f"r{name}" if group == 0 else f"o{name}"]),
            ]
            if group == 0:
                nodes.append(helper.make_node("Sigmoid", [f"r{name}"], [f"o{name}"]))
            outputs[group].append(helper.make_tensor_value_info(f"o{name}", TensorProto.FLOAT, [None, channels]))
    graph_input = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, None, None])
    wanted = [value for group in outputs for value in group][:kind]
    model = helper.make_model(
        helper.make_graph(nodes, "stand-in", [graph_input], wanted, weights),
        opset_imports=[helper.make_opsetid("", 11)],
    )
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("insightface")
    folder = tmp_path_factory.mktemp("pack")
    stand_in(folder / "det_10g.onnx")
    (folder / "w600k_r50.onnx").write_bytes(b"recognition, which is not opened")
    return folder


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("DFBENCH_INSIGHTFACE_MODEL", raising=False)
    monkeypatch.setattr("dfbench.faces.model_files.config_files", lambda: [tmp_path / "dfbench.toml"])


def spots(*places: tuple[int, int]) -> np.ndarray:
    """A black 320 x 320 frame, shown to the network twice as large, with white squares of 16 pixels."""
    frame = np.zeros((320, 320, 3), np.uint8)
    for x, y in places:
        frame[y : y + 16, x : x + 16] = 255
    return frame


def test_boxes_and_points_come_back_in_pixels_of_the_frame(pack: Path) -> None:
    detector = build_face_detector("insightface", model=pack)
    (faces,) = detector.detect([spots((32, 64))])
    assert faces
    face = faces[0]
    x1, y1, x2, y2 = face.box
    # The white square covers cell (2, 4) of stride 32 in the network's input, which is twice the frame.
    reach = 32 * 1.32 / 2
    assert (x1, y1, x2, y2) == pytest.approx((32 - reach, 64 - reach, 32 + reach, 64 + reach), abs=1e-3)
    assert face.landmarks == pytest.approx(
        np.array([(32 - 8, 64 - 8), (32 + 8, 64 - 8), (32, 64), (32 - 6.4, 64 + 8), (32 + 6.4, 64 + 8)]), abs=1e-3
    )
    assert 0.5 <= face.score <= 1
    assert (face.box.dtype, face.landmarks.dtype) == (np.float32, np.float32)
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in faces]
    assert areas == sorted(areas, reverse=True)
    assert detector.detect([spots()]) == [[]]


def test_red_is_not_taken_for_blue(pack: Path, tmp_path: Path) -> None:
    model = onnx.load(str(pack / "det_10g.onnx"))
    for weight in model.graph.initializer:
        if weight.name.startswith("w0_"):
            kernel = numpy_helper.to_array(weight).copy()
            kernel[0, 1:] = 0  # red alone counts
            kernel[0, 0] *= 3
            weight.CopyFrom(numpy_helper.from_array(kernel, weight.name))
    onnx.save(model, str(tmp_path / "red.onnx"))
    detector = build_face_detector("insightface", model=tmp_path / "red.onnx")
    red, blue = spots((32, 64)), spots((32, 64))
    red[:, :, 1:] = 0
    blue[:, :, :2] = 0
    assert detector.detect([red])[0]
    assert not detector.detect([blue])[0]


def test_a_frame_does_not_depend_on_its_batch(pack: Path) -> None:
    detector = build_face_detector("insightface", model=pack)
    frames = [spots((32, 64)), spots(), spots((160, 160), (32, 32))]
    together, alone = detector.detect_clip(frames), [detector.detect([frame])[0] for frame in frames]
    for one, other in zip(together, alone, strict=True):
        assert [f.box.tolist() for f in one] == [f.box.tolist() for f in other]
    with pytest.raises(DataError):
        detector.detect([frames[0].astype(float)])


def test_the_recipe_names_the_network(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = build_face_detector("insightface", model=pack)
    assert detector.fingerprint.startswith("insightface-v1:det_10g.onnx=")
    assert "input=640x640" in detector.fingerprint
    assert str(pack) not in detector.fingerprint
    assert build_face_detector("insightface", model=pack / "det_10g.onnx").fingerprint == detector.fingerprint
    monkeypatch.setenv("DFBENCH_INSIGHTFACE_MODEL", str(pack))
    assert build_face_detector("insightface").fingerprint == detector.fingerprint


def test_what_is_no_pack_is_said_to_be_none(pack: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "genderage.onnx").write_bytes(b"x")
    broken = tmp_path / "det_10g.onnx"
    broken.write_bytes(b"half a file")
    for given, words in (
        (None, "needs a model pack"),
        (tmp_path / "nowhere", "does not exist"),
        (empty, "is empty"),
        (other, r"no detection network .* only: genderage.onnx"),
        (broken, "does not load"),
        (stand_in(tmp_path / "three.onnx", 3), "has 3 outputs, not 9 or 15"),
    ):
        with pytest.raises(SetupError, match=words) as error:
            build_face_detector("insightface", model=given)
        assert error.value.hint


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "insightface", None)
    monkeypatch.setattr("dfbench.faces.scrfd.find_spec", lambda _: None)
    with pytest.raises(SetupError, match="insightface is not installed") as error:
        build_face_detector("insightface", model=tmp_path)
    assert "[insightface]" in error.value.hint
