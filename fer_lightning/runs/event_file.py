"""A file of TensorBoard events that is open only while something is written to it.

PyTorch's `SummaryWriter` has a thread and an open file each: a sweep whose runs are trained
together would have thousands.
"""

import io
import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

PATTERN = "events.out.tfevents.*"
FLUSH_SECONDS = 1.0
_number = itertools.count()


class EventFile:
    """Appends events to the newest event file of a folder, or to a new one.

    Args:
        folder: What TensorBoard takes for a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path: Path | None = None
        self._buffer = io.BytesIO()
        self._flushed = time.monotonic()

    def add(self, summary: Summary, step: int | None = None) -> None:
        """Add an event; it is written within a second if others follow, or by `flush`."""
        event = Event(wall_time=time.time(), summary=summary)
        if step is not None:
            event.step = step
        self._record(event)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def add_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each of some curves, by their tags."""
        points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        if points:
            self.add(Summary(value=points), step)

    def flush(self) -> None:
        """Write what has been added."""
        self._flushed = time.monotonic()
        content = self._buffer.getvalue()
        if not content:
            return
        if self._path is None:
            self._path = self._newest() or self._new()
        with self._path.open("ab") as file:
            file.write(content)
        self._buffer = io.BytesIO()

    def _record(self, event: Any) -> None:
        RecordWriter(self._buffer).write(event.SerializeToString())

    def _newest(self) -> Path | None:
        return max(self.folder.glob(PATTERN), default=None)

    def _new(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_number)}"
        path = self.folder / PATTERN.replace("*", name)
        head = io.BytesIO()
        version = Event(wall_time=time.time(), file_version="brain.Event:2")
        RecordWriter(head).write(version.SerializeToString())
        path.write_bytes(head.getvalue())
        return path
