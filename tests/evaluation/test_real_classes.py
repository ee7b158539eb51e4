"""P(fake) of a multi-class run is the same whichever rows are present, and the same for evaluation and score."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import softmax

from dfbench.errors import ModelError
from dfbench.evaluation.dataset import CLEAN_CONDITION
from dfbench.evaluation.scores_table import scores_table
from dfbench.models.card import IntendedUse, SelectionRecord, WeightCard, check_card
from dfbench.protocols.files import load_protocol
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.scores import FROM_MANIFEST

PROTOCOL = load_protocol("grnet/hff-multi")


def data_of(classes: tuple[str, ...]) -> SimpleNamespace:
    """Test samples as an evaluation sees them, one image of each class."""
    rows = []
    for number, name in enumerate(classes):
        fake = name not in PROTOCOL.reals
        media = media_id("hff", "all", name if fake else "real", f"{number:03d}")
        known = {
            "sample_id": sample_id(media, 0), "media_id": media, "dataset": "hff", "subset": "all",
            "manipulation": name if fake else "real", "split": "test", "scene_group": media, "label": int(fake),
            "class": name, "status": "ok", "identity_target": f"p{number}",
            "identity_source": f"q{number}" if fake else None,
        }  # fmt: skip
        rows.append({column: known.get(column) for column in FROM_MANIFEST})
    return SimpleNamespace(
        table=pa.Table.from_pylist(rows), ok=np.arange(len(rows)), protocol=PROTOCOL, condition=CLEAN_CONDITION,
        conditions=lambda condition: ["clean"] * len(rows),
    )  # fmt: skip


@pytest.mark.parametrize("absent", [(), ("YouTube-Frame",), ("CelebA", "YouTube-Frame"), PROTOCOL.reals])
def test_a_partial_manifest_gives_the_same_scores(absent: tuple[str, ...]) -> None:
    present = tuple(name for name in PROTOCOL.classes if name not in absent)
    logits = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    own = logits[[PROTOCOL.classes.index(name) for name in present]]
    table = scores_table(data_of(present), own, "m", "r")  # type: ignore[arg-type]
    assert table["identity_target"].to_pylist() == [f"p{number}" for number in range(len(present))]
    assert set(table["identity_source"].to_pylist()) >= {f"q{len(present) - 1}"}
    scores = table["score"].to_numpy()
    assert scores == pytest.approx(1 - softmax(own.astype(np.float64), axis=1)[:, :3].sum(axis=1))


def test_weights_with_other_real_classes_are_refused() -> None:
    card = WeightCard(
        model="meso4", num_classes=8, classes=PROTOCOL.classes, real_classes=("CelebA",), profile="box", size=128,
        mini=False, selection=SelectionRecord(split="unknown", epoch=0),
    )  # fmt: skip
    use = IntendedUse(classes=PROTOCOL.classes, real_classes=PROTOCOL.reals)
    with pytest.raises(ModelError, match=r"CelebA are real, of the task CelebA, CelebA-HQ, YouTube-Frame"):
        check_card(card, Path("w.safetensors"), use)
    check_card(card.model_copy(update={"real_classes": PROTOCOL.reals}), Path("w.safetensors"), use)
    check_card(card.model_copy(update={"real_classes": ()}), Path("w.safetensors"), use)
    assert "real_classes" not in card.model_copy(update={"real_classes": ()}).model_dump()
