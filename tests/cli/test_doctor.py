"""``doctor`` names what is optional, what it is for, and how to get it."""

from __future__ import annotations

import pytest

from dfbench.cli import doctor
from dfbench.cli.main import run_command

EXTRAS = {"dlib": "dlib", "insightface": "insightface", "decord": "decord", "dask": "dask", "distributed": "dask"} | {
    "ray": "ray",
    "kornia_rs": "models",
}


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run_command(["doctor"]) == 0
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}


def test_what_is_missing_says_what_for_and_how(capsys, monkeypatch):
    there = doctor.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in EXTRAS else there(name))
    lines = said(capsys)
    for module, extra in EXTRAS.items():
        assert "not installed, needed for " in lines[module]
        assert f'pip install "deepfake-dfbench[{extra}]"' in lines[module]
    assert "--dlib-predictor" in lines["dlib"]
    assert "--face-model" in lines["insightface"]


def test_what_is_there_has_its_version_and_purpose(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: name)
    monkeypatch.setattr(doctor, "_installed", lambda distribution: "1.2.3")
    lines = said(capsys)
    assert lines["ray"].split() == ["ray", "1.2.3", "--engine", "ray"]
    assert "not installed" not in "".join(lines.values())


def test_whether_libraries_may_send_telemetry_is_said(capsys, monkeypatch):
    assert said(capsys)["telemetry"].split()[1] == "off"
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    assert "set by the environment: HF_HUB_DISABLE_TELEMETRY=0" in said(capsys)["telemetry"]
