"""Protocols that extend others, variants, fractional splits and random subsets."""

from __future__ import annotations

import csv
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dfbench.cli.main import run_command
from dfbench.errors import DataError, UsageError
from dfbench.evaluation.dataset import find_manifests
from dfbench.protocols.check import check_protocol
from dfbench.protocols.files import load_protocol, protocol_names, variants
from dfbench.protocols.needs import prepare_command, prepare_commands
from dfbench.protocols.protocol import Protocol
from dfbench.schema.random_media import FractionalSplit, RandomSubset

PINNED = Path(__file__).with_name("pinned.csv")
HEAD = 'name = "p"\nversion = 1\nsource = "s"\nsummary = "s"\n'
PART = '[[data]]\nrole = "{role}"\ndataset = "{dataset}"\nsplit = "{split}"\n{more}\n'


def part(role: str, split: str = "train", more: str = "", dataset: str = "dfdc") -> str:
    return PART.format(role=role, split=split, more=more, dataset=dataset)


def protocol(text: str) -> Protocol:
    return Protocol.model_validate(tomllib.loads(HEAD + text))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    monkeypatch.chdir(tmp_path)

    def make(name: str, text: str) -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return make


# Versions


def test_a_protocol_keeps_its_content_or_raises_its_version() -> None:
    """Pinned anew by: python tests/protocols/pin.py"""
    with PINNED.open() as stream:
        pinned = {row["name"]: row for row in csv.DictReader(stream)}
    assert sorted(pinned) == sorted(protocol_names()), "pin new protocols: python tests/protocols/pin.py"
    for name, row in pinned.items():
        loaded = load_protocol(name)
        assert loaded.version >= int(row["version"])
        if loaded.hash != row["hash"]:
            assert loaded.version > int(row["version"]), f"{name} has other content: raise its version and pin it anew"


@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_names_only_what_there_is(name: str) -> None:
    check_protocol(load_protocol(name))


def test_all_protocols_of_the_design_are_there() -> None:
    grnet = "hff-binary hff-multi ffpp-binary ffpp-multi dfdc celeb-df extractors fusions components"
    others = {"ffpp/cross-manipulation", "ffpp/leave-one-out", "rfm/dfdc", "rfm/ffpp", "rfm/celeb-df"}
    others |= {"mini", "cross/v1", "diffusionfake/cross", "mat/ffpp", "sbi/cross", "deepfakebench/v1", "robustness/v1"}
    assert {f"grnet/{name}" for name in grnet.split()} | others <= set(protocol_names())


def test_what_the_paper_says_of_its_data_is_in_the_files() -> None:
    ffpp = load_protocol("grnet/ffpp-binary")
    totals = {p.role: (ffpp.sampling_of(p).total_real, ffpp.sampling_of(p).total_per_method) for p in ffpp.data}
    assert (totals["train"], totals["test"]) == ((50_000, 12_500), (10_000, 2_500))
    assert (ffpp.crops.profile, ffpp.crops.size) == ("box", 128)
    levels = [load_protocol(f"grnet/ffpp-binary{v}").data[0].subsets for v in ("", "@c40", "@both")]
    assert levels == [("c23",), ("c40",), ("c23", "c40")]
    dfdc = load_protocol("grnet/dfdc")
    assert (dfdc.sampling.every, dfdc.sampling.max, dfdc.crops.size) == (30, 10, 224)
    assert {p.take for p in dfdc.data} == {RandomSubset(real=3399, fake=3299)}
    assert 3399 + 3299 == 6698
    for name in ("grnet/hff-binary", "grnet/hff-multi", "grnet/components"):
        for variant, condition in (("", "clean"), ("@jp60", "JP60"), ("@me5", "ME5")):
            loaded = load_protocol(name + variant).conditions
            assert (loaded.train, loaded.test) == (condition, (condition,))
    assert load_protocol("grnet/fusions").conditions.train == "JP60"
    assert len(load_protocol("grnet/hff-multi").classes) == 8
    assert len(load_protocol("grnet/hff-multi@six").classes) == 6
    slides = load_protocol("diffusionfake/cross")
    assert [slides.sampling_of(p).aligned for p in slides.data if p.role == "train"] == [270]
    assert [slides.sampling_of(p).frames for p in slides.data if p.role == "test"] == [100] * 5
    code = load_protocol("diffusionfake/cross@code")
    (totals,) = [code.sampling_of(p) for p in code.data if p.role == "train"]
    assert (totals.total_real, totals.total_per_method) == (720 * 50, 720 * (50 // 3))
    assert {p.dataset: code.sampling_of(p).frames for p in code.data if p.role == "test"} == {
        "celeb-df-v2": 5,
        "wilddeepfake": 2,
    }
    assert (slides.crops.size, code.crops.size) == (224, 256)
    for name in ("rfm/dfdc", "rfm/ffpp", "rfm/celeb-df"):
        assert {f"tpr@fpr={rate}.frame" for rate in ("0.01", "0.001", "0.0001")} <= set(
            load_protocol(name).metrics.names
        )
    sbi = {p.dataset: (p.split, p.subsets) for p in load_protocol("sbi/cross").data if p.role == "test"}
    assert (sbi["dfd"], sbi["ffiw"]) == (("test", ("raw",)), ("val", ()))
    assert load_protocol("mat/ffpp").failure_policy == "as-chance"


# Variants and extension


def test_a_variant_differs_in_what_it_states_and_in_its_hash(write: Callable[[str, str], Path]) -> None:
    text = HEAD + part("test", "test", 'subsets = ["c23"]', "ff++") + "[crops]\nsize = 64\n"
    text += '[variants.small]\nsummary = "t"\ncrops = { size = 32 }\n[variants.c40]\nsubsets = { c23 = "c40" }\n'
    file = write("mine.toml", text)
    plain, small, lower = (load_protocol(f"{file}{v}") for v in ("", "@small", "@c40"))
    assert (plain.name, small.name, lower.name) == ("p", "p@small", "p@c40")
    assert (small.crops.size, small.crops.profile, small.summary) == (32, "native", "t")
    assert (lower.crops.size, lower.data[0].subsets) == (64, ("c40",))
    assert len({plain.hash, small.hash, lower.hash}) == 3
    assert variants(file) == ("small", "c40")


def test_a_variant_may_replace_the_manipulations_of_a_role(write: Callable[[str, str], Path]) -> None:
    text = HEAD + part("train", "train", 'manipulations = ["Deepfakes", "FaceSwap"]', "ff++")
    text += part("test", "test", 'manipulations = ["Deepfakes", "FaceSwap"]', "ff++")
    text += '[variants.df]\nmanipulations = { train = ["Deepfakes"] }\n[variants.wrong]\nmanipulations = ["FaceSwap"]\n'
    file = write("mine.toml", text + '[variants.none]\nmanipulations = { val = ["FaceSwap"] }\n')
    found = {p.role: p.manipulations for p in load_protocol(f"{file}@df").data}
    assert found == {"train": ("Deepfakes",), "test": ("Deepfakes", "FaceSwap")}
    with pytest.raises(DataError, match="must map roles to lists"):
        load_protocol(f"{file}@wrong")
    with pytest.raises(DataError, match="of the role 'val', which no data part has"):
        load_protocol(f"{file}@none")


def test_an_extension_takes_over_what_it_does_not_state(write: Callable[[str, str], Path]) -> None:
    write("base.toml", HEAD + part("test") + '[metrics]\nnames = ["auc.frame"]\nthreshold = 0.4\n')
    file = write("more.toml", 'name = "q"\nversion = 3\nextends = "base.toml"\n[metrics]\nnames = ["eer.frame"]\n')
    loaded = load_protocol(file)
    assert (loaded.name, loaded.version, loaded.source) == ("q", 3, "s")
    assert (loaded.metrics.names, loaded.metrics.threshold) == (("eer.frame",), 0.4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "me.toml"\n', "extends itself"),
        ("extends = 3\n", "name of a protocol"),
        ("variants = 3\n", "variants must be tables"),
        ('extends = "grnet/hff-binry"\n', "unknown protocol 'grnet/hff-binry'"),
    ],
)
def test_broken_extensions(write: Callable[[str, str], Path], text: str, words: str) -> None:
    file = write("me.toml", text + HEAD + part("test"))
    with pytest.raises((DataError, UsageError), match=words):
        load_protocol(file)


def test_subsets_of_a_variant_must_be_names(write: Callable[[str, str], Path]) -> None:
    file = write("me.toml", HEAD + part("test") + "[variants.x]\nsubsets = { c23 = 4 }\n")
    with pytest.raises(DataError, match="must map names to names"):
        load_protocol(f"{file}@x")


def test_an_unknown_variant_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown protocol 'grnet/hff-binary@jp6'") as error:
        load_protocol("grnet/hff-binary@jp6")
    assert "grnet/hff-binary@jp60" in error.value.hint


# Lots


def test_shares_of_one_cut_are_apart_and_whole() -> None:
    units = [f"u{n}" for n in range(4000)]
    cuts = [FractionalSplit(0.0, 0.72), FractionalSplit(0.72, 0.8), FractionalSplit(0.8, 1.0)]
    held = [share.contains(units) for share in cuts]
    assert (sum(h.astype(int) for h in held) == 1).all()
    assert [h.mean() for h in held] == pytest.approx([0.72, 0.08, 0.2], abs=0.02)
    assert FractionalSplit(0.0, 0.72, seed=1).contains(units).tolist() != held[0].tolist()


@pytest.mark.slow
@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.floats(0.05, 0.95), st.randoms())
def test_a_share_depends_on_no_order(units: list[str], stop: float, random: Any) -> None:
    known = dict(zip(units, FractionalSplit(0.0, stop).contains(units).tolist(), strict=True))
    random.shuffle(units)
    assert FractionalSplit(0.0, stop).contains(units).tolist() == [known[u] for u in units]


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 1)), unique_by=lambda m: m[0]), st.integers(1, 9))
def test_a_larger_draw_holds_the_smaller(media: list[tuple[str, int]], number: int) -> None:
    small, large = RandomSubset(real=number, fake=number), RandomSubset(real=number + 3)
    assert large.covers(small)
    assert small.select(media) <= large.select(media)
    assert small.select(media) == small.select(reversed(media))
    for label in (0, 1):
        there = sum(kind == label for _, kind in media)
        assert sum(kind == label for name, kind in media if name in small.select(media)) == min(number, there)


def test_which_draws_serve_which() -> None:
    assert not RandomSubset(real=3).covers(None)
    assert not RandomSubset(real=3, seed=1).covers(RandomSubset(real=2))
    assert not RandomSubset(real=2, fake=9).covers(RandomSubset(real=3, fake=2))
    assert not RandomSubset(real=3, fake=2).covers(RandomSubset(real=3))


SHARE = "share = {{ start = {}, stop = {} }}"
DRAWN = "\ntake = { real = 3 }"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (part("train") + part("test"), "same train media for train and test"),
        (part("train", more='subsets = ["a"]') + part("test", more='subsets = ["b"]'), "its own share"),
        (part("train", more=SHARE.format(0, 0.6)) + part("test", more=SHARE.format(0.5, 1)), "its own share"),
        (part("train", more=SHARE.format(0, 0.5)) + part("test", more="share = { start = 0.5, seed = 1 }"), "share"),
        (part("train", more=SHARE.format(0, 0.5)) + part("test", more=SHARE.format(0.5, 1) + DRAWN), "differ in take"),
        (part("test", more="share = { start = 0.5, stop = 0.5 }"), "between 0 and 1"),
        (part("test", more="share = { begin = 0.5 }"), "begin"),
        (part("test", more='share = { stop = 0.5, by = "person" }'), "scene_group"),
        (part("test", more='share = { stop = 0.5, by = "frame" }'), "state this in caution"),
        (part("test", more="take = { seed = 3 }"), "needs a number of real or of fake"),
        (part("test", more="take = { real = 0 }"), "at least 1"),
        ('merge = { a = "b" }\n' + part("test"), "which is not in classes"),
    ],
)  # fmt: skip
def test_leaks_and_nonsense_do_not_load(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        protocol(text)


def test_unused_fields_leave_the_hash_alone() -> None:
    dumped = load_protocol("mini").model_dump(mode="json")
    assert not {"caution", "merge"} & set(dumped)
    assert not {"take", "share"} & set(dumped["data"][0])
    explicit = protocol(part("test") + "")
    assert protocol('caution = ""\n' + part("test")).hash == explicit.hash


# Commands


def test_variants_that_need_the_same_share_a_manifest() -> None:
    base, same, other = (
        load_protocol(n) for n in ("grnet/hff-binary", "grnet/hff-binary@jp60", "grnet/ffpp-binary@c40")
    )
    assert prepare_command("hff", same, base) == "dfbench prepare hff --protocol grnet/hff-binary"
    assert prepare_command("ff++", other, load_protocol("grnet/ffpp-binary")).endswith("grnet/ffpp-binary@c40")
    both = prepare_commands([load_protocol("grnet/ffpp-binary"), other, base, same])
    assert both == (
        "dfbench prepare ff++ --protocol grnet/ffpp-binary",
        "dfbench prepare ff++ --protocol grnet/ffpp-binary@c40 --out manifests/ff++-grnet-ffpp-binary@c40",
        "dfbench prepare hff --protocol grnet/hff-binary",
    )


def test_protocols_that_differ_in_manipulations_share_a_manifest_that_has_all_of_them() -> None:
    one, other, every = (load_protocol(f"ffpp/cross-manipulation{v}") for v in ("@df", "@nt", ""))
    assert prepare_commands([one]) == ("dfbench prepare ff++ --protocol ffpp/cross-manipulation@df",)
    for several in ([one, other], [one, every], [every, other]):
        assert prepare_commands(several) == ("dfbench prepare ff++ --protocol ffpp/cross-manipulation",)
    assert prepare_command("ff++", one, every) == "dfbench prepare ff++ --protocol ffpp/cross-manipulation"
    assert prepare_command("ff++", every, one) == "dfbench prepare ff++ --protocol ffpp/cross-manipulation"
    left_out = load_protocol("ffpp/leave-one-out@df")
    assert len(prepare_commands([left_out, load_protocol("ffpp/leave-one-out@nt-c40")])) == 2


def test_list_protocols_says_what_each_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "protocols", "--long"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(protocol_names()) + 1
    (dfdc,) = [x for x in lines if x.startswith("grnet/dfdc ")]
    assert "3399 real and 3299 fake clips sampled at random, every 30, at most 10 per clip; box crops of 224 px" in dfdc
    assert "dfbench prepare dfdc --protocol grnet/dfdc" in dfdc


def test_show_tells_what_the_source_leaves_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["protocol", "show", "grnet/dfdc@frame-random"]) == 0
    text = capsys.readouterr().out
    assert "open: The split: not published" in text
    assert "caution: frames of one clip are in both training and test data" in text
    assert "test: dfdc train, 20 % of its frames sampled at random" in text


def test_validate_a_file_of_ones_own(write: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    file = write("mine.toml", HEAD + part("test", "test") + "[variants.small]\ncrops = { size = 64 }\n")
    assert run_command(["protocol", "validate", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"valid: p version 1, {load_protocol(file).hash}"
    commands = [line.partition(": ")[2] for line in lines if ": dfbench " in line]
    assert f"dfbench prepare dfdc --protocol {file}" in commands
    assert f"dfbench evaluate --model M --protocol {file}@small" in commands
    assert not [line for line in lines if line.startswith(("train: ", "training: ", "selection: "))]


def test_a_protocol_with_training_data_shows_how_to_train(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["protocol", "show", "mini"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "train: dfbench train --model M --protocol mini" in lines
    assert any(line.startswith("training: ") for line in lines)
    assert any(line.startswith("selection: ") for line in lines)


def test_hints_name_the_file_of_ones_own(write: Callable[[str, str], Path]) -> None:
    file = write("mine.toml", HEAD + part("test", "test") + "[variants.small]\ncrops = { size = 64 }\n")
    assert load_protocol(file).typed == str(file)
    assert load_protocol(f"{file}@small").typed == f"{file}@small"
    assert load_protocol("mini").typed == "mini"
    assert load_protocol("grnet/hff-binary@jp60").typed == "grnet/hff-binary@jp60"
    assert pickle.loads(pickle.dumps(load_protocol(file))).typed == str(file)
    copy = file.with_name("copy.toml")
    copy.write_bytes(file.read_bytes())
    assert load_protocol(copy).hash == load_protocol(file).hash
    with pytest.raises(DataError) as caught:
        find_manifests(load_protocol(file), [], ("test",))
    assert f"--protocol {file}" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (part("test", "test", dataset="dfdx"), "unknown data set 'dfdx'"),
        (part("test", "test", 'subsets = ["c24"]', "ff++"), "c24"),
        (part("test", "test", 'manipulations = ["Deepfake"]', "ff++"), "did you mean 'Deepfakes'"),
        (part("test", "test") + '[metrics]\nnames = ["auk.frame"]\n', "auk.frame"),
        (part("test", "test") + '[crops]\nprofile = "nativ"\n', "nativ"),
        (part("test", "test") + '[metrics]\nnames = ["recall@class=foo.frame"]\n', "unknown class 'foo'"),
        (part("test", "test") + '[metrics]\nnames = ["acc.frame", "acc.frame"]\n', "'acc.frame' is listed twice"),
        (2 * part("test", "test"), "a data part of dfdc is listed twice"),
        (part("test", "test") + "[metrics]\ntreshold = 0.5\n", "did you mean 'threshold'"),
        (part("test", "test") + "[crop]\nsize = 64\n", "crop: unknown field, did you mean 'crops'"),
        (part("test", "test") + '[published.where]\nsource = "nobody"\n', "no published number"),
        (part("test", "test") + '[selection]\nsplit = "test"\n', "selects on the test split"),
        (part("test", "test") + "[variants.x]\ncrops = { size = 4 }\n", "crops.size"),
    ],
)
def test_validate_names_what_is_wrong(
    write: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert run_command(["protocol", "validate", str(write("mine.toml", HEAD + text))]) == 3
    assert words in capsys.readouterr().err
