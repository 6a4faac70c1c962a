"""Event files, by the `tensorboard` package's own writer; TensorFlow is not needed.

The package is imported when the first file is begun: nothing else of Onepath waits for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runtime.tensorboard.entries import numbers_of, text_of

SUFFIX = ".onepath"
"""The end of an event file's name by which a later run knows that it may empty it."""


class NoTensorBoard(Exception):
    """The package that writes event files is not installed."""


def check_installed() -> None:
    """Say early that the package is missing.

    Raises:
        NoTensorBoard: it is.
    """
    if find_spec("tensorboard") is None:
        raise NoTensorBoard(
            "event files for TensorBoard need its package: pip install 'onepath[tensorboard]'"
        )


class EventFile:
    """The event file of one log, in a folder of its own; what was made of the log before is emptied.

    Emptied, not removed: a TensorBoard that reads the old file then goes on to this one. Here it finds the
    mark of a new session at step 0, at which it forgets the points it had.

    Raises:
        NoTensorBoard: the package is not installed.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        check_installed()
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
            os.truncate(old, 0)
        self._writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
        self._writer.add_event(Event(step=0, session_log=SessionLog(status=SessionLog.START)))
        self._step, self._has_layout = 0, False

    def add(self, event: Mapping[str, Any]) -> None:
        """Add what a logged event says, at its step and the time at which it was logged."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._step = event.get("step", self._step)
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers_of(event).items()]
        text = text_of(event)
        if text is not None:
            values.append(_string(event["event"], "text", text.encode()))
        if event["event"] == "probabilities" and not self._has_layout:
            values.append(_layout(event["probabilities"]))
            self._has_layout = True
        summary = Summary(value=values)
        self._writer.add_event(Event(step=self._step, wall_time=event["wall_s"], summary=summary))

    def flush(self) -> None:
        """Write out what was added."""
        self._writer.flush()

    def close(self) -> None:
        """Write out what was added, and close the file."""
        self._writer.close()


def _string(tag: str, plugin: str, content: bytes) -> Any:
    """A value that one of TensorBoard's plugins reads."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    data = SummaryMetadata.PluginData(plugin_name=plugin)
    tensor = TensorProto(dtype=DT_STRING, string_val=[content])
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data), tensor=tensor)


def _layout(decisions: Iterable[str]) -> Any:
    """Charts for the tab `Custom Scalars`: all candidates of a decision in one."""
    from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MultilineChartContent

    charts = [
        Chart(title=name, multiline=MultilineChartContent(tag=[f"^{re.escape(f'probabilities/{name}/')}"]))
        for name in decisions
    ]
    layout = Layout(category=[Category(title="probabilities of the candidates", chart=charts)])
    return _string("custom_scalars__config__", "custom_scalars", layout.SerializeToString())
