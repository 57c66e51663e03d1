from .configuration import project_root as project_root
from .entry import command as command
