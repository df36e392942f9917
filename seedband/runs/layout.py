"""Layout: the name of every file that a sweep leaves on disk.

    SWEEP/sweep.json, recipe.toml, scores.parquet, logs/
    SWEEP/seed-N/run.json           last: the run is finished
    SWEEP/seed-N/items.parquet, trace.jsonl, and the checkpoint's own files

A training command that reports its own scores leaves reported-sweep.json, scores.csv and seed-N/reported.json instead.
"""

from pathlib import Path

from seedband.recipe.sections import Recipe

SWEEP = "sweep.json"
#: In its place where a training command reports its own scores.
REPORTED_SWEEP = "reported-sweep.json"
RECIPE = "recipe.toml"
#: Scores of all seeds in one table, item by item.
SCORES_TABLE = "scores.parquet"
#: In its place where a training command reports its own scores, seed by seed.
SCORES_FILE = "scores.csv"
LOGS = "logs"

RUN = "run.json"
#: In its place where a training command reports its own scores.
REPORTED = "reported.json"
#: Stands in a run's folder until its checkpoint is scored.
TRAINED = "trained.json"
#: The state of a training checkpoint.
TRAINING = "training.json"
ITEMS = "items.parquet"
TRACE = "trace.jsonl"
#: Where a training script of the user's own writes, in its run's folder.
OUT = "out"
#: Folder in a run's, in which the run is scored once more.
ANEW = "anew"
#: What scoring a checkpoint outside a sweep leaves.
SCORES = "scores.json"


def default_folder(recipe: Recipe) -> Path:
    """The folder of a recipe's sweep, where nobody names another."""
    return Path("runs") / f"{recipe.data.name}-{recipe.train.method}"


def seed_folder(folder: Path, seed: int) -> Path:
    """The folder of a seed's run in its sweep."""
    return folder / f"seed-{seed}"


def seed_folders(folder: Path) -> list[Path]:
    """The folders of all seeds in a sweep, in no particular order."""
    return list(folder.glob("seed-*/"))


def trace_path(folder: Path) -> Path:
    """The losses of a run, step by step."""
    return folder / TRACE


def training_files(folder: Path) -> list[Path]:
    """Files of a run's training checkpoint: its state, and tensors of this one and of any before."""
    return [folder / TRAINING, *sorted(folder.glob("training-*.safetensors"))]
