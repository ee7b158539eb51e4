"""Complaints about other benchmarks that concern protocols, splits, selection and tables: each has a test.

The numbers follow the list of complaints that dfbench was designed against.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from paper_runs import write_paper_run

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, ModelError
from dfbench.evaluation.run import open_runs
from dfbench.models.card import IntendedUse, SelectionRecord, WeightCard, check_card
from dfbench.protocols.files import load_protocol, protocol_names
from dfbench.report.papers import build, load_table, paper_table
from dfbench.report.papers.matching import why_not
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published

PUBLISHED = load_published(facts_folder() / "published_results.csv")


def test_complaint_01_a_table_cannot_be_reproduced(tmp_path: Path) -> None:
    """The printed number stands beside ours, with the rules of both and what differs."""
    run = write_paper_run(tmp_path / "run", "deepfakebench/v1", "xception", "celeb-df-v2")
    text = paper_table("deepfakebench", open_runs([run]))
    published, ours = [x for x in text.splitlines() if x.startswith("Xception")]
    assert "73.65" in published
    assert "[" in ours
    assert "Selected on test: the printed values are the mean of the three best test results" in text
    assert "dfb256~ crops of 256 px" in text
    assert "weights selected by auc.frame on val" in text


def test_complaint_02_the_checkpoint_is_chosen_on_the_test_set(tmp_path: Path) -> None:
    assert {load_protocol(name).selection.split for name in protocol_names()} <= {"val", "none"}
    file = tmp_path / "oracle.toml"
    file.write_text(
        'name = "oracle"\nversion = 1\nsource = "s"\nsummary = "s"\n'
        '[[data]]\nrole = "test"\ndataset = "ff++"\nsplit = "test"\n[selection]\nsplit = "test"\n'
    )
    with pytest.raises(DataError, match="selects on the test split does not load"):
        load_protocol(file)


def test_complaint_05_which_data_a_protocol_needs_is_said_before_work_starts() -> None:
    from dfbench.protocols.needs import needs, prepare_commands

    for name in protocol_names():
        protocol = load_protocol(name)
        assert set(needs(protocol)) == set(protocol.datasets())
        assert len(prepare_commands([protocol])) == len(protocol.datasets())


def test_complaint_08_reals_are_lost_and_test_clips_train(tmp_path: Path) -> None:
    """Both folders of reals take part in Celeb-DF, and no listed test clip is in its training split."""
    clips = ["Celeb-real/id0_0000.mp4", "YouTube-real/00000.mp4", "YouTube-real/00170.mp4"]
    for clip in (*clips, "Celeb-synthesis/id0_id1_0000.mp4"):
        (tmp_path / clip).parent.mkdir(exist_ok=True)
        (tmp_path / clip).touch()
    (tmp_path / "List_of_testing_videos.txt").write_text("1 YouTube-real/00170.mp4\n")
    media = get_adapter("celeb-df-v2").scan(tmp_path).media
    split = {m.name: m.split for m in media}
    assert split == {"id0_0000": "train", "00000": "train", "00170": "test", "id0_id1_0000": "train"}
    for name in protocol_names():
        for part in load_protocol(name).data:
            assert part.role == "test" or part.split != "test"


def test_complaint_09_and_10_what_has_no_score_is_counted_and_its_rule_is_printed() -> None:
    for table in ("cross", "diffusionfake-1", "grnet-8"):
        assert "samples without a score: exclude" in paper_table(table)
    assert load_protocol("sbi/cross").failure_policy == "as-chance"


def test_complaint_14_another_crop_breaks_a_detector_without_a_word(tmp_path: Path) -> None:
    card = WeightCard(
        model="grnet", num_classes=2, profile="native", size=128, selection=SelectionRecord(split="none", epoch=1),
        mini=False,
    )  # fmt: skip
    rules = load_protocol("grnet/hff-binary")
    with pytest.raises(ModelError, match="trained on 'native' crops of 128 pixels, the data are 'box' crops"):
        check_card(card, tmp_path / "w.safetensors", IntendedUse(profile=rules.crops.profile, size=rules.crops.size))
    run = write_paper_run(tmp_path / "run", "grnet/hff-binary", rule={"profile": "native"})
    (loaded,) = open_runs([run])
    assert "crop profile is native, the cell's box" in why_not(load_table("grnet-5"), loaded)


def test_complaint_15_which_face_of_several_is_a_field_of_the_protocol() -> None:
    assert {
        load_protocol(name).sampling_of(p).faces for name in protocol_names() for p in load_protocol(name).data
    } == {"largest"}
    assert any("the largest face" in text for text in load_protocol("sbi/cross").unverified)


@pytest.mark.parametrize(
    ("table", "protocol", "dataset", "column"),
    [
        ("cross", "cross/v1", "celeb-df-v2", "Celeb-DF-v2"),
        ("diffusionfake-1", "diffusionfake/cross", "dfdcp", "DFDC-P AUC"),
    ],
)
def test_complaint_17_frame_level_or_video_level(
    tmp_path: Path, table: str, protocol: str, dataset: str, column: str
) -> None:
    """A cell takes the number of its own level, of its own data set: DFDC preview is not DFDC."""
    run = write_paper_run(tmp_path / "run", protocol, "xception", dataset)
    grid = build(load_table(table), PUBLISHED, open_runs([run]))
    (ours,) = [line for line in grid.lines if line.name == "Xception" and line.source == "dfbench"]
    filled = {c.head: cell for c, cell in zip(grid.table.column, ours.cells, strict=True) if cell.fits}
    assert column in filled
    level = "video.mean" if table == "cross" else "frame"
    assert {fit.value.name.partition(".")[2] for cell in filled.values() for fit in cell.fits} == {level}
    assert not {"DFDC", "FF++ c23", "DFD AUC"} & set(filled)


def test_complaint_19_compressions_are_mixed_up(tmp_path: Path) -> None:
    """A run on c40 fills no cell of c23, and the other way round."""
    light = write_paper_run(tmp_path / "light", "grnet/ffpp-binary", dataset="ff++", subset="c23")
    heavy = write_paper_run(tmp_path / "heavy", "grnet/ffpp-binary@c40", dataset="ff++", subset="c40", gap=0.5)
    mixed = write_paper_run(tmp_path / "mixed", "grnet/ffpp-binary", "meso4", "ff++", subset="c40")
    grid = build(load_table("grnet-7"), PUBLISHED, open_runs([light, heavy, mixed]))
    found = {
        line.name: [[fit.run.folder.name for fit in cell.fits] for cell in line.cells[:2]]
        for line in grid.lines
        if line.source == "dfbench"
    }
    assert found["GRnet"] == [["light"], ["heavy"]]
    assert found["Meso-4"] == [[], []]


def test_complaint_22_a_training_that_cannot_be_is_named_in_its_protocol() -> None:
    assert "Only reals are listed for training" in load_protocol("sbi/cross").unverified[0]


def test_an_official_split_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """DFD has no official split: all of it is tested, and protocols say so."""
    assert any("DFD has no official split" in text for text in load_protocol("cross/v1").unverified)
    for name in protocol_names():
        parts = [p for p in load_protocol(name).data if p.dataset == "dfd"]
        assert {(p.role, p.split) for p in parts} <= {("test", "test")}
