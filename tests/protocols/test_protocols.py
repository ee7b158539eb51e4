from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dfbench.errors import DataError, UsageError
from dfbench.protocols.files import load_protocol, shipped_protocols
from dfbench.protocols.protocol import Protocol

DOCS = Path(__file__).resolve().parents[2] / "docs"


def document_example() -> str:
    match = re.search(r"<!-- example: protocol -->\n```toml\n(.*?)```", (DOCS / "protocols.md").read_text(), re.S)
    assert match is not None
    return match[1]


def raw(**changes: Any) -> dict[str, Any]:
    return tomllib.loads(document_example()) | changes


@pytest.mark.parametrize("name", shipped_protocols())
def test_every_shipped_protocol_loads_and_is_complete(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.name == name
    assert len(protocol.hash) == 64
    assert protocol.metrics.names


def test_the_example_in_the_docs_is_a_valid_protocol(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(document_example())
    protocol = load_protocol(file)
    assert protocol.sampling.frames == 32
    assert protocol.datasets("test") == ("ff++",)


def test_the_hash_is_of_the_content_not_of_the_spelling() -> None:
    one = Protocol.model_validate(raw())
    reordered = Protocol.model_validate(dict(reversed(raw().items())))
    explicit = Protocol.model_validate(raw(failure_policy="exclude"))
    other = Protocol.model_validate(raw(failure_policy="as-real"))
    assert one.hash == reordered.hash == explicit.hash
    assert one.hash != other.hash


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"selection": {"split": "test", "metric": "auc.frame"}}, "selects on the test split"),
        ({"data": [{"role": "train", "dataset": "ff++", "split": "test"}]}, "test"),
        (
            {
                "data": [
                    {"role": "val", "dataset": "ff++", "split": "test"},
                    {"role": "test", "dataset": "ff++", "split": "test"},
                ]
            },
            "as val",
        ),
        ({"sampling": {"frames": 8, "every": 2}}, "either"),
        ({"sampling": {"frames": 0}}, "sampling.frames"),
        ({"sampling": {"frames": 8, "max": 2}}, "max goes with every"),
        ({"task": "multiclass"}, "classes"),
        ({"surprise": 1}, "surprise"),
        ({"name": "Has Blanks"}, "name"),
    ],
)
def test_invalid_protocols_are_refused_with_the_field(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Protocol.model_validate(raw(**changes))


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown protocol 'minni'") as error:
        load_protocol("minni")
    assert "'mini'" in error.value.hint


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no protocol file"):
        load_protocol(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(DataError, match="not valid TOML"):
        load_protocol(broken)
    broken.write_text(document_example().replace('split = "val"          #', 'split = "test" #'))
    with pytest.raises(DataError, match="selects on the test split"):
        load_protocol(broken)
