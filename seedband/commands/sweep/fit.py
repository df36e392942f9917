"""Fit the band of finished runs, with everything that a check needs to know of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from seedband import evaluators
from seedband.bands import comparability
from seedband.bands.band import Band, fit_band, load_band
from seedband.commands.sweep.prepare import Prepared
from seedband.counts import counted
from seedband.data import row_diff
from seedband.errors import Refused, WorkFailed
from seedband.jobs.distinct_seeds import check_distinct
from seedband.jobs.run_jobs import raise_unscored
from seedband.recipe import locations
from seedband.runs import score_table, slices
from seedband.runs.run import Run
from seedband.storage.json_files import JsonObject


def fit(prepared: Prepared, finished: Sequence[Run], path: Path, crashed: Mapping[str, str] | None = None) -> Band:
    """The band of finished runs, with its provenance; paths in it are relative to `path`.

    Args:
        prepared: The recipe.
        finished: The runs, those that failed to train among them.
        path: Where the band goes.
        crashed: Root seed → why its run crashed, of runs that are left out; they go on record.

    Raises:
        Refused: Fewer than two healthy seeds, a metric without a score, or runs that are not comparable.
        WorkFailed: Fewer than two healthy seeds, for others crashed.
    """
    recipe = prepared.recipe
    check_distinct(finished, recipe, recipe.seeds.vary)
    healthy = [run for run in finished if run.status == "finished"]
    failed = [run for run in finished if run.status == "failed"]
    if len(healthy) < 2 and crashed:  # noqa: PLR2004
        reasons = "; ".join(f"seed {seed} crashed: {message}" for seed, message in crashed.items())
        raise WorkFailed(
            f"{counted(len(healthy), 'healthy run is', 'healthy runs are')} left, a band needs at least 2: {reasons}",
            hint="sweep again",
        )
    if len(healthy) < 2:  # noqa: PLR2004
        reasons = "; ".join(f"seed {run.seed}: {run.failure}" for run in failed)
        raise Refused(
            f"{len(healthy)} of {counted(len(finished), 'seed')} trained well, a band needs at least 2: {reasons}",
            hint="the recipe does not train; look at its learning rate first",
        )
    _check_asked(healthy)
    _check_comparable(healthy)
    start = Path(prepared.scoring.folder)
    directions = {
        section.metric: evaluators.build(section.evaluator, section.args, start) for section in recipe.evaluate
    }
    scores = {name: [_score(run, name) for run in healthy] for name in directions}
    items = {name: table for name in directions if (table := _items(healthy, name)) is not None}
    band = fit_band(
        scores,
        alpha=recipe.gate.alpha,
        rule=recipe.gate.rule,
        primary=recipe.primary,
        gates=recipe.gate.metrics,
        lower_is_better=[name for name, evaluator in directions.items() if not evaluator.higher_is_better],
        items=items,
        seeds=[run.seed for run in healthy],
        failed_seeds=[run.seed for run in failed],
        history=history(prepared),
        provenance={
            **_provenance(prepared, healthy, failed, path),
            "crashed": dict(crashed or {}),
            **_accepted(path),
        },
    )
    metrics = {name: replace(metric, unit=directions[name].unit) for name, metric in band.metrics.items()}
    return replace(band, metrics=metrics)


def _provenance(prepared: Prepared, healthy: Sequence[Run], failed: Sequence[Run], path: Path) -> JsonObject:
    folder = path.absolute().parent
    facts = locations.relative(prepared.provenance, folder)
    rows, first = row_diff.packed(row_diff.of_items(prepared.eval_items)), healthy[0]
    return {
        **facts,
        "data": {**facts["data"], "eval": {**facts["data"]["eval"], "rows": rows}},
        "made_by": f"seedband {first.environment.versions.get('seedband')}",
        "signature": first.signature,
        "environment": first.record["environment"],
        "recipe": prepared.recipe.as_dict(),
        "checkpoints": {str(run.seed): run.checkpoint_sha256 for run in healthy},
        "failures": {str(run.seed): run.failure for run in failed},
        "runs": locations.relative_path(first.folder.parent, folder),
        "items": {str(run.seed): run.items_sha256 for run in healthy},
        "slices": [asdict(row) for row in slices.of_runs([score_table.read_items(run) for run in healthy])],
    }


def _accepted(path: Path) -> JsonObject:
    """The changes accepted on the way to the band that is there now: its successor keeps them."""
    entries = load_band(path).provenance.get("accepted") if path.is_file() else None
    return {"accepted": entries} if entries else {}


def _items(healthy: Sequence[Run], metric: str) -> Sequence[Sequence[float]] | None:
    """Scores of those items that have one under every seed, shape (n_runs, n_items); None where there are none."""
    table = score_table.item_scores(healthy, metric)
    columns = zip(*table, strict=True) if table else ()
    return list(zip(*(column for column in columns if all(map(math.isfinite, column))), strict=True)) or None


def history(prepared: Prepared) -> list[Band]:
    """The earlier bands that the recipe names, relative to where it lies or, on record, lay."""
    return [load_band(Path(prepared.scoring.folder) / path) for path in prepared.recipe.gate.history]


def _score(run: Run, metric: str) -> float:
    evaluation = next((entry for entry in run.evaluations if entry.metric == metric), None)
    if evaluation is None:
        raise Refused(f"seed {run.seed} was scored without {metric}", hint=f"remove {run.folder}, sweep again")
    raise_unscored(f"seed {run.seed}", evaluation, "sweep again: the run is kept, and scored again")
    assert evaluation.score is not None
    return evaluation.score


def _check_asked(healthy: Sequence[Run]) -> None:
    """No evaluator crashed: one that did could not say what it would have run, so it cannot be compared."""
    for run in healthy:
        for evaluation in run.evaluations:
            if evaluation.crashed:
                _score(run, evaluation.metric)


def _check_comparable(healthy: Sequence[Run]) -> None:
    """Every run must be scored like the first, in the same environment: a band is one class of numerics."""
    first = healthy[0]
    for run in healthy[1:]:
        found = comparability.differences(first.signature or {}, run.signature or {})
        if found:
            raise Refused(
                f"seed {run.seed} does not join seed {first.seed}: {found[0]}",
                hint=f"remove {run.folder} (or the other runs) and sweep again",
            )
