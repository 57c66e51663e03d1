from .checkpoint_files import (
    LAST as LAST,
    Stored as Stored,
    as_now as as_now,
    begin_anew as begin_anew,
    goes_on_from as goes_on_from,
    growing_files as growing_files,
    in_place as in_place,
    network_name as network_name,
    read_checkpoint as read_checkpoint,
    restored_network as restored_network,
    sweep_up as sweep_up,
    whole_checkpoints as whole_checkpoints,
    write_checkpoint as write_checkpoint,
)
from .event_file import EventFile as EventFile
from .hparams import close_row as close_row, open_row as open_row
from .loop_counters import loops_after as loops_after
from .metrics import (
    COLUMNS as COLUMNS,
    CURVES as CURVES,
    DEFINITION as DEFINITION,
    Convergence as Convergence,
    Curves as Curves,
    Values as Values,
    read_curves as read_curves,
    thinned as thinned,
)
from .overrides import (
    PAUSE as PAUSE,
    RESUME as RESUME,
    override_values as override_values,
    without_resume as without_resume,
)
from .settings import (
    _stored as _stored,
    flat_settings as flat_settings,
    run_settings as run_settings,
    section as section,
    stored_settings as stored_settings,
    task_settings as task_settings,
)
from .stored_networks import (
    StoredNetwork as StoredNetwork,
    find_network as find_network,
    find_networks as find_networks,
)
from .summary import (
    Scores as Scores,
    Summary as Summary,
    commit as commit,
    data_facts as data_facts,
    ending as ending,
    finished_run as finished_run,
    is_finished as is_finished,
    run_summary as run_summary,
    score_table as score_table,
    status_of as status_of,
    told_failure as told_failure,
    trained_until as trained_until,
    versions as versions,
)
from .sweep_folder import (
    SweptRun as SweptRun,
    quoted as quoted,
    run_name as run_name,
    run_number as run_number,
    sweep_overrides as sweep_overrides,
    sweeper_settings as sweeper_settings,
    swept_keys as swept_keys,
    swept_runs as swept_runs,
    write_runs as write_runs,
)
