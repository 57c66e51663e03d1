"""The entry of all commands: Hydra, the folder of a run, readable mistakes, and signals."""

import atexit
import functools
import gc
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from fer_lightning.errors import InputError, Interrupted, one_line, require
from fer_lightning.files import full_disk_is_told, is_full, leave_full_disks_to_the_run
from fer_lightning.processes import handle_signals, leads, n_processes
from fer_lightning.runs import stored_settings, without_resume
from fer_lightning.shell.command_line import (
    as_overrides,
    flags_first,
    gather_words,
    of_a_trial,
    require_names_once,
    resumed,
    resuming_command,
    with_integers,
    with_own_classes,
    with_patterns,
)
from fer_lightning.shell.configuration import (
    CONF,
    explain,
    register_resolvers,
    require_keys,
    require_options,
)
from fer_lightning.shell.jobs import Jobs, begun_sweep

EXTRAS = {"joblib": "parallel", "submitit": "slurm"}  # by launcher

log = logging.getLogger(__name__)

Job = Callable[[DictConfig, Path, list[str]], object]


def command(
    config_name: str,
    job: Job,
    *,
    arguments: str | None = None,
    flags: Mapping[str, str] | None = None,
    end_sweep: Callable[[Path], None] | None = None,
) -> None:
    """Run a command line: compose `conf/<config_name>.yaml` and call the job, or a sweep of jobs.

    A mistake of the user ends it with one line on stderr and status 1, an unexpected fault with its
    traceback. With HYDRA_FULL_ERROR=1 in the environment, mistakes keep theirs too. A sweep goes on
    after a job that fails, and ends with status 1. SIGINT and SIGTERM end a command with status 130
    and 143, and a line that says how it goes on if it can.

    Args:
        config_name: Name of the primary configuration.
        job: Called with the configuration, the run's folder and the overrides.
        arguments: Setting, a list, that takes the words that are neither flags nor overrides.
        flags: Settings by other names, such as --camera for `camera`.
        end_sweep: Called with the folder of a sweep at its end, also if that is Ctrl-C.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    handle_signals()
    atexit.register(gc.freeze)  # to look once more for garbage at the end would take a second
    leave_full_disks_to_the_run()
    # shells leave the ~ of `data.path=~/faces.zip` alone, and Hydra's grammar does not know it
    words = [re.sub(r"(?<==)~(?=/)", str(Path.home()), word) for word in sys.argv[1:]]
    register_resolvers()
    sys.path.append(str(Path.cwd()))  # where classes of one's own are found
    jobs = Jobs(full_error)
    run = _SingleRun(job, full_error)

    def task(config: DictConfig) -> object:
        settings = HydraConfig.get()
        if settings.mode != RunMode.MULTIRUN:
            return run(config, settings)
        alone = "be 1 for a sweep; start it without torchrun"
        require(n_processes() == 1, "the number of processes", alone, n_processes())
        overrides = without_resume(settings.overrides.task)
        folder = Path(settings.runtime.output_dir)
        return jobs.run(functools.partial(job, config, folder, overrides), settings)

    stopped: Interrupted | None = None
    try:
        given = as_overrides(words, flags or {})
        given = gather_words(given, arguments) if arguments else given
        given = with_integers(with_patterns(given))
        require_options(given)
        require_names_once(given)
        require_keys(given, config_name)
        if config_name == "train":
            given = of_a_trial(with_own_classes(given))
        sys.argv[1:] = resumed(flags_first(given))
        if not leads():
            _step_back()
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()
    except (HydraException, OmegaConfBaseException, InputError) as error:
        if isinstance(error, InstantiationException) and isinstance(error.__cause__, InputError):
            error = error.__cause__  # of a sweeper or a launcher
        if full_error or isinstance(error, InstantiationException):
            raise error  # what went wrong in there is a fault, or it would be an InputError
        sys.exit(one_line(explain(error, config_name)) if leads() else 1)
    except OSError as error:  # what Hydra itself writes
        if full_error or not is_full(error):
            raise
        sys.exit("the disk is full; free some space and start again")
    except RuntimeError as error:
        extra = re.match(r"Unknown plugin class : 'hydra_plugins\.hydra_(\w+)_launcher", str(error))
        if not extra:
            raise
        sys.exit(f"hydra/launcher needs another package: pip install -e '.[{EXTRAS[extra[1]]}]'")
    except KeyboardInterrupt:
        stopped = Interrupted(signal.SIGINT)
    except Interrupted as error:
        stopped = error
    finally:
        sweep = jobs.folder or begun_sweep()
        if sweep and end_sweep:
            jobs.count_elsewhere(sweep)
            end_sweep(sweep)
    if stopped:
        told = resuming_command(sweep, words) if sweep else None
        told = resuming_command(run.folder) if run.folder else told
        if leads():
            print(f"interrupted; go on with: {told}" if told else "interrupted", file=sys.stderr)
        sys.exit(stopped.status)
    if jobs.n_failed:
        sys.exit(f"failed: {jobs.n_failed} of the runs in {jobs.folder}")


def _step_back() -> None:
    """Silence a process that does not lead, and make it write to a temporary folder."""
    nowhere = tempfile.TemporaryDirectory()
    atexit.register(nowhere.cleanup)
    logging.disable(logging.CRITICAL)
    sys.argv += [f"hydra.{kind}.dir={nowhere.name}" for kind in ("run", "sweep")]


class _SingleRun:
    """Runs a job that is no part of a sweep.

    Args:
        job: See `command`.
        full_error: Whether a mistake of the user shows its traceback, too.

    Attributes:
        folder: Where it goes on if it is stopped; None before it has begun, or if it cannot.
    """

    def __init__(self, job: Job, full_error: bool) -> None:
        self.job, self.full_error = job, full_error
        self.folder: Path | None = None

    def __call__(self, config: DictConfig, hydra: HydraConf) -> object:
        folder, overrides = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
        if "resume" in config:
            self.folder = folder
        try:
            for group in ("hydra/sweeper", "hydra/launcher"):
                name = hydra.runtime.choices[group]
                require(name == "basic", group, "be given with -m, for a sweep", name)
            if config.get("resume") is not None:
                stored = Path(config.resume)
                config, overrides = stored_settings(stored)
                config.resume = str(stored)
                if "pause" in config:
                    config.pause = {"epoch": None, "rung": None}
            with full_disk_is_told(folder):
                return self.job(config, folder, overrides)
        except InputError as error:
            log.error("%s", one_line(error))
            if self.full_error:
                raise
            sys.exit(1)
