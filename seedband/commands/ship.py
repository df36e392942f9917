"""ship: the median run's checkpoint, ready for use, with a model card that carries the band."""

import shutil
from pathlib import Path
from typing import Any

from seedband import tasks
from seedband.bands.band import Band, load_band
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.models import checkpoints, model_folders, recognise
from seedband.models.bases import locate_base
from seedband.runs import run_file, sweep_file
from seedband.runs.layout import ITEMS, OUT, RUN, TRACE
from seedband.runs.run import Run
from seedband.storage import atomic_files

#: What describes a run but is no part of its checkpoint.
RECORDS = (RUN, ITEMS, TRACE, "trainer_state.json", OUT)
#: Where the initializers would stand, if anybody knew them.
BY_SCRIPT = "By the script that trained it, from its seed."


def ship(folder: str | Path, to: str | Path) -> Run:
    """Copy the lower-median checkpoint of a sweep, and write its model card.

    An adapter is copied as it is. A head is put back on its base: as a transformers classifier where it is the
    architecture's own, else beside a copy of the embedding model.

    Args:
        folder: Of the sweep.
        to: A folder that does not exist yet, or is empty.

    Returns:
        The run that was shipped.

    Raises:
        UsageError: No sweep with a band, or a target that holds something.
        Refused: The sweep's files do not hold together.
    """
    folder, to = Path(folder), Path(to)
    path = sweep_file.band_path(folder)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{to} exists and is not empty")
    band = load_band(path)
    if "recipe" not in band.provenance:
        raise Refused(f"{path}: was made from bare scores, there is no run to ship")
    run = run_file.read_seed(folder, band.metrics[band.primary].median_seed)
    if (run.folder / "head.json").is_file():
        _ship_head(run, band, to)
    else:
        shutil.copytree(run.folder, to, ignore=shutil.ignore_patterns(*RECORDS), dirs_exist_ok=True)
    shutil.copyfile(path, to / "band.json")
    atomic_files.write_text(to / "README.md", model_card(band, run))
    return run


def model_card(band: Band, run: Run) -> str:
    """A model card that says which run this is, of how many, and how far their scores lie apart."""
    facts = band.provenance
    primary = band.metrics[band.primary]
    rows = "\n".join(
        f"| {metric.name} | {metric.scores[metric.seeds.index(run.seed)]:.4f} "
        f"| {metric.lower:.4f} to {metric.upper:.4f} | {metric.mean:.4f} | {metric.sd:.4f} |"
        for metric in band.metrics.values()
    )
    seeds = counted(primary.n, "seed")
    failed = f", {len(primary.failed_seeds)} more failed to train" if primary.failed_seeds else ""
    initializers = "\n".join(
        f"| {entry.name} | {' × '.join(map(str, entry.shape))} | {entry.distribution} |" for entry in run.initializers
    )
    drawn = f"| tensor | shape | distribution |\n|---|---|---|\n{initializers}" if initializers else BY_SCRIPT
    return f"""---
base_model: {facts["base"]["reference"]}
library_name: {"peft" if (run.folder / "adapter_config.json").is_file() else "transformers"}
pipeline_tag: {tasks.find(facts["signature"]["task"]).pipeline}
tags: [seedband]
---
# {facts["data"]["name"]}: seed {run.seed}, the median of {primary.n}

This checkpoint is the median run of {seeds} of one recipe{failed}: neither the luckiest nor the unluckiest.
Another seed of the same recipe scores elsewhere in the band; `band.json` beside this file holds all of them.

| metric | this run | band | mean | sd |
|---|---|---|---|---|
{rows}

Base: `{facts["base"]["reference"]}`, weights sha256 `{facts["base"]["sha256"]}`.
Data: {facts["data"]["name"]} {facts["data"]["version"]}, {counted(facts["data"]["n_train"], "row")} to train and
{facts["data"]["n_eval"]} to evaluate. Labels: {", ".join(facts["signature"]["labels"])}.

## New tensors and how they were drawn
{drawn}
"""


def _ship_head(run: Run, band: Band, to: Path) -> None:
    facts = band.provenance["base"]
    base = locate_base(facts["reference"], facts["revision"], band.folder, offline=True)
    if base.sha256 != facts["sha256"]:
        raise Refused(f"{base.path}: its weights are no longer those that the heads were trained on")
    head = model_folders.read_head(run.folder)
    if head.pooling == "model":
        files = recognise.recognise(run.folder, str(run.folder))
        task = tasks.find(band.provenance["signature"]["task"])
        model: Any = checkpoints.open_checkpoint(files, base, head.labels, task).module
        model.save_pretrained(to)
        task.reader.load(base.path).save_pretrained(to)
        return
    shutil.copytree(base.path, to, dirs_exist_ok=True)
    for name in ("head.json", model_folders.HEAD_WEIGHTS):
        shutil.copyfile(run.folder / name, to / name)
