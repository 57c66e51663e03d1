"""Run what the documentation shows: Python as it stands, commands as far as Hydra composes them."""

import importlib.util
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from sybil import Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from fer_lightning.runs import without_resume
from fer_lightning.shell.command_line import (
    as_overrides,
    gather_words,
    with_own_classes,
    with_patterns,
)
from fer_lightning.shell.configuration import CONF, register_resolvers

ROOT = Path(__file__).parent
COMPILED = (ROOT / "gmm" / "kernels", ROOT / "fer_lightning" / "fused" / "native")

CONFIGS = {
    "train.py": "train",
    "fer-train": "train",
    "fer_lightning.train": "train",
    "fer-evaluate": "evaluate",
    "fer_lightning.evaluate": "evaluate",
    "fer_lightning.data": "faces",
    "fer-predict": "predict",
    "fer_lightning.predict": "predict",
    "fer-export": "export",
    "fer_lightning.export": "export",
    "fer-demo": "demo",
    "fer_lightning.demo": "demo",
    "fer_lightning.study": "study",
    "gmm-cluster": "gmm/cluster",
    "gmm.cluster": "gmm/cluster",
    "gmm-classify": "gmm/classify",
    "gmm.classify": "gmm/classify",
    "gmm-export": "gmm/export",
    "gmm.export": "gmm/export",
}


ARGUMENTS = {
    **dict.fromkeys(("evaluate", "export", "demo", "gmm/export"), "runs"),
    "predict": "sources",
}
FLAGS = {"predict": {"--camera": "camera", "model": "weights"}}


def compose_commands(example: Example) -> None:
    """Compose the configuration of each command of the project in a block of shell commands.

    Raises:
        Exception: A command is none that the project understands.
    """
    for line in example.parsed.splitlines():
        for command in line.split("&&"):
            _compose(shlex.split(command, comments=True))


def _compose(words: list[str]) -> None:
    """Compose the configuration of a command, or see that its module is there."""
    starts = {"python", "-m", "torchrun", "--nproc-per-node"}
    of_torchrun = "torchrun" in words
    words = [w for w in words if w not in starts and not (of_torchrun and w.isdigit())]
    if not words:
        return
    program, *rest = words
    if program not in CONFIGS:
        own = program.startswith(("benchmarks.", "fer_lightning.", "gmm."))
        assert not own or importlib.util.find_spec(program), f"there is no module {program}"
        return
    config = CONFIGS[program]
    if config == "faces" and rest[:1] == ["audit"]:
        config, rest = "audit", rest[1:]
    rest = as_overrides(rest, FLAGS.get(config, {}))
    overrides = without_resume([_first(word).replace("=~", "=") for word in rest])
    overrides = with_patterns([word for word in overrides if not word.startswith("-")])
    overrides = with_own_classes(overrides)
    if config in ARGUMENTS:
        overrides = gather_words(overrides, ARGUMENTS[config])
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose(config, overrides=overrides)


def _first(override: str) -> str:
    """Return an override with the first value of a sweep."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return override
    if not parsed.is_sweep_override():
        return override
    discrete = parsed.is_discrete_sweep()
    first = next(iter(parsed.sweep_string_iterator())) if discrete else parsed.value().start
    return f"{parsed.get_key_element()}={first}"


def enter_folder(namespace: dict[str, Any]) -> None:
    """Let the blocks of a page write to a folder that is thrown away."""
    namespace["_folder"], namespace["_before"] = tempfile.TemporaryDirectory(), Path.cwd()
    os.chdir(namespace["_folder"].name)


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where the tests were started."""
    os.chdir(namespace["_before"])
    namespace["_folder"].cleanup()


pages = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser(), CodeBlockParser("sh", compose_commands)],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/api/*.md"],
    setup=enter_folder,
    teardown=leave_folder,
)
docstrings = Sybil(
    parsers=[DocTestParser()],
    patterns=["gmm/*.py", "gmm/*/*.py"],
    document_types={".py": PythonDocStringDocument},
)
pytest_collect_file = (pages + docstrings).pytest()


def pytest_configure() -> None:
    """Delete compiled loops that are older than any file of their folder: one calls another."""
    for folder in COMPILED:
        changed = max(file.stat().st_mtime for file in folder.glob("*.py"))
        for kept in folder.glob("__pycache__/*.nb[ic]"):
            if kept.stat().st_mtime < changed:
                kept.unlink(missing_ok=True)
