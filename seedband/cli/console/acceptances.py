"""A band that took another's place, for people."""

from typing import TYPE_CHECKING

from seedband.cli.console.output import print_hint, print_json, print_lines
from seedband.counts import counted
from seedband.reports.wording import score_format

if TYPE_CHECKING:
    from seedband.commands.accept import Accepted


def print_accepted(accepted: "Accepted", *, as_json: bool) -> None:
    """Print the differences, both bands metric by metric, and where the old one is kept."""
    if as_json:
        print_json(
            {
                "band": str(accepted.path),
                "kept": str(accepted.kept),
                "reason": accepted.reason,
                "changed": list(accepted.changed),
                "metrics": {
                    name: {
                        "before": None if name not in accepted.old.metrics else list(accepted.old.metrics[name].scores),
                        "now": list(metric.scores),
                    }
                    for name, metric in accepted.band.metrics.items()
                },
            }
        )
        return
    print_lines([f"changed: {line}" for line in accepted.changed] or ["changed: nothing but the runs"])
    print_lines([_moved(name, accepted) for name in accepted.band.metrics])
    print_lines(
        [f"accepted: {accepted.path}, {counted(len(accepted.band.seeds), 'seed')}; the band before it: {accepted.kept}"]
    )
    print_hint(f"commit {accepted.path} and {accepted.kept}")


def _moved(name: str, accepted: "Accepted") -> str:
    """The old and the new edges of a metric's band."""
    new, old = accepted.band.metrics[name], accepted.old.metrics.get(name)
    d = score_format(new)
    message = f"[{new.lower:{d}}, {new.upper:{d}}] mean={new.mean:{d}}"
    if old is None:
        return f"band {name}: {message} (new)"
    return f"band {name}: [{old.lower:{d}}, {old.upper:{d}}] mean={old.mean:{d}}, now {message}"
