from .file_tree import (
    FileTree as FileTree,
    Folder as Folder,
    open_tree as open_tree,
    require_modest as require_modest,
)
from .mat_file import read_mat as read_mat
from .reading import (
    number_at as number_at,
    numbers as numbers,
    plain_yaml as plain_yaml,
    read_bytes as read_bytes,
    read_json as read_json,
    read_rows as read_rows,
    read_yaml as read_yaml,
    readable as readable,
    text_at as text_at,
    text_lines as text_lines,
    value_at as value_at,
)
from .resumable import (
    GrowingFiles as GrowingFiles,
    new_generation as new_generation,
    one_before as one_before,
    remove_generations as remove_generations,
    whole_generations as whole_generations,
)
from .writing import (
    full_disk_is_told as full_disk_is_told,
    is_full as is_full,
    leave_full_disks_to_the_run as leave_full_disks_to_the_run,
    new_folder as new_folder,
    whole_file as whole_file,
    whole_folder as whole_folder,
    write_json as write_json,
    write_table as write_table,
)
