"""Noise by source: seeds, items, and the same seed trained again."""

import shlex

from seedband.bands.metric_band import MetricBand
from seedband.reports import wording
from seedband.reports.html import figures
from seedband.reports.html.figures import Drawn
from seedband.reports.page_data import Overview


def noise_by_source(name: str, metric: MetricBand, found: Overview) -> tuple[str, Drawn | None, list[str]] | None:
    """Noise by source: a drawing of what is known, and words for it and for what is not."""
    part = next((split for split in found.splits if split.metric == metric.name), None)
    proofs = [proof for proof in found.same_seed if proof.metric == metric.name]
    measured = [proof for proof in proofs if proof.distance is not None]
    d = wording.score_format(metric)
    sources = [("seeds (sd)", metric.sd)]
    notes = []
    if part is not None:
        sources.append(("items (standard error)", part.item_se))
        p = part.parts
        notes.append(
            f"Another seed has an sd of {p.same_items_sd:{d}} on these {p.n_items} items, and of "
            f"{p.new_items_sd:{d}} on as many new ones"
        )
        if part.binary:
            notes.append(f"Two seeds differ on {part.churn:.1%} of the items: by itself an sd of {part.floor:{d}}")
    if measured:
        worst = max(measured, key=lambda proof: proof.distance or 0.0)
        sources.append(("same seed again", worst.distance or 0.0))
        notes.append(_same_seed_words(worst.seed, worst.status, len(measured)))
    elif metric.name == found.band.primary:
        swept = "runs" in found.band.provenance
        how = (
            f"run seedband reproduce {shlex.quote(found.runs or 'runs/NAME')}" if swept else "there is no run to repeat"
        )
        notes.append(f"Same-seed noise is not measured: {how}")
    if len(sources) == 1 and metric.name != found.band.primary:
        return None
    drawn = figures.noise(name, sources, d) if len(sources) > 1 else None
    if drawn is None:
        notes.insert(0, f"Seeds: sd {metric.sd:{d}}")
    return metric.name, drawn, notes


def _same_seed_words(seed: int, status: str, n_measured: int) -> str:
    others = f", the most of {n_measured} seeds trained again" if n_measured > 1 else ""
    found = {
        "equal": "bit for bit the same",
        "different": "it came out otherwise",
        "not comparable": "in another environment, so the two are not comparable",
    }.get(status, status)
    return f"Seed {seed} was trained again{others}: {found}"
