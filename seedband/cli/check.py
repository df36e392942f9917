"""`seedband check`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedband.cli.errors import as_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        float | None, typer.Option(help="Rule paired: the drop that nobody minds. [default: one sd of the band]")
    ] = None,
    looks: Annotated[
        int, typer.Option(min=0, help="So many candidates, the first ones, had looks of their own; the others go on.")
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
    data: Annotated[Path | None, typer.Option(help="Where the band's eval data lies now.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The candidates' own label order, one label a line.")] = None,
    base: Annotated[str | None, typer.Option(help="Where the base of band and candidates lies now.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse another environment or method, too.")] = False,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=FILE", help="Tell it in a file, too: json, junit, github, markdown, html; several."),
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
    from seedband import reports
    from seedband.bands.band import load_band
    from seedband.cli import console
    from seedband.reports.wording import Asked, after_fail, after_suspect

    judged = [*(scores or []), *(candidates or [])]
    inputs = [*judged, *(path for path in (band, recipe, data, labels, ledger) if path is not None)]
    wanted = reports.parse(report or [], inputs)
    reports.clear(wanted)
    hint, failure, fitted = "", None, None
    call: dict[str, object] = {
        "band_path": str(band),
        "candidates": tuple(map(str, judged)),
        "command": shlex.join(["seedband", *sys.argv[1:]]),
    }
    try:
        exit_codes = _exit_codes(on_suspect)
        fitted = load_band(band)
        with console.Reporter(quiet=quiet, verbose=verbose) as on_event:
            if scores:
                from seedband.commands.scores.from_file import check_scores
                from seedband.scorefiles import said

                # What a shell's glob names after the first file stands among the candidates.
                folders = [path for path in candidates or [] if not path.is_file()]
                _refuse_beside_scores(folders, more_seeds, pairs, ledger, recipe, out, data, labels, base, strict)
                verdict = check_scores(
                    judged,
                    fitted,
                    rule=rule,
                    alpha=alpha,
                    tolerance=tolerance,
                    looks=looks,
                    wanted=said(None, seed_column, where, percent=percent),
                    final=final,
                    on_event=on_event,
                )
            else:
                _refuse_without_scores(seed_column, where, percent)
                from seedband.commands.check.check import check as run_check
                from seedband.commands.check.check import read_labels

                verdict = run_check(
                    candidates or [],
                    fitted,
                    rule=rule,
                    alpha=alpha,
                    tolerance=tolerance,
                    looks=looks,
                    final=final,
                    data=data,
                    labels=None if labels is None else read_labels(labels),
                    base=base,
                    recipe=recipe,
                    more_seeds=more_seeds,
                    n_pairs=pairs,
                    out=out,
                    ledger_path=ledger,
                    jobs=jobs,
                    strict=strict,
                    offline=offline,
                    on_event=on_event,
                )
        if verdict.status == "suspect":
            asked = Asked(
                _command,
                scores=_place(judged) if scores else "",
                sweep="" if scores else _swept(candidates or []),
                recipe=recipe is not None,
                ledger=ledger is not None,
                more_seeds=more_seeds,
                pairs=pairs,
                final=final,
            )
            hint = after_suspect(verdict, asked)
        elif verdict.status == "fail":
            hint = after_fail(verdict, fitted, str(band))
        told = reports.of_verdict(verdict, fitted, exit_codes[verdict.status], hint, **call)
        if not as_json:
            console.print_verdict(verdict, fitted, quiet=quiet)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  whatever ended it, reports say so
        failure = as_error(error)
        told = reports.of_error(failure, band=fitted, **call)
    told, unwritten = reports.write(told, wanted, as_error)
    if as_json:
        console.print_json(told.as_dict())
    if hint and not quiet:
        console.print_hint(hint)
    for missing in unwritten:
        console.print_error(missing)
    console.print_report_notes(reports.tell(told, wanted))
    if failure is not None:
        raise failure
    return told.exit_code


def _exit_codes(on_suspect: str) -> dict[str, int]:
    from seedband.errors import UsageError

    if on_suspect not in ("stop", "pass"):
        raise UsageError(f"--on-suspect {on_suspect}: expected stop or pass")
    return {**EXIT_CODES, "suspect": 0} if on_suspect == "pass" else EXIT_CODES


def _refuse_beside_scores(*others: object) -> None:
    from seedband.errors import UsageError

    if any(others):
        raise UsageError(
            "--scores judges what was scored already: of the options for checkpoints it takes none",
            hint="a further seed is a further row of the file; --rule, --alpha, --tolerance, --looks and --final apply",
        )


def _refuse_without_scores(*others: object) -> None:
    from seedband.errors import UsageError

    if any(others):
        raise UsageError("--seed-column, --where and --percent are about score files", hint="name them: --scores FILE")


def _place(paths: "Sequence[Path]") -> str:
    """Say where a further seed's scores go: into the table, or beside the files of single runs."""
    from seedband.scorefiles import Wanted, read_scores

    is_table = len(paths) == 1 and not read_scores(paths, (), Wanted(needs_seeds=False)).one_run
    return str(paths[0]) if is_table else "the command by a further --scores FILE"


def _swept(candidates: "Sequence[Path]") -> str:
    """The candidate that is a sweep whose command reports its own scores; empty where there is none."""
    from seedband.runs.reported_folder import is_reported

    return next((str(path) for path in candidates if is_reported(path)), "")


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
