"""`seedband check`."""

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seedband.cli.errors import as_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seedband.bands.band import Band
    from seedband.bands.verdict import Verdict
    from seedband.commands.check.options import CheckOptions
    from seedband.jobs.executors import OnEvent

EXIT_CODES = {"pass": 0, "fail": 1, "suspect": 4}


def check(
    candidates: Annotated[
        list[Path] | None, typer.Argument(help="Checkpoint folders of one candidate recipe: one look at all of them.")
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(help="Score files instead, or a folder of them: a score per seed; several by further flags."),
    ] = None,
    band: Annotated[Path, typer.Option(help="The band to judge by.")] = Path("band.json"),
    rule: Annotated[str | None, typer.Option(help="retest, t, range or paired. [default: the band's]")] = None,
    alpha: Annotated[float | None, typer.Option(help="False-alarm rate, .001 to .2. [default: the band's]")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Rule paired: the drop that you accept. [default: one sd of the band]")
    ] = None,
    looks: Annotated[
        int, typer.Option(min=0, help="How many of the candidates, the first ones, were checked in earlier calls.")
    ] = 0,
    seed_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of --scores: the column of the seeds.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Of --scores: read the rows of one group.")
    ] = None,
    percent: Annotated[bool, typer.Option("--percent", help="Of --scores: read 87.1% as .871.")] = False,
    final: Annotated[
        bool, typer.Option("--final", help="Rule paired: this is the only look, none at more pairs will follow.")
    ] = False,
    more_seeds: Annotated[int, typer.Option(min=0, help="While suspect, train up to so many candidate seeds.")] = 0,
    pairs: Annotated[int, typer.Option(min=0, help="Train --recipe under so many of the band's own seeds.")] = 0,
    recipe: Annotated[Path | None, typer.Option(help="The candidates' recipe. [default: their run record's]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for what is trained. [default: the candidates' own]")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs at a time, for --pairs.")] = 1,
    ledger: Annotated[Path | None, typer.Option(help="File that carries a recipe's looks between calls.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the band's eval data is now.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The candidates' own label order, one label a line.")] = None,
    base: Annotated[str | None, typer.Option(help="Where the base of band and candidates is now.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse another environment or method, too.")] = False,
    report: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=FILE", help="Write the verdict to a file, too: json, junit, github, markdown, html; several."
        ),
    ] = None,
    on_suspect: Annotated[
        str, typer.Option(metavar="stop|pass", help="What a suspect does: exit 4, or 0 with a warning.")
    ] = "stop",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="One line: the verdict.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More progress, and where the logs are.")] = False,
) -> int:
    """Pass new checkpoints or stop them: exit 0 pass, 1 fail, 4 suspect, 3 refused."""
    from seedband.commands.check.options import CheckOptions

    options = CheckOptions(
        rule=rule,
        alpha=alpha,
        tolerance=tolerance,
        looks=looks,
        final=final,
        data=data,
        base=base,
        recipe=recipe,
        more_seeds=more_seeds,
        n_pairs=pairs,
        out=out,
        ledger_path=ledger,
        jobs=jobs,
        strict=strict,
        offline=offline,
    )
    call = _Call(
        band,
        candidates or [],
        scores or [],
        options,
        labels,
        {"seed_column": seed_column, "where": where, "percent": percent},
        {"quiet": quiet, "verbose": verbose},
    )
    return _report(call, on_suspect, report or [], as_json=as_json, quiet=quiet)


@dataclass(frozen=True)
class _Call:
    """One call of the command: the band, the candidates, and how to judge them.

    Attributes:
        band: The band to judge by.
        candidates: Checkpoints; beside `scores` whatever a shell's glob names after the first file.
        scores: Score files; none where checkpoints are judged.
        options: How candidates are judged.
        labels: File of the candidates' own label order.
        of_files: What the user says of the score files.
        talk: How much progress is printed.
    """

    band: Path
    candidates: "Sequence[Path]"
    scores: "Sequence[Path]"
    options: "CheckOptions"
    labels: Path | None
    of_files: "Mapping[str, Any]"
    talk: "Mapping[str, bool]"

    @property
    def judged(self) -> "list[Path]":
        """Everything that is judged, in the order given."""
        return [*self.scores, *self.candidates]

    @property
    def inputs(self) -> "list[Path]":
        """Every file that the call reads: no report may overwrite it."""
        given = (self.band, self.options.recipe, self.options.data, self.labels, self.options.ledger_path)
        return [*self.judged, *(Path(path) for path in given if path is not None)]

    def judge(self, band: "Band") -> "Verdict":
        """The verdict on score files, or on checkpoints."""
        from seedband.cli import console

        with console.Reporter(**self.talk) as on_event:
            return self._judge_scores(band, on_event) if self.scores else self._judge_checkpoints(band, on_event)

    def _judge_scores(self, band: "Band", on_event: "OnEvent") -> "Verdict":
        from seedband.commands.check.options import OF_CHECKPOINTS
        from seedband.commands.scores.from_file import check_scores
        from seedband.errors import UsageError
        from seedband.scorefiles import said

        options = self.options
        # What a shell's glob names after the first file stands among the candidates.
        others = [path for path in self.candidates if not path.is_file()]
        if (
            others
            or self.labels
            or options.n_pairs
            or options.strict
            or any(getattr(options, n) for n in OF_CHECKPOINTS)
        ):
            raise UsageError(
                "--scores judges what was scored already: of the options for checkpoints it takes none",
                hint="a further seed is a further row of the file; --rule, --alpha, --tolerance, --looks and --final "
                "apply",
            )
        return check_scores(
            self.judged,
            band,
            rule=options.rule,
            alpha=options.alpha,
            tolerance=options.tolerance,
            looks=options.looks,
            wanted=said(None, **self.of_files),
            final=options.final,
            on_event=on_event,
        )

    def _judge_checkpoints(self, band: "Band", on_event: "OnEvent") -> "Verdict":
        from seedband.errors import UsageError

        if any(self.of_files.values()):
            raise UsageError(
                "--seed-column, --where and --percent are about score files", hint="name them: --scores FILE"
            )
        from seedband.commands.check.check import check_candidates, read_labels

        labels = None if self.labels is None else read_labels(self.labels)
        return check_candidates(self.candidates, band, replace(self.options, labels=labels), on_event)

    def next_step(self, verdict: "Verdict", band: "Band") -> str:
        """The next step after a verdict; empty where it passes."""
        from seedband.reports.wording import Asked, after_fail, after_suspect

        if verdict.status == "fail":
            return after_fail(verdict, band, str(self.band))
        if verdict.status != "suspect":
            return ""
        options = self.options
        asked = Asked(
            _command,
            scores=_place(self.judged) if self.scores else "",
            sweep="" if self.scores else _swept(self.candidates),
            recipe=options.recipe is not None,
            ledger=options.ledger_path is not None,
            more_seeds=options.more_seeds,
            pairs=options.n_pairs,
            final=options.final,
        )
        return after_suspect(verdict, asked)


def _report(call: _Call, on_suspect: str, wanted: "Sequence[str]", *, as_json: bool, quiet: bool) -> int:
    """Judge, and tell the verdict, or what went wrong, on the terminal and in every report.

    Returns:
        The exit code.
    """
    from seedband import reports
    from seedband.bands.band import load_band
    from seedband.cli import console

    files = reports.parse(wanted, call.inputs)
    reports.clear(files)
    hint, failure, band = "", None, None
    facts: dict[str, Any] = {
        "band_path": str(call.band),
        "candidates": tuple(map(str, call.judged)),
        "command": shlex.join(["seedband", *sys.argv[1:]]),
    }
    try:
        exit_codes = _exit_codes(on_suspect)
        band = load_band(call.band)
        verdict = call.judge(band)
        hint = call.next_step(verdict, band)
        report = reports.of_verdict(verdict, band, exit_codes[verdict.status], hint, **facts)
        if not as_json:
            console.print_verdict(verdict, band, quiet=quiet)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  whatever ended it, reports say so
        failure = as_error(error)
        report = reports.of_error(failure, band=band, **facts)
    report, unwritten = reports.write(report, files, as_error)
    if as_json:
        console.print_json(report.as_dict())
    if hint and not quiet:
        console.print_hint(hint)
    for missing in unwritten:
        console.print_error(missing)
    console.print_report_notes(reports.tell(report, files))
    if failure is not None:
        raise failure
    return report.exit_code


def _exit_codes(on_suspect: str) -> dict[str, int]:
    from seedband.errors import UsageError

    if on_suspect not in ("stop", "pass"):
        raise UsageError(f"--on-suspect {on_suspect}: expected stop or pass")
    return {**EXIT_CODES, "suspect": 0} if on_suspect == "pass" else EXIT_CODES


def _place(paths: "Sequence[Path]") -> str:
    """Say where a further seed's scores go: into the table, or beside the files of single runs."""
    from seedband.scorefiles import Wanted, read_scores

    is_table = len(paths) == 1 and not read_scores(paths, (), Wanted(needs_seeds=False)).one_run
    return str(paths[0]) if is_table else "the command by a further --scores FILE"


def _swept(candidates: "Sequence[Path]") -> str:
    """The candidate that is a sweep whose command reports its own scores; empty where there is none."""
    from seedband.runs.reported_folder import reported_among

    return str(reported_among(candidates) or "")


def _command(options: "Mapping[str, str]") -> str:
    """This very command, with some options set anew; reports are the pipeline's that asked for them."""
    words, skip, replaced = [], False, {*options, "--report"}
    typed = sys.argv[1:]
    end = typed.index("--") if "--" in typed else len(typed)
    for word in typed[:end]:
        flag, _, attached = word.partition("=")
        if not skip and flag not in replaced:
            words.append(word)
        skip = not skip and flag in replaced and not attached
    added = [part for flag, value in options.items() for part in (flag, value)]
    return shlex.join(["seedband", *words, *added, *typed[end:]])
