"""Signals of schedulers and closed terminals end a command as Ctrl-C does; telemetry is off in every process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dfbench.preparation.execution.decoder_messages import name_messages
from dfbench.preparation.execution.subprocess_worker import WorkerProcess
from dfbench.startup import TELEMETRY, telemetry_state

ROOT = Path(__file__).resolve().parents[2]

# A command that waits for a worker, and one more process that was forked inside it.
HANDLED = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
WAITING = """
import os, sys, time
import click
from dfbench.cli import main
from dfbench.preparation.execution.decoder_messages import name_messages
from dfbench.preparation.execution.subprocess_worker import WorkerProcess

def work():
    print("ready", file=sys.stderr, flush=True)
    time.sleep(60)

@click.command()
def wait():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    with WorkerProcess() as process:
        process.run(work)

main.COMMANDS["wait"] = (f"{__name__}:wait", "Wait.")
if __name__ == "__main__":
    main.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGTERM, 143, "error: stopped by SIGTERM"),
        (signal.SIGHUP, 129, "error: stopped by SIGHUP"),
        (signal.SIGINT, 130, "error: interrupted"),
    ],
)
def test_a_signal_to_all_processes_gives_one_line(tmp_path: Path, number: int, code: int, line: str) -> None:
    (tmp_path / "waiting.py").write_text(WAITING, "utf-8")
    process = subprocess.Popen(
        # nohup, under which the tests may run, ignores SIGHUP, which children inherit.
        [sys.executable, "-c", f"{HANDLED}; import waiting; waiting.main.main()", "wait"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "starting: ready\n"
    os.killpg(process.pid, number)
    rest = process.stderr.read()
    assert process.wait(timeout=60) == code
    if number != signal.SIGINT:  # the forked process of this test prints its own interruption
        assert rest.split("\n", 1)[1].splitlines() == [
            line,
            "hint: finished work is kept; rerun the same command to resume",
        ]
    assert line in rest


def complain() -> None:
    """What libpng does with a damaged image, some lines twice."""
    name_messages("mini/c23/real/0\x1b[31m")
    os.write(2, b"libpng error: IDAT\nlibpng error: IDAT\n1\n2\n3\n4\n")
    for n in range(300):  # faster than they are printed
        name_messages(f"mini/c23/fake/{n}")
        os.write(2, f"message {n}".encode())


def test_messages_of_decoders_are_printed_with_the_clip(capfd: pytest.CaptureFixture[str]) -> None:
    with WorkerProcess() as process:
        process.run(complain)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("mini/")]
    assert lines[:3] == [f"mini/c23/real/0\\x1b[31m: {text}" for text in ("libpng error: IDAT", "1", "2")]
    assert lines[3:] == [f"mini/c23/fake/{n}: message {n}" for n in range(300)]


def environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in TELEMETRY}


def test_telemetry_is_off_in_this_process_and_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment() == dict(TELEMETRY)
    assert telemetry_state().startswith("off")
    with WorkerProcess() as process:
        assert process.run(environment) == dict(TELEMETRY)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert telemetry_state() == "set by the environment: ORT_DISABLE_TELEMETRY=0"


def test_the_telemetry_of_openvino_cannot_be_imported(tmp_path: Path) -> None:
    """It has no variable; installed or not, it is as if it were not."""
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('it was imported')", "utf-8")
    code = "import dfbench\ntry:\n    import openvino_telemetry\nexcept ImportError:\n    print('refused')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "refused\n"


def test_telemetry_is_off_before_libraries_are_imported() -> None:
    code = "import sys, dfbench, os; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 False\n"


# A search for faces in a worker process, as in preparation.
SEARCH = """
import numpy as np
from dfbench.faces.detectors import build_face_detector
from dfbench.preparation.execution.subprocess_worker import WorkerProcess

def work():
    return len(build_face_detector("centerface-full").detect([np.zeros((64, 64, 3), np.uint8)]))

if __name__ == "__main__":
    with WorkerProcess() as process:
        assert process.run(work) == work() == 1
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="places of other systems are not known here")
def test_libraries_write_nothing_to_the_home_of_the_user(tmp_path: Path) -> None:
    """ONNX Runtime writes a device id and a data base of events there unless telemetry is off."""
    home = tmp_path / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY and not name.startswith("XDG")}
    clean |= {"PYTHONPATH": str(ROOT), "HOME": str(home), "DFBENCH_HOME": str(tmp_path / "own")}
    (tmp_path / "search.py").write_text(SEARCH, "utf-8")
    subprocess.run([sys.executable, str(tmp_path / "search.py")], env=clean, cwd=tmp_path, check=True)
    written = [path.relative_to(home).parts for path in home.rglob("*") if path.is_file()]
    assert [parts for parts in written if "dfbench" not in parts] == []
