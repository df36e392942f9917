"""A plan for people: what each size of the band sees, and which design is the cheapest."""

from dataclasses import asdict
from typing import Any

from seedband.bands.rules.retest import Retest
from seedband.bands.stats.looks import MAX_LOOKS
from seedband.cli.console.output import print_hint, print_json, print_lines, rich_console
from seedband.commands.plan import CHECKS, INTERVAL_LEVEL, MOST_UP_FRONT, Plan, Reach, Recommended
from seedband.counts import counted, plural


def print_plan(plan: Plan, *, as_json: bool = False) -> None:
    """Print the question, the noise, a row per size of the band, and the cheapest design in words."""
    if as_json:
        print_json(asdict(plan))
        return
    print_lines([_asked(plan), _noise(plan)])
    rich_console().print(_table(plan))
    averages = [row.retest_seeds for row in plan.rows]
    usual = f"{min(averages):.1f} to {max(averages):.1f} on average when nothing changed"
    print_lines(
        [
            f"retest: at most {MAX_LOOKS} candidate seeds a check, {usual}; and the smallest drop that it catches",
            "up front: candidate seeds to train for one look by rule t",
        ]
    )
    if plan.recommended is None:
        print_lines([f"recommended: nothing; no row sees a drop of {plan.drop:.4g}"])
        print_hint(
            "more eval items or a quieter metric make the noise smaller; candidates under the band's own seeds, "
            "compared pair by pair, can see smaller drops: seedband check --pairs K --recipe CANDIDATE.toml"
        )
        return
    print_lines([_recommended(plan, plan.recommended)])


def _asked(plan: Plan) -> str:
    of = f" of {plan.noise.metric}" if plan.noise.metric else ""
    return f"plan: a drop of {plan.drop:.4g}{of}, stopped with {_percent(plan.power)} power at alpha {plan.alpha:.3g}"


def _noise(plan: Plan) -> str:
    noise = plan.noise
    if noise.interval is None:
        return f"sd: {noise.sd:.4g}, as given"
    low, high = noise.interval
    history = f" and a history worth {noise.prior_df:.3g} more" if noise.prior_df else ""
    return (
        f"band: n={noise.n}{history} sd={noise.sd:.4g}, {_percent(INTERVAL_LEVEL)} interval {low:.3g} to {high:.3g}; "
        f"as it is, rule {Retest.name} stops a drop of {plan.detectable_drop:.3g}"
    )


def _table(plan: Plan) -> Any:
    from rich.table import Table

    scales = [plan.noise.sd, *([] if plan.noise.interval is None else [plan.noise.interval[1]])]
    columns = [f"{rule}\nsd {sd:.3g}" for sd in scales for rule in (Retest.name, "up front")]
    table = Table("seeds", *columns, "")
    for column in table.columns[:-1]:
        column.justify = "right"
    for row in plan.rows:
        cells = [*_cells(row.at_sd), *([] if row.at_high is None else _cells(row.at_high))]
        chosen = plan.recommended is not None and plan.recommended.n == row.n
        table.add_row(str(row.n), *cells, "cheapest" if chosen else "the band" if row.n == plan.noise.n else "")
    return table


def _cells(reach: Reach) -> tuple[str, str]:
    up_front = f"> {MOST_UP_FRONT}" if reach.up_front is None else str(reach.up_front)
    return f"{'yes' if reach.retest else 'no'}, {reach.retest_drop:.3g}", up_front


def _recommended(plan: Plan, chosen: Recommended) -> str:
    seeds = f"{chosen.candidate_seeds:.3g} {plural(chosen.candidate_seeds, 'candidate seed')} a check"
    average = " on average" if chosen.rule == Retest.name else " up front"
    trained = f" ({plan.noise.n} of them trained)" if plan.noise.n else ""
    high = ""
    if plan.noise.interval is not None:
        high = f" ({chosen.detectable_drop_at_high:.3g} if the sd is really {plan.noise.interval[1]:.3g})"
    return (
        f"recommended: {counted(chosen.n, 'baseline seed')}{trained}, rule {chosen.rule}, {seeds}{average}: about "
        f"{chosen.trainings:.0f} trainings for the band and {CHECKS} checks; stops a drop of "
        f"{chosen.detectable_drop:.3g}{high}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
