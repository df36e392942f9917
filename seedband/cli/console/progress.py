"""What a flow does, shown while it runs."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from seedband.cli.console.output import plain, rich_console

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from seedband.events import Event


class Reporter:
    """Shows what a flow does, on standard error: a bar per seed on a terminal, else a line per event.

    Args:
        quiet: Show warnings only.
        verbose: Show the jobs with their logs, too, and more steps.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._bars: Bars | None = None
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        console = rich_console(stderr=True)
        if console.is_terminal and not self._quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                TimeRemainingColumn(),
                console=console,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: "Event") -> None:
        """Show one event."""
        if event.kind == "step":
            self._show_step(event)
        elif event.kind in ("warning", "crashed"):
            self._line(f"warning: {event.content.get('text') or _crash(event)}", always=True)
        elif event.kind == "note":
            self._line(f"note: {event.content['text']}")
        elif event.kind == "job" and self._verbose:
            self._line(f"job {event.content['name']}, log {event.content['log']}")
        elif event.kind == "output" and self._verbose:
            self._line(f"seed {event.seed}: {event.content['text']}")
        elif event.kind == "start":
            self._line(str(event.content["what"]))
        elif event.kind == "finished":
            self._line(f"seed {event.seed}: {_finished(event)}")

    def _show_step(self, event: "Event") -> None:
        assert event.seed is not None
        step, steps, loss = event.content["step"], event.content["steps"], event.content["loss"]
        if self._bars is not None:
            if event.seed not in self._tasks:
                self._tasks[event.seed] = self._bars.add_task(f"seed {event.seed}", total=steps, loss="")
            self._bars.update(self._tasks[event.seed], completed=step, loss=f"loss {loss:.3f}")
        elif step == steps or step % max(1, steps // (40 if self._verbose else 4)) == 0:
            self._line(f"seed {event.seed}: step {step}/{steps} loss {loss:.3f}")

    def _line(self, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            (self._bars.console if self._bars is not None else rich_console(stderr=True)).print(
                plain(text), markup=False, highlight=False, soft_wrap=True
            )


def _crash(event: "Event") -> str:
    return f"{event.content['name']} crashed: {event.content['message']}"


def _finished(event: "Event") -> str:
    scores = ", ".join(
        f"{entry['metric']} {entry['score']:.4f}"
        for entry in event.content["evaluations"]
        if entry["score"] is not None
    )
    return f"failed to train ({scores or 'no scores'})" if event.content["status"] == "failed" else scores
