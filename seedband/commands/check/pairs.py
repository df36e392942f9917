"""Pairs: candidates that were trained under the band's own seeds, for rule `paired`."""

from collections.abc import Sequence

from seedband.bands import comparability
from seedband.bands.band import Band
from seedband.bands.stats.items import MIN_SEEDS, item_floor
from seedband.commands.check.candidates import Found
from seedband.errors import Refused
from seedband.runs import layout, run_file, score_table
from seedband.runs.layout import ITEMS
from seedband.runs.run import Run
from seedband.storage import file_hashes


def shared_seeds(band: Band, found: Sequence[Found]) -> list[int]:
    """The root seeds of candidates whose draws are those of the band's seeds.

    Raises:
        Refused: A candidate without a run record, or one whose draws are keyed or varied otherwise.
    """
    seeds = []
    for entry in found:
        run = entry.run
        if run is None or (run.signature is None and not entry.failure):
            raise Refused(
                f"{entry.files.name}: no run record says under which seed it was trained, so it has no pair",
                hint="--pairs K --recipe FILE trains the pairs",
            )
        if not entry.failure:
            different = comparability.unpaired(band.provenance["signature"], run.signature or {})
            if different:
                raise Refused(f"{entry.files.name} has no pair: {different[0]}")
        seeds.append(run.seed)
    return seeds


def item_floors(band: Band, found: Sequence[Found]) -> dict[str, float]:
    """Smallest standard deviation of a paired difference that the items allow, for the metrics that have items.

    It takes the items of the band's own runs and of the candidates', scored alike; where they no longer lie beside the
    band, or a candidate's own eval set was another, the smallest step of each score is the floor.
    """
    floors = {name: metric.resolution for name, metric in band.metrics.items()}
    candidates = [entry.run for entry in found if entry.run is not None]
    baseline = [_baseline_run(band, run.seed) for run in candidates]
    here = [run for run in baseline if run is not None]
    if len(here) < len(candidates) or len(candidates) < MIN_SEEDS:
        return floors
    for name, step in list(floors.items()):
        if not all(_scored_alike(band, run, name) for run in candidates):
            continue
        ours, theirs = score_table.item_scores(here, name), score_table.item_scores(candidates, name)
        if ours is not None and theirs is not None and ours != theirs:
            differences = [
                [y - x for x, y in zip(one, other, strict=True)] for one, other in zip(ours, theirs, strict=True)
            ]
            floors[name] = max(step, item_floor(differences))
    return floors


def _scored_alike(band: Band, run: Run, metric: str) -> bool:
    """Check whether the items that a run has on record are those of the band, scored by the same evaluator."""
    keys = ("eval_data.sha256", f"evaluators.{metric}")
    ours, theirs = band.provenance["signature"], run.signature or {}
    return all(comparability.at(ours, key) == comparability.at(theirs, key) for key in keys)


def _baseline_run(band: Band, seed: int) -> Run | None:
    """The band's run of a seed, if it is still there as the band knew it."""
    folder = layout.seed_folder(band.folder / band.provenance["runs"], seed)
    items = folder / ITEMS
    known = band.provenance["items"].get(str(seed))
    if known is None or not items.is_file() or file_hashes.file_sha256(items) != known:
        return None
    return run_file.read_seed(folder.parent, seed)
