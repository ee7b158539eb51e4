"""Workflows, Makefile, pre-commit, container file and project metadata name the same versions, targets and files."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from loading import load_file

from dfbench._version import __version__

TOP = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((TOP / ".github" / "workflows").glob("*.yml"))
PYPROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
RELEASE = load_file("tools/release_notes.py", "release_notes_tool")


def jobs(workflow: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(workflow.read_text("utf-8"))["jobs"])


def commands() -> list[tuple[str, str]]:
    """(workflow, shell command) of every step that runs one."""
    return [
        (workflow.name, line)
        for workflow in WORKFLOWS
        for job in jobs(workflow).values()
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
    ]


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (TOP / "Makefile").read_text("utf-8"), re.M))


def test_every_make_target_of_the_workflows_and_the_guide_exists() -> None:
    targets = makefile_targets()
    text = (TOP / "CONTRIBUTING.md").read_text("utf-8")
    used = {word for _, line in commands() for word in re.findall(r"\bmake ([a-z-]+)", line)}
    used |= set(re.findall(r"`make ([a-z-]+)", text + (TOP / "README.md").read_text("utf-8")))
    assert {"lint", "test", "docs", "test-lowest"} <= used
    assert used <= targets


def test_every_make_target_is_described_and_phony() -> None:
    text = (TOP / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.M)
    assert set(phony.split()) == makefile_targets()
    assert set(re.findall(r"^# make ([a-z-]+)", text, re.M)) == makefile_targets() - {"clean"}


def test_every_extra_of_the_workflows_exists() -> None:
    used = {
        extra
        for _, line in commands()
        for names in re.findall(r"\.\[([a-z,]+)\]|EXTRAS=([a-z,]+)", line)
        for extra in "".join(names).split(",")
    }
    ci = re.findall(r"EXTRAS:-([a-z,]+)", (TOP / ".ci" / "run").read_text("utf-8"))
    assert used >= {"models", "test", "docs"}
    assert used | set(ci[0].split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_matrix_covers_the_declared_python_versions() -> None:
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert PROJECT["requires-python"] == f">={declared[0]}"
    ci = jobs(TOP / ".github" / "workflows" / "ci.yml")
    assert ci["test"]["strategy"]["matrix"]["python"] == declared
    assert set(ci["install"]["strategy"]["matrix"]["python"]) == {declared[0], declared[-1]}
    for job in ("test", "install"):
        systems = {name.split("-")[0] for name in ci[job]["strategy"]["matrix"]["os"]}
        assert systems == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_have_least_permissions_and_time_limits(workflow: Path) -> None:
    permissions = yaml.safe_load(workflow.read_text("utf-8"))["permissions"]
    assert permissions in ({}, {"contents": "read"})
    for name, job in jobs(workflow).items():
        assert "timeout-minutes" in job, name
        granted = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert not granted or "actions/checkout" not in str(job["steps"]), f"{name} runs code of the checkout"


def test_only_the_upload_to_pypi_may_ask_for_an_identity_in_a_release() -> None:
    release = jobs(TOP / ".github" / "workflows" / "release.yml")
    may = [name for name, job in release.items() if "id-token" in job.get("permissions", {})]
    assert may == ["pypi"]
    assert release["pypi"]["environment"]["name"] == "pypi"


def test_the_source_distribution_names_files_that_exist() -> None:
    for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
        assert (TOP / name).exists(), name


def test_the_container_file_copies_what_exists_and_calls_the_command() -> None:
    text = (TOP / "Containerfile").read_text("utf-8")
    assert (TOP / re.findall(r"type=bind,source=(\S+),", text)[0]).is_file()
    assert re.findall(r"^(?:USER|ENTRYPOINT) (.*)$", text, re.M) == ["dfbench", '["dfbench"]']
    assert "dfbench" in PROJECT["scripts"]
    python = re.findall(r"^ARG PYTHON=(\S+)$", text, re.M)[0]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


def test_local_pre_commit_hooks_call_tools_of_the_extra_dev() -> None:
    hooks = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    (local,) = (repo["hooks"] for repo in hooks if repo["repo"] == "local")
    called = {Path(shlex.split(hook["entry"])[0]).name for hook in local}
    packages = {re.split(r"[<>=]", line)[0] for line in PROJECT["optional-dependencies"]["dev"]}
    assert called <= packages | {"lint-imports"}
    assert {"ruff", "mypy"} <= called


def test_the_citation_names_the_version() -> None:
    assert yaml.safe_load((TOP / "CITATION.cff").read_text("utf-8"))["version"] == __version__


CHANGELOG = "# Changelog\n\n## [0.2.0] - 2026-12-01\n\n### Added\n- This.\n\n## [0.1.0]\n\n- That.\n"


def test_release_notes_are_the_section_of_the_version() -> None:
    assert RELEASE.notes("v0.2.0", "0.2.0", CHANGELOG) == "### Added\n- This."


@pytest.mark.parametrize(
    ("tag", "version", "fault"),
    [
        ("v0.2.1", "0.2.0", "does not name version 0.2.0"),
        ("0.2.0", "0.2.0", "does not name version"),
        ("v0.3.0", "0.3.0", "no section for 0.3.0"),
        ("v0.1.0", "0.1.0", "has no date"),
    ],
)
def test_a_release_stops_where_tag_version_and_changelog_disagree(tag: str, version: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        RELEASE.notes(tag, version, CHANGELOG)


def test_the_changelog_has_a_section_for_this_version() -> None:
    assert f"\n## [{__version__}]" in (TOP / "CHANGELOG.md").read_text("utf-8")
