"""Valid examples of every type of file that dfbench reads, and ways to damage them; see ``tools/fuzz.py``."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Example:
    """A valid file, or a folder in which one file is damaged.

    Attributes:
        kind: a type of files, as ``tools/fuzz.py`` names it.
        path: the file or folder.
        damaged: the file in the folder that is damaged; empty if ``path`` is a file.
        packed: the file is inflated before it is damaged, and compressed again.
    """

    kind: str
    path: Path
    damaged: str = ""
    packed: bool = False


def make_examples(base: Path) -> list[Example]:
    """Write the examples below a folder."""
    return [
        *media_examples(base / "media"),
        *archive_examples(base / "archives"),
        *manifest_examples(base / "manifests"),
        *list_examples(base / "lists"),
        *text_examples(base / "texts"),
        *weight_examples(base / "weights"),
    ]


def drawn_image(seed: int, side: int = 48) -> np.ndarray:
    """A smooth random image: uint8 (side, side, 3)."""
    grid = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    return np.kron(grid, np.ones((8, 8, 1), np.uint8))


def media_examples(folder: Path) -> Iterator[Example]:
    """Images and clips of the common formats."""
    import cv2

    from dfbench.media.encode import write_clip

    folder.mkdir(parents=True)
    for suffix in ("png", "jpg", "webp", "bmp", "tiff", "jp2", "ppm", "gif"):
        done, data = cv2.imencode(f".{suffix}", drawn_image(1))
        if done:
            (folder / f"a.{suffix}").write_bytes(data.tobytes())
            yield Example("media", folder / f"a.{suffix}")
    for suffix in ("mp4", "mkv", "avi", "mov"):
        write_clip(folder / f"a.{suffix}", [drawn_image(n) for n in range(6)], 25, 23)
        yield Example("media", folder / f"a.{suffix}")
    yield from sequence_examples(folder)
    yield from heif_examples(folder)


def sequence_examples(folder: Path) -> Iterator[Example]:
    """Animations and pages in formats of still images."""
    from PIL import Image, features

    first, *rest = (Image.fromarray(drawn_image(n)) for n in range(4))
    for suffix, options in (
        ("animated.png", {"duration": 40}),
        ("animated.webp", {"duration": 40}),
        ("lossless.webp", {"duration": 40, "lossless": True}),
        ("animated.gif", {"duration": 40}),
        ("animated.avif", {"duration": 40}),
        ("pages.tiff", {"compression": "tiff_lzw"}),
        ("plain.tiff", {}),
    ):
        if suffix.endswith("avif") and not features.check("avif"):
            continue
        first.save(folder / suffix, save_all=True, append_images=rest, **options)
        yield Example("media", folder / suffix)


def heif_examples(folder: Path) -> Iterator[Example]:
    """Images in tiles and single ones, turned, mirrored and cropped."""
    from heif_files import clean_aperture, coded_av1, coded_hevc, grid, mirrored, turned, write_heif
    from PIL import features

    shown = clean_aperture(80, 40, 2, 0), turned(1), mirrored(1)
    for name, encode in (("heic", coded_hevc), *([("avif", coded_av1)] if features.check("avif") else [])):
        tiles = [encode(drawn_image(n, 64)) for n in range(4)]
        yield Example("media", write_heif(folder / f"grid.{name}", grid(tiles, 2, 100, 90, *shown), brand=name))
        yield Example("media", write_heif(folder / f"one.{name}", tiles[:1], brand=name))


def archive_examples(folder: Path) -> Iterator[Example]:
    """Tar archives of images in the GNU and the PAX format, compressed or not."""
    import io
    import tarfile

    from dfbench.media.images import encode_png

    folder.mkdir(parents=True)
    for number, form in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        for suffix, mode in (("tar", "w"), ("tar.gz", "w:gz")):
            path = folder / f"{number}.{suffix}"
            with tarfile.open(path, mode, format=form) as archive:
                for name in ("0/1.png", "0/2.png", f"{'n' * 120}/3.png", "é/4.png"):
                    info = tarfile.TarInfo(name)
                    data = encode_png(drawn_image(number, 16))
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
            yield Example("archives", path)
            if suffix == "tar.gz":
                yield Example("archives", path, packed=True)


def manifest_examples(folder: Path) -> Iterator[Example]:
    """A manifest of one shard, damaged in manifest.json or in the shard."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from evaluation.conftest import build  # the same drawn patterns that the tests evaluate

    made = build(folder / "m", groups=2)
    yield Example("manifests", made, "manifest.json")
    yield Example("shards", made, "shard-00000.parquet")


def list_examples(folder: Path) -> Iterator[Example]:
    """Data sets with label files, whose media are empty files."""

    def touch(*names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    touch("1-folder/a/0.mp4", "1-folder/a/1.mp4")
    lines = "path,label,split,group\na/0.mp4,real,train,g0\na/1.mp4,fake,test,g1\n"
    (folder / "1-folder" / "media.csv").write_text(lines, "utf-8")
    yield Example("lists", folder / "1-folder", "media.csv")
    touch("2-dfdc/dfdc_train_part_0/a.mp4", "2-dfdc/dfdc_train_part_0/b.mp4")
    labels = {
        "a.mp4": {"label": "REAL", "split": "train"},
        "b.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
    }
    (folder / "2-dfdc" / "dfdc_train_part_0" / "metadata.json").write_text(json.dumps(labels), "utf-8")
    yield Example("lists", folder / "2-dfdc", "dfdc_train_part_0/metadata.json")

    touch(*(f"3-ff++/original_sequences/youtube/c23/videos/{name}.mp4" for name in ("000", "003")))
    touch(*(f"3-ff++/manipulated_sequences/Deepfakes/c23/videos/{name}.mp4" for name in ("000_003", "003_000")))
    (folder / "3-ff++" / "splits").mkdir()
    for split, pairs in (("train", [["000", "003"]]), ("val", [["001", "002"]]), ("test", [["004", "005"]])):
        (folder / "3-ff++" / "splits" / f"{split}.json").write_text(json.dumps(pairs), "utf-8")
    yield Example("lists", folder / "3-ff++", "splits/train.json")

    touch("4-folder/a.mp4", "4-folder/b.mp4", "4-folder/c.mp4", "4-folder/m.mp4")
    lines = "path;label;base;source;mask;identity_target\na.mp4;original;;;;é\n"
    lines += "b.mp4;0;;;nan;\nc.mp4;1;a.mp4;b.mp4;m.mp4;é\n"
    (folder / "4-folder" / "media.csv").write_bytes(lines.encode("utf-16"))
    yield Example("lists", folder / "4-folder", "media.csv")
    paths = ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/FaceSwap/GHOST/id0_id1_0000.mp4")
    touch(*(f"5-celeb-df++/{path}" for path in paths))
    (folder / "5-celeb-df++" / "List_of_testing_videos.txt").write_text(f"1 {paths[0]}\n0 {paths[1]}\n", "utf-8")
    yield Example("lists", folder / "5-celeb-df++", "List_of_testing_videos.txt")
    touch("6-fakeavceleb/FakeVideo-FakeAudio/Asian (East)/men/id1/0_1.mp4")
    lines = "source,target1,method,type,path,\nid1,id2,fsgan,FakeVideo-FakeAudio,0_1.mp4,x\n"
    (folder / "6-fakeavceleb" / "meta_data.csv").write_text(lines, "utf-8")
    yield Example("lists", folder / "6-fakeavceleb", "meta_data.csv")
    touch("7-deepfake-eval-2024/video-data/0.mp4", "7-deepfake-eval-2024/video-data/1.mp4")
    lines = "Filename,Video Ground Truth\n0.mp4,Real\n1.mp4,Unknown\n"
    (folder / "7-deepfake-eval-2024" / "video-metadata-publish.csv").write_text(lines, "utf-8")
    yield Example("lists", folder / "7-deepfake-eval-2024", "video-metadata-publish.csv")


def text_examples(folder: Path) -> Iterator[Example]:
    """A protocol, files of scores, and a run."""
    import pandas as pd

    from dfbench.interchange.scores import import_scores
    from dfbench.resources import protocols_folder

    folder.mkdir(parents=True)
    for name in ("mini", "grnet/hff-multi", "robustness/v1"):
        source = protocols_folder() / f"{name}.toml"
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
            yield Example("protocols", folder / source.name)
    rows = [
        {"media_id": f"x/all/{'real' if n % 2 else 'F'}/{n}", "label": 1 - n % 2, "score": n / 40} for n in range(40)
    ]
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "s.csv", index=False)
    frame.to_csv(folder / "s.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "s.parquet")
    frame.to_feather(folder / "s.feather")
    frame.to_json(folder / "s.json", orient="records")
    frame.to_json(folder / "s.jsonl", orient="records", lines=True)
    frame.to_csv(folder / "s.txt", index=False, sep=";", decimal=",", encoding="utf-16")
    frame.to_csv(folder / "s.csv.gz", index=False)
    np.savez_compressed(folder / "s.npz", **{name: frame[name].to_numpy() for name in ("label", "score")})
    np.save(folder / "s.npy", frame.astype({"media_id": "S20"}).to_records(index=False))
    suffixes = ("csv", "tsv", "parquet", "feather", "json", "jsonl", "txt", "csv.gz", "npz", "npy")
    yield from (Example("scores", folder / f"s.{suffix}") for suffix in suffixes)
    import_scores(folder / "s.csv", folder / "run")
    yield from (Example("runs", folder / "run", name) for name in ("result.json", "scores.parquet"))


def weight_examples(folder: Path) -> Iterator[Example]:
    """Weights of torch.save and NumPy, safetensors, and weights of a small detector with their card."""
    import torch
    from safetensors.torch import save_file

    from dfbench.models.build import build_model
    from dfbench.models.card import SelectionRecord, WeightCard
    from dfbench.models.weights import save_weights

    folder.mkdir(parents=True)
    state = {"a.weight": torch.ones(4, 3), "a.bias": torch.zeros(4)}
    torch.save({"state_dict": state, "epoch": 1}, folder / "w.pth")
    torch.save({"state_dict": state, "state_dict_ema": state, "callbacks": {"EMA": {"decay": 0.9}}}, folder / "w.ckpt")
    np.savez_compressed(folder / "w.npz", **{name: value.numpy() for name, value in state.items()})
    save_file(state, folder / "w.safetensors")
    yield from (Example("weights", folder / f"w.{suffix}") for suffix in ("pth", "ckpt", "npz", "safetensors"))
    carded = folder / "carded"
    carded.mkdir()
    card = WeightCard(
        model="meso4",
        num_classes=2,
        profile="native",
        size=64,
        mini=True,
        selection=SelectionRecord(split="val", epoch=0),
    )
    save_weights(carded / "w.safetensors", build_model("meso4", image_size=64), card)
    yield from (Example("weights", carded, name) for name in ("w.json", "w.safetensors"))


# --- damage


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes anywhere."""
    changed = bytearray(data)
    for place in rng.integers(0, len(data), int(2 ** rng.uniform(0, 7))):
        changed[place] = int(rng.integers(0, 256))
    return bytes(changed)


def flip_ends(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes in the first or last kilobytes, where headers and footers are."""
    reach = min(len(data), int(2 ** rng.uniform(4, 13)))
    places = rng.integers(0, reach, int(rng.integers(1, 9)))
    changed = bytearray(data)
    for place in places if rng.random() < 0.5 else len(data) - 1 - places:
        changed[place] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(0, 256))]))
    return bytes(changed)


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """Keep the beginning."""
    return data[: int(rng.integers(0, len(data)))]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove, repeat or blank a part."""
    start, stop = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    middle = (b"", data[start:stop] * 2, bytes(stop - start), b"\xff" * (stop - start))[int(rng.integers(0, 4))]
    return data[:start] + middle + data[stop:]


TOKENS = (
    b"null|true|-1|0|1e999|NaN|99999999999999999999|"
    + b"9" * 5000
    + b'|""|"../../x"|"/etc/passwd"|"\\u001b[31m"|[]|{}|'
    b"{}|[[[[]]]]|" + b"[" * 5000 + b"|\x1b[31m|\r\n|\xff\xfe|=|,,,|\t|\0|nan|inf|caf\xe9|\xe2\x80\xae"
).split(b"|")


def replace_words(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a few words of a text by values that a stranger would try."""
    words = list(re.finditer(rb'"[^"\n]*"|[\w.+-]+|[{}\[\]=:,\n]', data))
    if not words:
        return data
    for number in sorted(rng.integers(0, len(words), int(rng.integers(1, 4))).tolist(), reverse=True):
        word = words[number]
        data = data[: word.start()] + TOKENS[int(rng.integers(0, len(TOKENS)))] + data[word.end() :]
    return data


def exchange_words(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a word of a text by another of its words, so that the text stays well formed."""
    words = list(re.finditer(rb'"[^"\n]*"|[\w.+-]+', data))
    if len(words) < 2:
        return data
    place, other = words[int(rng.integers(0, len(words)))], words[int(rng.integers(0, len(words)))]
    return data[: place.start()] + other[0] + data[place.end() :]


BINARY: tuple[Damage, ...] = (flip, flip_ends, flip_ends, truncate, cut)
TEXT: tuple[Damage, ...] = (
    exchange_words,
    exchange_words,
    exchange_words,
    replace_words,
    replace_words,
    flip,
    truncate,
    cut,
)


def damaged_copy(example: Example, folder: Path, rng: np.random.Generator) -> Path:
    """Write a damaged copy of an example and return its path."""
    target = folder / example.path.name
    if example.damaged:
        shutil.copytree(example.path, target)
        file = target / example.damaged
    else:
        folder.mkdir(parents=True, exist_ok=True)
        file = Path(shutil.copyfile(example.path, target))
    data = file.read_bytes()
    data = gzip.decompress(data) if example.packed else data
    damages = TEXT if file.suffix in (".json", ".toml", ".csv", ".tsv") else BINARY
    for _ in range(1 if rng.random() < 0.7 else 2):
        data = damages[int(rng.integers(0, len(damages)))](data or b"\0", rng)
    file.write_bytes(gzip.compress(data, 1) if example.packed else data)
    return target
