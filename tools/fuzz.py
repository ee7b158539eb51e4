"""Damage valid examples of every type of file that dfbench reads, and run the readers on them.

    python tools/fuzz.py --seconds 300 --seed 1

A reader may accept a file or raise an error class of dfbench. Any other exception, a crash, a hang or the use of too
much memory is a fault: its file is kept, and the exit code is 1. Readers run in a child process with a limit on time
and memory for each file. File number n of a seed is always the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from fuzz_files import damaged_copy, make_examples  # noqa: E402 - beside this file

OUTCOMES = ("files", "clean errors", "accepted", "faults")


# --- readers, in the child process


def read_media(path: Path) -> None:
    """Frames of a clip or an image."""
    from dfbench.media.reader import read

    read(path, lambda count: list(range(min(count, 4))))


def read_archive(path: Path) -> None:
    """The listing of an archive and its images."""
    from dfbench.datasets.archives import list_archive, read_sequences

    for _ in read_sequences(path, list(list_archive(path).sequences)[:3]):
        pass


def read_manifest(folder: Path) -> None:
    """What inspect, verify and evaluate read of a manifest."""
    from dfbench.errors import DfbenchError
    from dfbench.io import file_sha256
    from dfbench.manifest.info import read_info, write_info
    from dfbench.manifest.manifest import open_manifest
    from dfbench.manifest.summary import breakdown
    from dfbench.manifest.verify import verify

    try:  # a stranger's manifest.json would state the hashes of the stranger's shards
        info = read_info(folder)
        shards = tuple(s.model_copy(update={"sha256": file_sha256(folder / s.file)}) for s in info.shards)
        write_info(folder, info.model_copy(update={"shards": shards}))
    except DfbenchError:
        pass
    verify(folder)
    manifest = open_manifest(folder)
    breakdown(manifest)
    table = manifest.table()
    rows = [row["sample_id"] for row in table.to_pylist() if row["status"] == "ok"]
    for size in manifest.info.sizes[:2]:
        for _ in manifest.crops(rows[:20], size):
            pass


def read_list(folder: Path) -> None:
    """The label file of a data set, by the adapter that its folder names."""
    from dfbench.datasets.registry import get_adapter

    get_adapter(folder.name.partition("-")[2]).scan(folder)


def read_protocol(path: Path) -> None:
    """A protocol."""
    from dfbench.protocols.files import load_protocol

    load_protocol(path)


def read_scores(path: Path) -> None:
    """Scores of another program, imported as a run, and the run opened again."""
    from dfbench.interchange.scores import import_scores

    import_scores(path, path.parent / "run", overwrite=True)


def read_run(folder: Path) -> None:
    """A run folder, as report and compare open it."""
    from dfbench.evaluation.run import open_run
    from dfbench.report import render, result_rows

    run = open_run(folder)
    render(result_rows([run.result], [run.label]), "md")


def read_weights(path: Path) -> None:
    """Weights of another project, or weights with a card."""
    from dfbench.models.convert.checkpoint_files import read_foreign
    from dfbench.models.weights import load_weights

    if path.is_dir():
        load_weights(path / "w.safetensors")
    else:
        read_foreign(path)


READERS: dict[str, Callable[[Path], None]] = {
    "media": read_media,
    "archives": read_archive,
    "manifests": read_manifest,
    "shards": read_manifest,
    "lists": read_list,
    "protocols": read_protocol,
    "scores": read_scores,
    "runs": read_run,
    "weights": read_weights,
}


PRELOADED = ("cv2", "av", "pandas", "torch", "dfbench.interchange.scores", "dfbench.models.weights", "reference_models")


def serve() -> None:
    """Run readers on the files that standard input names, and answer with the outcome of each."""
    from dfbench.errors import DfbenchError

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in PRELOADED:  # so that the limit on time is that of the reader
        import_module(name)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind, path = json.loads(line)
        try:
            READERS[kind](Path(path))
            outcome = "accepted", ""
        except DfbenchError as error:
            bad = any(ord(character) < 32 and character not in "\n\t" for character in error.message)
            outcome = ("faults", f"control characters: {error.message!r}") if bad else ("clean errors", "")
        except Exception:  # noqa: BLE001 - what is looked for
            outcome = "faults", traceback.format_exc()
        print(json.dumps(outcome), file=answers, flush=True)


# --- the run


class Child:
    """The process of the readers; started again after a crash, a hang or too much memory."""

    def __init__(self, limit_s: float, megabytes: int) -> None:
        self._limit_s, self._bytes = limit_s, megabytes * 2**20
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, kind: str, path: Path) -> tuple[str, str]:
        """Return the outcome of a reader, and for a fault its description."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([kind, str(path)]).encode() + b"\n")
        process.stdin.flush()
        end = time.monotonic() + self._limit_s
        while not select.select([process.stdout], [], [], 0.02)[0]:
            why = f"no answer in {self._limit_s:.0f} s" if time.monotonic() > end else ""
            why = why or (f"more than {self._bytes >> 20} MB" if resident(process.pid) > self._bytes else "")
            if why:
                self.close()
                return "faults", why
        line = process.stdout.readline()
        if not line:
            return "faults", f"the process ended with status {process.wait()}"
        outcome, text = json.loads(line)
        return str(outcome), str(text)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def fuzz(options: argparse.Namespace, base: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Run until the time or the number of files is reached; returns the counts by kind, and the faults."""
    examples = [e for e in make_examples(base / "examples") if not options.kind or e.kind in options.kind]
    kinds = list(dict.fromkeys(example.kind for example in examples))
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    faults: list[str] = []
    child = Child(options.limit, options.memory)
    end = time.monotonic() + options.seconds
    number = options.start
    try:
        while time.monotonic() < end and number - options.start < options.files:
            kind = kinds[number % len(kinds)]
            rng = np.random.default_rng((options.seed, number))
            of_kind = [example for example in examples if example.kind == kind]
            folder = base / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            path = damaged_copy(of_kind[int(rng.integers(0, len(of_kind)))], folder, rng)
            outcome, text = child.run(kind, path)
            counts[kind].update(("files", outcome))
            if outcome == "faults":
                kept = Path(options.keep) / f"{options.seed}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(folder, kept)
                faults.append(f"{kind}, number {number}, kept in {kept}:\n{text}")
                print(faults[-1], file=sys.stderr, flush=True)
            number += 1
    finally:
        child.close()
    return counts, faults


def table(counts: dict[str, Counter[str]]) -> str:
    """The counts as a Markdown table."""
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [*counts.items(), ("all", total)]
    lines = [f"| type | {' | '.join(OUTCOMES)} |", "|---|" + "---:|" * len(OUTCOMES)]
    return "\n".join([*lines, *(f"| {kind} | {' | '.join(str(c[o]) for o in OUTCOMES)} |" for kind, c in rows)])


PAGE = """# Damaged files

Written by `python tools/fuzz.py --seed {seed} --page docs/results/fuzzing.md`; do not edit by hand. dfbench {version},
Python {python}.

Valid examples of every type of file that dfbench reads were damaged: bytes changed anywhere or in headers and footers,
parts removed, repeated or blanked, files truncated, words of texts exchanged or replaced by values that a stranger
would try (paths, numbers without end, deep nesting, terminal escapes). A reader accepts a file or raises an error of
dfbench with a hint, within {limit:.0f} seconds and {memory} MB; anything else would be a fault. `make test-long`
repeats a short run.

{table}
"""


def write_page(file: Path, counts: dict[str, Counter[str]], options: argparse.Namespace) -> None:
    """Write the page of the documentation."""
    from dfbench import __version__

    values = {"seed": options.seed, "limit": options.limit, "memory": options.memory}
    text = PAGE.format(**values, version=__version__, python=platform.python_version(), table=table(counts))
    file.write_text(text, "utf-8")


def main() -> None:
    """Parse the options, run, and print the counts."""
    if sys.argv[1:] == ["--serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long; default 60")
    parser.add_argument("--files", type=int, default=10**9, help="largest number of files")
    parser.add_argument("--seed", type=int, default=0, help="of the damage; default 0")
    parser.add_argument("--start", type=int, default=0, help="number of the first file, to repeat one")
    parser.add_argument("--kind", action="append", choices=list(READERS), help="only this type; repeat")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for a file; default 20")
    parser.add_argument("--memory", type=int, default=2048, help="megabytes of the readers' process; default 2048")
    parser.add_argument("--page", help="Markdown page to write the counts to, where there is no fault")
    parser.add_argument("--keep", default="fuzz-faults", help="folder for files that caused a fault")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, faults = fuzz(options, Path(folder))
    print(table(counts))
    if options.page and not faults:
        write_page(Path(options.page), counts, options)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
