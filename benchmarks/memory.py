"""The peak memory of a fused training, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.machine import peak_kib
from fer_lightning.shell.configuration import project_root


def peak_mib(jobs: Sequence[Sequence[str]]) -> int:
    """Return the peak memory, in MiB, of a process that trains these jobs together, uncompiled."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"],
        cwd=project_root(),
        input=json.dumps([[*job, "compile=false"] for job in jobs]),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


def main() -> None:
    """Train the jobs given on standard input, and print the peak memory of this process in MiB."""
    from benchmarks import fused_run

    fused_run.epoch_seconds(json.load(sys.stdin))
    print(peak_kib() >> 10)


if __name__ == "__main__":
    main()
