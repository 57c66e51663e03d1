"""Runs commands in processes that have PyTorch, Lightning and Hydra before they begin.

A command comes as a line of JSON on stdin. It becomes what a process forked from this one does
until its end, as any Python program ends; two lines on stdout tell the id of that process and, when
it has ended, its status.
"""

import gc
import importlib
import json
import os
import runpy
import sys
from typing import Any

from hydra.core.plugins import Plugins

IMPORTED = (
    "fer_lightning.evaluation.job",
    "fer_lightning.evaluation.output",
    "fer_lightning.fused.single_run",
    "fer_lightning.sweeps.launching.fused_sweep",
    "gmm.faces.classify_report",
    "gmm.faces.cluster_report",
    "torch.utils.tensorboard",
)


def next_command() -> dict[str, Any]:
    """Return the next command, in a process of its own; end the server if there is none."""
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            return json.loads(line)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(folder: str, environment: dict[str, str], files: list[str], words: list[str]) -> None:
    """Run a command in this process.

    Args:
        folder: In which it is started.
        environment: All of its environment.
        files: Standard input, output and error.
        words: The path of a script or the name of a module, and the words after it.
    """
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR), number)
    program, sys.argv = words[0], words
    if program.endswith(".py"):
        sys.path[0] = os.path.dirname(program)  # noqa: PTH120
        runpy.run_path(program, run_name="__main__")
    else:
        sys.path[0] = folder
        sys.modules.pop(program, None)  # or Python warns that it runs a second time
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    Plugins.instance()
    gc.collect()
    gc.freeze()  # what a forked process never touches, it does not copy
    print("ready", flush=True)
    become(**next_command())
