"""The pytest plugin: new checkpoints, score files and plain numbers against a band, as tests of a team's own suite.

    def test_new_checkpoint(seedband_gate):
        seedband_gate("band.json").check("runs/new")

pytest loads it wherever seedband is installed, so it imports nothing, adds no option and prints nothing until a test
asks for it. Relative paths start at pytest's root folder, from wherever it is called.
"""

import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from seedband.bands.band import Band
    from seedband.bands.verdict import MetricVerdict, Verdict
    from seedband.reports.wording import Asked

#: Arguments of `seedband.check` that are paths.
PATHS = ("data", "recipe", "out", "ledger_path")
#: Options of `seedband.check` → what they are called on a command line.
TYPED = {
    **{key: f"--{key}" for key in ("scores", "rule", "alpha", "tolerance", "data", "base", "recipe", "out", "jobs")},
    "ledger_path": "--ledger",
    "n_pairs": "--pairs",
    "looks": "--looks",
    "more_seeds": "--more-seeds",
    "final": "--final",
    "strict": "--strict",
    "offline": "--offline",
}
OnSuspect = Literal["stop", "pass"]
#: Where relative paths start: pytest's root folder, the innermost session's last.
_roots: list[Path] = []


def pytest_configure(config: pytest.Config) -> None:
    """Relative paths start at the root folder of this session."""
    _roots.append(config.rootpath)


def pytest_unconfigure() -> None:
    """The session is over."""
    _roots.pop()


@pytest.fixture
def seedband_gate(request: pytest.FixtureRequest) -> "Callable[[str | Path], Gate]":
    """`seedband_gate("band.json")`: the gate of a band."""

    def gate(band: str | Path) -> Gate:
        return Gate(_located(band), str(band), request.node.user_properties)

    return gate


@dataclass(frozen=True)
class Gate:
    """Stops a test whose candidate is stopped, with what `seedband check` would print.

    Attributes:
        path: band.json.
        name: As the test called it.
        properties: Of the test, for JUnit reports: they get the verdict.
    """

    path: Path
    name: str
    properties: list[tuple[str, object]]

    def check(
        self,
        *candidates: "str | Path | Sequence[str | Path]",
        rule: "str | None" = None,
        alpha: float | None = None,
        on_suspect: OnSuspect = "stop",
        data: str | Path | None = None,
        offline: bool = False,
        **options: Any,
    ) -> "Verdict":
        """Score checkpoints as the band's were scored, and judge them.

        Args:
            candidates: Seeds of one candidate recipe, in the order trained, as `seedband check` takes them; a list of
                them is taken, too.
            rule: Another rule than the band's.
            alpha: Another level than the band's.
            on_suspect: "stop" fails the test while more seeds are needed, "pass" lets it through.
            data: Where the eval file lies now.
            offline: Whether model hubs must not be asked.
            options: Whatever else `seedband.check` takes.
        """
        __tracebackhide__ = True
        names = [str(path) for given in candidates for path in ([given] if isinstance(given, str | Path) else given)]
        with _told(" ".join(names), self.name, on_suspect):
            from seedband.bands.band import load_band
            from seedband.commands.check.check import check
            from seedband.reports.wording import Asked
            from seedband.runs.reported_folder import reported_among

            _refuse_unknown(options, check)
            band = load_band(self.path)
            paths = {key: _located(path) for key, path in {"data": data, **options}.items() if key in PATHS and path}
            verdict = check(
                [_located(name) for name in names],
                band,
                rule=rule,
                alpha=alpha,
                offline=offline,
                **{**options, **paths},
            )
            given = {"rule": rule, "alpha": alpha, "data": data, "offline": offline, **options}
            asked = Asked(
                _typed(names, self.name, given),
                sweep=next((name for name in names if reported_among([_located(name)])), ""),
                recipe=bool(options.get("recipe")),
                ledger=bool(options.get("ledger_path")),
                more_seeds=options.get("more_seeds", 0),
                pairs=options.get("n_pairs", 0),
                final=bool(options.get("final")),
            )
            return self._judged(verdict, band, " ".join(names), asked, on_suspect)

    def check_scores(
        self,
        scores: "str | Path | Sequence[str | Path] | Mapping[str, float | Sequence[float]]",
        *,
        rule: "str | None" = None,
        alpha: float | None = None,
        looks: int = 0,
        on_suspect: OnSuspect = "stop",
    ) -> "Verdict":
        """Judge scores that were made elsewhere.

        Args:
            scores: A score file, several of single runs, or metric → a score per candidate seed, for every metric of
                the band.
            rule: Another rule than the band's.
            alpha: Another level than the band's.
            looks: How many of the seeds, the first ones, were looked at before the others were there.
            on_suspect: As for `check`.
        """
        __tracebackhide__ = True
        files = [] if isinstance(scores, Mapping) else [scores] if isinstance(scores, str | Path) else [*scores]
        what = "scores" if isinstance(scores, Mapping) else " ".join(map(str, files))
        with _told(what, self.name, on_suspect):
            from seedband.bands.band import load_band
            from seedband.errors import UsageError
            from seedband.reports.wording import Asked

            band, asked = load_band(self.path), Asked(None)
            if not isinstance(scores, Mapping) and not files:
                raise UsageError("no score file")
            if isinstance(scores, Mapping):
                verdict = band.judge(scores, rule=rule, alpha=alpha, looks=looks)
            else:
                from seedband.commands.scores.from_file import check_scores

                verdict = check_scores([*map(_located, files)], band, rule=rule, alpha=alpha, looks=looks)
                again = _typed(
                    [*map(str, files[1:])],
                    self.name,
                    {"scores": files[0], "rule": rule, "alpha": alpha, "looks": looks},
                )
                asked = Asked(again, scores=what if len(files) == 1 else "the command by a further --scores FILE")
            return self._judged(verdict, band, what, asked, on_suspect)

    def _judged(self, verdict: "Verdict", band: "Band", what: str, asked: "Asked", on_suspect: OnSuspect) -> "Verdict":
        from seedband.reports.wording import (
            after_fail,
            after_suspect,
            conclusion,
            slice_lines,
            verdict_line,
            verdict_sentences,
        )

        __tracebackhide__ = True
        self.properties.append(("seedband", verdict.status))
        lines = [
            *(verdict_line(name, metric, band.metrics[name]) for name, metric in verdict.metrics.items()),
            *(slice_lines(verdict, band) + verdict_sentences(verdict, band) if verdict.metrics else ()),
            f"{verdict.status.upper()}: {conclusion(verdict)}",
        ]
        suspect = verdict.status == "suspect"
        following = after_suspect(verdict, asked) if suspect else after_fail(verdict, band, self.name)
        _stop(verdict.status, on_suspect, [f"{what} against {self.name}", *lines], following)
        return verdict


def assert_within(
    scores: float | Sequence[float],
    band: "str | Path | Band",
    metric: str | None = None,
    *,
    rule: "str | None" = None,
    alpha: float | None = None,
    looks: int = 0,
    on_suspect: OnSuspect = "stop",
) -> "MetricVerdict":
    """Stop the test unless the scores of a candidate are within the band of a metric, or better.

    Args:
        scores: A score per candidate seed, in the metric's unit.
        band: band.json, or a band that was read from it.
        metric: Its primary metric unless said.
        rule: Another rule than the band's.
        alpha: Another level than the band's.
        looks: How many of the scores, the first ones, were looked at before the others were there.
        on_suspect: "stop" fails the test while more seeds are needed, "pass" lets it through.
    """
    __tracebackhide__ = True
    name = str(band) if isinstance(band, str | Path) else "the band"
    with _told("scores", name, on_suspect):
        from seedband.bands import units
        from seedband.bands.admission import candidate_scores, rule_of_band, valid_alpha, valid_looks
        from seedband.bands.band import load_band
        from seedband.bands.metric_band import judged
        from seedband.bands.rules import Candidates
        from seedband.bands.verdict import Verdict
        from seedband.errors import UsageError
        from seedband.reports.wording import Asked, after_fail, after_suspect, verdict_line

        fitted = load_band(_located(band)) if isinstance(band, str | Path) else band
        metric = fitted.primary if metric is None else metric
        if metric not in fitted.metrics:
            raise UsageError(f"metric {metric!r} is not in {name}; there are {', '.join(fitted.metrics)}")
        own = fitted.metrics[metric]
        given = candidate_scores({metric: scores}, [metric])[metric]
        units.check_candidates(metric, own.scores, given, higher_is_better=own.higher_is_better)
        level = own.alpha if alpha is None else valid_alpha(alpha)
        chosen = rule_of_band(rule or fitted.rule)
        candidates = Candidates(given, valid_looks(looks, chosen, len(given)))
        verdict = judged(own, chosen, candidates, level, gates=True)
        whole = Verdict(verdict.status, {metric: verdict}, metric, verdict.reason)
        path = name if isinstance(band, str | Path) else "BAND"
        suspect = verdict.status == "suspect"
        following = after_suspect(whole, Asked(None)) if suspect else after_fail(whole, fitted, path)
        lines = [verdict_line(metric, verdict, own), f"{verdict.status.upper()}: {verdict.reason}"]
        _stop(verdict.status, on_suspect, lines, following)
        return verdict


def _refuse_unknown(options: Mapping[str, object], check: "Callable[..., Verdict]") -> None:
    """A mistyped option is told with those that there are."""
    known = list(inspect.signature(check).parameters)[2:]
    if strange := [name for name in options if name not in known]:
        raise TypeError(f"check() has no option {strange[0]!r}; it takes on_suspect, {', '.join(known)}")


def _typed(names: Sequence[str], band: str, options: Mapping[str, object]) -> "Callable[[Mapping[str, str]], str]":
    """The `seedband check` that does what a test did, given options that are set anew."""

    def again(anew: Mapping[str, str]) -> str:
        given = {TYPED[key]: value for key, value in options.items() if key in TYPED and value not in (None, False, 0)}
        words = [
            word
            for flag, value in {**given, **anew}.items()
            for word in ([flag] if value is True else [flag, str(value)])
        ]
        return shlex.join(["seedband", "check", *names, "--band", band, *words])

    return again


def _located(path: str | Path) -> Path:
    """A path as seen from pytest's root folder; outside of pytest from the current one."""
    remote = str(path).startswith("hf:/")
    return Path(path) if remote else (_roots[-1] if _roots else Path()) / path


@contextmanager
def _told(what: str, band: str, on_suspect: str) -> "Iterator[None]":
    """Fail a test with the words of a mistake or refusal, not with a traceback."""
    from seedband.errors import SeedbandError, UsageError

    __tracebackhide__ = True
    try:
        if on_suspect not in ("stop", "pass"):
            raise UsageError(f'on_suspect={on_suspect!r}: expected "stop" or "pass"')
        yield
    except SeedbandError as error:
        outcome = "REFUSED" if error.exit_code == 3 else "ERROR"  # noqa: PLR2004  docs/reference/exit-codes.md
        lines = [f"{what} against {band}", f"{outcome}: {error}", *([f"hint: {error.hint}"] if error.hint else [])]
        raise pytest.fail.Exception("\n".join(lines), pytrace=False) from None


def _stop(status: str, on_suspect: str, lines: Sequence[str], following: str) -> None:
    """Fail the test where the verdict stops it."""
    __tracebackhide__ = True
    if status == "pass" or (status == "suspect" and on_suspect == "pass"):
        return
    pytest.fail("\n".join([*lines, f"next: {following}"]), pytrace=False)
