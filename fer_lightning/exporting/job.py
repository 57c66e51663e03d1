"""The export of a network: write the file, compare it with PyTorch, and say what came of it."""

import logging
import shutil
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.data import Synthetic
from fer_lightning.errors import InputError, SettingError, require
from fer_lightning.evaluation import DataSet, chosen_faces, run_faces
from fer_lightning.exporting.checking import Check, check
from fer_lightning.exporting.eight_bits import quantise
from fer_lightning.exporting.program import write_onnx, write_pt2
from fer_lightning.files import whole_file
from fer_lightning.recognition import Loaded, load, save
from fer_lightning.runs import find_network, run_settings

SUFFIXES = (".onnx", ".pt2", ".safetensors")
N_CALIBRATION = 500  # faces that set the ranges of 8 bits

log = logging.getLogger(__name__)


def export(config: DictConfig) -> None:
    """Write the network that a configuration names to a file.

    Args:
        config: The composed configuration of `conf/export.yaml`.

    Raises:
        InputError: A setting breaks its rule, or the network cannot be read or exported.
    """
    require(len(config.runs) <= 1, "runs", "be one run, or a checkpoint file", list(config.runs))
    rule = f"be a file that ends in {', '.join(SUFFIXES)}"
    require(isinstance(config.out, str), "out", rule, config.out)
    path = Path(config.out).expanduser()
    require(path.suffix in SUFFIXES, "out", rule, config.out)
    require(isinstance(config.int8, bool), "int8", "be true or false", config.int8)
    if config.int8 and path.suffix != ".onnx":
        raise SettingError("int8", "be false but for an ONNX file", config.int8)
    name = str(config.runs[0]) if config.runs else None
    loaded = load(name, config.checkpoint)
    if not loaded.calibrated:
        remedy = f"python -m fer_lightning.evaluate {name} split=val"
        log.warning("%s: its temperature is 1; %s fits one", name, remedy)
    data = _faces(config, name, loaded.image_size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if config.int8:
            _write_8_bits(path, loaded, data)
        else:
            _write(path, loaded, name)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    print(_text(path, check(path, loaded, data.splits.val), data.name, bool(config.int8)))


def _write(path: Path, loaded: Loaded, name: str | None) -> None:
    if path.suffix == ".onnx":
        write_onnx(path, loaded)
    elif path.suffix == ".pt2":
        write_pt2(path, loaded)
    else:
        save(path, loaded, _origin(name))


def _write_8_bits(path: Path, loaded: Loaded, data: DataSet) -> None:
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as part:
        made = Path(folder, path.name)
        write_onnx(made, loaded)
        quantise(made, data.splits.train.images[:N_CALIBRATION].numpy())
        shutil.copyfile(made, part)


def _origin(name: str | None) -> dict[str, object]:
    """Return the settings that a run was made with, without paths of this machine."""
    folder = find_network(name, "best").folder if name and Path(name).suffix == "" else None
    settings = run_settings(folder) if folder else {}
    return {k: v for k, v in settings.items() if not isinstance(v, str) or "/" not in v}


def _faces(config: DictConfig, name: str | None, size: int) -> DataSet:
    """Return the faces that are chosen, or those of the run, or drawn ones."""
    chosen = chosen_faces(config)
    folder = None
    if name is not None and Path(name).suffix != ".safetensors":
        folder = find_network(name, config.checkpoint).folder
    if chosen is None and folder is not None:
        try:
            chosen = run_faces(folder)
        except InputError as error:
            log.warning("%s; drawn faces take their place", error)
    if chosen is None:
        chosen = DataSet.of(Synthetic(), {"image_size": size})
    of_faces = chosen.splits.val.images.shape[-1]
    require(of_faces == size, "data.image_size", f"be that of the network, {size}", of_faces)
    return chosen


def _text(path: Path, found: Check, data: str, of_8_bits: bool) -> str:
    one, many = found.per_second
    what = "8-bit integers" if of_8_bits else "beside PyTorch"
    return "\n".join(
        (
            f"{path}: {path.stat().st_size:,} bytes",
            f"{what}, {found.n:,} val faces of {data}: greatest difference of logits "
            f"{found.difference:.2g}, {found.same:.2%} the same answers",
            f"accuracy {found.accuracy[0]:.2%} in PyTorch, {found.accuracy[1]:.2%} by the file",
            f"{one:,.0f} faces a second one at a time, {many:,.0f} in batches of 64",
        )
    )
