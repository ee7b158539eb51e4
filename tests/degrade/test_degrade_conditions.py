"""The grammar of conditions, their canonical names, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.degrade import (
    Condition,
    apply,
    apply_clip,
    degradation_names,
    get_degradation,
    parse,
    severity_condition,
    suite,
    suite_names,
)
from dfbench.degrade.base import STAGES, Parameter
from dfbench.errors import DataError, UsageError

NAMES = """jpeg webp mean median gaussian-blur motion-blur gaussian-noise shot-noise salt-pepper resize brightness
contrast saturation gamma color-shift sharpen occlude shift h264 h265 av1 social""".split()


def test_every_degradation_is_there() -> None:
    assert sorted(degradation_names()) == sorted(NAMES)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("clean", "clean"),
        ("JP60", "JP60"),
        ("jpeg:q=60", "JP60"),
        ("mean:k=5", "ME5"),
        ("mean@source", "ME5@source"),
        ("jpeg:q=61", "jpeg:q=61"),
        ("jpeg:q=60@crop", "JP60"),
        ("jpeg:q=60+mean:k=5@source", "JP60+ME5@source"),
        ("h264:crf=40", "h264:crf=40@clip"),
        ("h264:crf=40@clip", "h264:crf=40@clip"),
        ("resize:scale=0.5+h264:crf=30", "resize:scale=0.5+h264:crf=30@clip"),
        ("resize:kernel=lanczos,scale=0.25", "resize:scale=0.25,kernel=lanczos"),
        ("resize:kernel=bicubic,scale=.5", "resize:scale=0.5"),
        ("gaussian-noise:sigma=8.0", "gaussian-noise:sigma=8"),
        ("social", "social:platform=whatsapp"),
        ("  JP60 ", "JP60"),
    ],
)
def test_canonical_names(text: str, name: str) -> None:
    condition = parse(text)
    assert condition.name == str(condition) == name
    assert parse(name) == condition
    assert hash(parse(name)) == hash(condition)
    assert condition.is_clean == (name == "clean")


def test_family_and_severity() -> None:
    assert (parse("JP60").family, parse("JP60").severity) == ("jpeg", 3)
    assert (parse("JP60@source").family, parse("JP60@source").severity) == ("jpeg@source", 3)
    assert parse("jpeg:q=61").severity is None
    assert parse("resize:scale=0.5,kernel=nearest").severity is None
    assert (parse("JP60+ME5").family, parse("JP60+ME5").severity) == ("jpeg+mean", None)
    assert (parse("clean").family, parse("clean").severity) == ("clean", None)


@given(st.sampled_from(NAMES), st.data())
def test_every_condition_reads_back_as_itself(name: str, data: st.DataObject) -> None:
    degradation = get_degradation(name)
    settings = ",".join(f"{p.name}={data.draw(values_of(p))}" for p in degradation.parameters)
    where = data.draw(st.sampled_from(degradation.stages))
    condition = parse(f"{name}:{settings}@{where}")
    assert parse(condition.name) == condition
    assert pickle.loads(pickle.dumps(condition)) == condition


def values_of(parameter: Parameter) -> st.SearchStrategy:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.odd:
        return st.integers(int(low) // 2, (int(high) - 1) // 2).map(lambda i: 2 * i + 1)
    return st.integers(int(low), int(high)) if parameter.whole else st.floats(low, high)


def test_the_suite_is_every_degradation_at_every_severity() -> None:
    conditions = suite()
    assert suite_names() == ("robustness/v1",)
    assert len({c.name for c in conditions}) == 5 * len(NAMES)
    assert [(c.family, c.severity) for c in conditions] == [(n, s) for n in degradation_names() for s in range(1, 6)]
    for condition in conditions:
        assert condition == severity_condition(condition.family, condition.severity or 0) == parse(condition.name)
        assert condition.where == get_degradation(condition.family).stages[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_degradation_says_what_it_is(name: str) -> None:
    degradation = get_degradation(name)
    assert degradation.summary
    assert degradation.rule
    assert degradation.source
    assert set(degradation.stages) <= set(STAGES)
    assert len(set(degradation.levels)) == 5
    first = degradation.parameters[0]
    for value in (*degradation.levels, first.default):
        assert first.read(str(value), name) == value
    for parameter in degradation.parameters:
        assert parameter.meaning
        assert parameter.read(str(parameter.default), name) == parameter.default


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jepg:q=60", "jpeg"),
        ("gausian-blur:sigma=2", "gaussian-blur"),
        ("JP61", "JP60"),
        ("jpeg:q=0", "from 1 to 100"),
        ("jpeg:q=101", "from 1 to 100"),
        ("jpeg:q=60.5", "whole number"),
        ("jpeg:q=high", "whole number from 1 to 100"),
        ("jpeg:q=nan", "from 1 to 100"),
        ("gaussian-noise:sigma=inf", "from 0.1 to 128"),
        ("mean:k=4", "odd number from 3 to 99"),
        ("resize:scale=2", "from 0.01 to 1"),
        ("resize:scale=0.5,kernel=bicubik", "bicubic"),
        ("jpeg:quality=60", "q"),
        ("jpeg:q=60,q=70", "once"),
        ("jpeg:q", "VALUE"),
        ("jpeg:", "name:key=value"),
        ("", "name:key=value"),
        ("JP60+", "name:key=value"),
        ("clean+JP60", "remove clean from the chain"),
        ("clean@clip", "write clean"),
        ("JP60@sauce", "source"),
        ("JP60@", "crop"),
        ("h264:crf=23@crop", "@clip"),
        ("h264:crf=52", "from 1 to 51"),
        ("shift:by=0.1@source", "@crop"),
        ("social:platform=whatsup", "whatsapp"),
    ],
)
def test_bad_conditions_are_refused_with_the_way_out(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint


def test_the_page_is_current() -> None:
    tool = Path(__file__).resolve().parents[2] / "tools" / "degradations.py"
    done = subprocess.run([sys.executable, str(tool), "page", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_bad_stages_and_severities_of_values() -> None:
    with pytest.raises(UsageError, match="stage"):
        Condition(parse("JP60").steps, "sauce")  # type: ignore[arg-type]
    for level in (0, 6):
        with pytest.raises(UsageError, match="severity"):
            severity_condition("jpeg", level)
    with pytest.raises(UsageError, match="suite"):
        suite("robustness/v2")


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        [[0, 0, 0]],
    ],
)
@pytest.mark.parametrize("spec", ["clean", "JP60", "h264:crf=30"])
def test_other_images_are_refused(image: np.ndarray, spec: str) -> None:
    with pytest.raises(DataError, match="uint8 images"):
        apply(spec, image, "a/b/c/d#000000.0")
    with pytest.raises(DataError, match="uint8 images"):
        apply_clip(spec, [image], "a/b/c/d", 25.0)


def test_an_image_that_a_format_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError, match="16400x2 pixels is too large for WEBP"):
        apply("webp:q=60", np.zeros((2, 16400, 3), np.uint8), "a")
    with pytest.raises(DataError, match="is too large for JPG"):
        apply("JP60", np.zeros((1, 65536, 3), np.uint8), "a")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 90)])
def test_small_and_odd_images_keep_their_shape(name: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = image.copy()
    for level in (1, 5):
        result = apply(severity_condition(name, level), image, "a/b/c/d#000000.0")
        assert result.shape == image.shape
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
    assert (image == before).all(), "the input was written to"


def test_mirrored_views_are_taken() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert (apply("ME5", image[:, ::-1], "a") == apply("ME5", image, "a")[:, ::-1]).all()
