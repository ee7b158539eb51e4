from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dfbench.errors import DataError, UsageError
from dfbench.protocols.check import check_protocol
from dfbench.protocols.files import load_protocol, shipped_protocols
from dfbench.protocols.protocol import Protocol, Sampling
from dfbench.protocols.reference import EARLIER, protocol_ref
from dfbench.resources import protocols_folder
from dfbench.schema.result import ProtocolRef

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMPAT = Path(__file__).resolve().parents[1] / "compat"


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


def full() -> Protocol:
    """A protocol whose every field that is left out while it has its default would enter the content."""
    return Protocol.model_validate(
        raw(
            training={"augmentation": {"degradations": ["jpeg:q=60"]}},
            threshold={"rule": "eer"},
            unverified=["u"],
            caution="c",
        )
    )


def fields_of(model: BaseModel, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all fields that are no tables themselves; of the data parts, those of the first."""
    found = []
    for name, value in model:
        part = value[0] if name == "data" else value
        found += fields_of(part, (*path, name)) if isinstance(part, BaseModel) else [(*path, name)]
    return found


def edited(model: BaseModel, path: tuple[str, ...]) -> Any:
    """A copy with another value in one field; not validated, as a value need not fit the others for its hash."""
    name, *rest = path
    old = getattr(model, name)
    if rest:
        part = edited(old[0] if name == "data" else old, tuple(rest))
        return model.model_copy(update={name: (part, *old[1:]) if name == "data" else part})
    changed = {
        bool: lambda: not old,
        int: lambda: old + 1,
        float: lambda: old + 0.25,
        str: lambda: old + "x",
        tuple: lambda: (*old, "x"),
        dict: lambda: {**old, "x": "y"},
        type(None): lambda: Sampling(frames=3) if name == "sampling" else 3,
    }
    return model.model_copy(update={name: changed[type(old)]()})


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("path", fields_of(full()), ids=".".join)
def test_every_field_but_the_prose_enters_the_hash(path: tuple[str, ...]) -> None:
    before, after = full(), edited(full(), path)
    assert (after.hash == before.hash) == (path in {("summary",), ("unverified",), ("caution",)})
    assert after.hash_with_prose != before.hash_with_prose


def test_shipped_protocols_know_their_hashes_in_version_0_1_0() -> None:
    with (protocols_folder() / EARLIER).open() as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["earlier_hash"] for row in rows}) == len(rows) == 35
    for row in rows:
        protocol = load_protocol(row["name"])
        if protocol.version == int(row["version"]):
            assert protocol.hash == row["hash"]
            assert protocol_ref(protocol).earlier == (row["earlier_hash"],)


def test_a_protocol_of_a_user_knows_its_hash_in_version_0_1_0(tmp_path: Path) -> None:
    stored = COMPAT / "v0_1_0"
    old = ProtocolRef.model_validate(json.loads((stored / "tiny.json").read_text())["protocol"])
    new = protocol_ref(load_protocol(stored / "tiny.toml"))
    assert new.hash != old.hash
    assert new.same_content(old)
    text = (stored / "tiny.toml").read_text()
    (tmp_path / "tiny.toml").write_text(text.replace("frames = 2", "frames = 3"))
    assert not protocol_ref(load_protocol(tmp_path / "tiny.toml")).same_content(old)


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
        ({"sampling": {"frames": 8, "max": 2}}, "max requires every"),
        ({"task": "multiclass"}, "classes"),
        ({"real_classes": ["real"]}, "not in classes"),
        ({"task": "multiclass", "classes": ["real", "swap"], "real_classes": ["reel"]}, "'reel', which is not in"),
        ({"task": "multiclass", "classes": ["a", "b"], "real_classes": ["a", "b"]}, "none would be fake"),
        ({"surprise": 1}, "surprise"),
        ({"name": "Has Blanks"}, "name"),
    ],
)
def test_invalid_protocols_are_refused_with_the_field(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Protocol.model_validate(raw(**changes))


@pytest.mark.parametrize(
    ("name", "reals", "numbers"),
    [
        ("mini", (), (0,)),
        ("grnet/hff-multi", ("CelebA", "CelebA-HQ", "YouTube-Frame"), (0, 1, 2)),
        ("grnet/components@me5", ("CelebA", "CelebA-HQ", "YouTube-Frame"), (0, 1, 2)),
        ("grnet/hff-multi@six", ("real",), (0,)),
        ("grnet/ffpp-multi@both", ("real",), (0,)),
    ],
)
def test_real_classes_are_known_without_any_samples(
    name: str, reals: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    protocol = load_protocol(name)
    assert (protocol.reals, protocol.real_numbers) == (reals, numbers)
    assert "real_classes" not in protocol.model_dump(mode="json")


def test_declared_real_classes_take_precedence_and_unknown_ones_are_asked_for() -> None:
    task = {"task": "multiclass", "classes": ["phone", "studio", "swap"]}
    with pytest.raises(DataError, match=r"which of the classes are real\? phone, studio, swap"):
        _ = Protocol.model_validate(raw(**task)).reals
    with pytest.raises(DataError, match="which of the classes are real"):
        check_protocol(Protocol.model_validate(raw(**task)))
    declared = Protocol.model_validate(raw(**task, real_classes=["studio"]))
    assert (declared.reals, declared.real_numbers) == (("studio",), (1,))
    merged = Protocol.model_validate(raw(**task, merge={"real": "phone"}))
    assert merged.reals == ("phone",)
    assert declared.hash != merged.hash


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
