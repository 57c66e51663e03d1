"""What is lost when processes are killed: `python -m benchmarks.faults [--kills 50]`.

Trainings (one saved within its epochs, one of two processes), a sweep, a fused group, a fit by EM
and the writing of a cache are killed with SIGKILL
at random moments, each at most three times, and resumed; then they must have left what an
uninterrupted run leaves. Prints the counts, and ends with status 1 if anything was lost.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lightning.data.cache import load
from fer_lightning.data.faces import FaceSplits
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.shell.configuration import project_root

KILLS_OF_ONE = 3
EPOCHS = {
    "training": 600,
    "long epochs": 25,
    "two processes": 250,
    "sweep": 150,
    "fused group": 400,
}
LIMIT_SECONDS = 300.0
OF_THE_DAY = {"seconds", "commit"}  # what two runs of the same settings may differ in


@dataclass(frozen=True)
class Case:
    """Something that can be killed and resumed.

    Attributes:
        name: What it is.
        program: What Python runs.
        settings: Its overrides.
        is_sweep: Whether its folder is that of a sweep.
    """

    name: str
    program: tuple[str, ...]
    settings: tuple[str, ...]
    is_sweep: bool = False

    def begin(self, folder: Path) -> list[str]:
        """Return the command line that starts the case in a folder."""
        key = "hydra.sweep.dir" if self.is_sweep else "hydra.run.dir"
        return [sys.executable, *self.program, *self.settings, f"{key}={folder}"]

    def resume(self, folder: Path) -> list[str]:
        """Return the command line that resumes the case, or starts it if it has not begun."""
        begun = folder if self.is_sweep else folder / ".hydra" / "overrides.yaml"
        if not begun.exists():
            return self.begin(folder)
        settings = self.settings if self.is_sweep else ()
        return [sys.executable, *self.program, *settings, f"resume={folder}"]


def cases(faces: Path, length: float = 1.0) -> list[Case]:
    """Return the cases to kill and resume, on the faces of a csv file.

    Args:
        faces: The file.
        length: Relative length of the trainings; with 1 each takes some seconds.
    """
    epochs = {name: f"trainer.max_epochs={round(length * n)}" for name, n in EPOCHS.items()}
    source = ("data=fer2013", f"data.path={faces}", "data.cache_dir=null")
    data = (*source, "checkpoint_every_seconds=0.3")
    train = (str(project_root() / "train.py"),)
    run = (*data, "threads=1", "trainer.accelerator=cpu", "data.batch_size=20", "compile=false")
    sweep = ("-m", *run, "optim.momentum=0.5", "optim.lr=0.01,0.1,1e30")
    fused = ("hydra/launcher=fused", "hydra.launcher.threads=1", "hydra.launcher.measure=false")
    within = ("data.batch_size=1", "checkpoint_every_seconds=0")
    em = (*data, "mixture.n_init=3", "mixture.max_iter=400", "mixture.n_components=5")
    return [
        Case("training", train, (*run, epochs["training"], "optim=adamw", "optim.lr=1e-4")),
        Case("long epochs", train, (*run, *within, epochs["long epochs"])),
        Case(
            "two processes",
            train,
            (*run, "trainer=ddp", "trainer.devices=2", epochs["two processes"]),
        ),
        Case("sweep", train, (*sweep, epochs["sweep"]), is_sweep=True),
        Case("fused group", train, (*sweep, *fused, epochs["fused group"]), is_sweep=True),
        Case("EM", ("-m", "gmm.cluster"), em),
    ]


def write_faces(path: Path, n: int = 200) -> Path:
    """Write a csv file of n faces of noise, each class with a grey level of its own."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for i in range(n):
            pixels = rng.integers(10 * (i % 7), 256 - 10 * (i % 7), 2304)
            usage = ("Training", "Training", "PublicTest", "Training", "PrivateTest")[i % 5]
            writer.writerow([i % 7, " ".join(map(str, pixels)), usage])
    return path


def killed_after(command: list[str], seconds: float | None, log: Path) -> int:
    """Run a command, kill it if it still runs after `seconds`, and return its exit status."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("a") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, start_new_session=True
        )
        try:
            return process.wait(LIMIT_SECONDS if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def kill_and_resume(case: Case, folder: Path, moments: list[float], log: Path) -> tuple[int, int]:
    """Start a case, kill and resume it at each moment, and then let it run to its end.

    Moments are in seconds after each start.

    Returns:
        The status with which it ended, and how often it was killed.
    """
    command, n_kills = case.begin(folder), 0
    for moment in moments:
        status = killed_after(command, moment, log)
        if status != -signal.SIGKILL:
            return status, n_kills
        n_kills += 1
        command = case.resume(folder)
    return killed_after(command, None, log), n_kills


def left(folder: Path) -> dict[str, Any]:
    """Return the content of each file that a case has written, without times and the commit.

    Raises:
        Exception: A file cannot be read.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and ".hydra" not in name:
            reader = READERS.get(path.suffix)
            if reader:
                found[name] = reader(path)
            elif "tfevents" in name:
                found[str(Path(name).parent / "events")] = _events(path.parent)
    return found


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: v for key, v in row.items() if key not in OF_THE_DAY} for row in rows]


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if key not in OF_THE_DAY}


def _tensors(path: Path) -> Any:
    content = torch.load(path, weights_only=True)
    for name in ("callbacks",) if path.name == "last.ckpt" else ():
        content.pop(name)  # holds names and sizes of the event files
    return content


def _picture(path: Path) -> bytes:
    return Image.open(path).tobytes()


def _events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = events.Tags()
    shown = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
    seen = {tag: [(e.step, None) for e in events.Images(tag)] for tag in tags["images"]}
    return {**shown, **seen}


READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _table,
    ".json": _json,
    ".ckpt": _tensors,
    ".pt": _tensors,
    ".png": _picture,
}


def different(a: Any, b: Any, place: str = "") -> list[str]:
    """Return the places where two contents differ; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        missing = [f"{place}/{key}" for key in a.keys() ^ b.keys()]
        return missing + [
            d for k in a.keys() & b.keys() for d in different(a[k], b[k], f"{place}/{k}")
        ]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for x, y in zip(a, b, strict=True) for d in different(x, y, place)]
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a.nan_to_num(1e30), b.nan_to_num(1e30)) else [place]
    return [] if a == b else [place]


def check(case: Case, expected: dict[str, Any], folder: Path, log: Path, status: int) -> str:
    """Compare a killed case with an uninterrupted run, and return the outcome.

    It is `as if nothing had happened`, `lost`, `unreadable` or `different`.
    """
    if status != 0:
        print(f"{case.name}: status {status} in {folder}; {log.read_text()[-2000:]}")
        return "lost"
    try:
        found = left(folder)
    except Exception as error:  # whatever the readers say of a damaged file
        print(f"{case.name}: {folder}: {error!r}")
        return "unreadable"
    places = different(expected, found)
    if places:
        print(f"{case.name}: {folder}: {', '.join(places[:10])}")
        return "different"
    return "as if nothing had happened"


def fault_cache(faces: Path, folder: Path, rng: random.Random) -> str:
    """Kill a process that repeatedly writes a cache, read the cache, and return the outcome."""
    code = (
        "import shutil, sys; from fer_lightning.data import Fer2013, load\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    load(Fer2013(sys.argv[1]), sys.argv[2]); shutil.rmtree(sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, str(faces), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 1))
        process.kill()
    for path in folder.glob("*.npz"):
        try:
            with np.load(path, allow_pickle=False) as arrays:
                _ = [arrays[name] for name in arrays.files]
        except Exception as error:
            print(f"cache: {path}: {error!r}")
            return "unreadable"
    source = Fer2013(str(faces))
    same = _fingerprint(load(source, folder)) == _fingerprint(load(source, None))
    return "as if nothing had happened" if same else "different"


def _fingerprint(splits: FaceSplits) -> str:
    return splits.fingerprint()


def run(kills: int, seed: int, folder: Path, length: float) -> Counter[str]:
    """Kill the cases in turn until there were `kills` kills; return the count of each outcome."""
    rng = random.Random(seed)
    faces = write_faces(folder / "faces.csv")
    outcomes: Counter[str] = Counter()
    n_kills: Counter[str] = Counter()
    expected, seconds = {}, {}
    for case in cases(faces, length):
        began = time.monotonic()
        log = folder / f"{case.name}.log"
        status = killed_after(case.begin(folder / case.name), None, log)
        seconds[case.name] = time.monotonic() - began
        expected[case.name] = left(folder / case.name)
        print(f"{case.name}: {seconds[case.name]:.0f} s uninterrupted, status {status}", flush=True)
    i = 0
    while n_kills.total() < kills:
        for case in cases(faces, length):
            place, log = folder / f"{case.name} {i}", folder / f"{case.name} {i}.log"
            moments = [rng.uniform(0.2, 1) * seconds[case.name] for _ in range(KILLS_OF_ONE)]
            status, n = kill_and_resume(case, place, moments, log)
            n_kills[case.name] += n
            outcome = check(case, expected[case.name], place, log, status)
            outcomes[outcome] += 1
            print(f"{case.name}: {n} kills, {outcome}", flush=True)
            if outcome == "as if nothing had happened":
                shutil.rmtree(place)
        outcomes[fault_cache(faces, folder / f"cache {i}", rng)] += 1
        n_kills["cache write"] += 1
        i += 1
    print(f"{n_kills.total()} kills: {dict(n_kills)}")
    return outcomes


def main() -> None:
    """Print the count of each outcome, and exit with status 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--length", type=float, default=1.0, help="of the trainings")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; printed")
    parser.add_argument("--folder", type=Path, default=None, help="kept, with what went wrong")
    args = parser.parse_args()
    seed = random.randrange(10**6) if args.seed is None else args.seed
    print(f"seed {seed}")
    folder = args.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = run(args.kills, seed, folder, args.length)
    for outcome, n in outcomes.items():
        print(f"{n:4d} {outcome}")
    sys.exit(0 if set(outcomes) == {"as if nothing had happened"} else 1)


if __name__ == "__main__":
    main()
