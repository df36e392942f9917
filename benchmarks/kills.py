"""Does SIGKILL at any moment of a sweep cost anything? Sweeps that are killed, against sweeps that are not.

    python benchmarks/kills.py [--kills 200] [--seed 0] [--out DIR]

A tiny encoder is trained on the demo's data under three seeds, by `lora` (a job a seed) and by `head` (one job), with a
training checkpoint every 5 steps. The parent is killed at random moments, one kill in four at a named one, and started
again until the sweep has ended; then a new one begins. Each is compared with the undisturbed sweep of its method:
witnesses, weights, traces, scores and initializers of every run, the band's scores, and which files lie there.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "fixtures"))

from killing import PHASES, TRIGGERS, Kill, KilledSweep, differences, outcome  # noqa: E402
from tiny_encoder import make_tiny_encoder  # noqa: E402

SEEDS = range(3)
#: Epochs by method, enough to beat the trivial predictor.
EPOCHS = {"lora": 2, "head": 4}
RECIPE = """
[model]
base = "../base"
max_length = 32

[data]
name = "kills"
train = "{data}/train.jsonl"
eval = "{data}/eval.jsonl"

[train]
method = "{method}"
epochs = {epochs}
batch_size = 16
learning_rate = 1e-2
save_steps = 5

[[evaluate]]
evaluator = "accuracy"
primary = true

[[evaluate]]
evaluator = "log_loss"
"""


def make_sweep(folder: Path, method: str) -> KilledSweep:
    folder.mkdir()
    text = RECIPE.format(data=ROOT / "fixtures/support", method=method, epochs=EPOCHS[method])
    (folder / "seedband.toml").write_text(text, encoding="utf-8")
    return KilledSweep(folder, len(SEEDS), grouped=method == "head")


def came_to(sweep: KilledSweep) -> dict:
    return outcome(sweep.runs, sweep.folder / "band.json", SEEDS)


def kill_often(sweep: KilledSweep, kills: int, draw: random.Random) -> None:
    """At most so many kills; fewer where the sweep comes to its end before."""
    on = True
    while on and len(sweep.kills) < kills:
        on = sweep.kill_on(draw.choice([*TRIGGERS])) if draw.random() < 0.25 else sweep.kill_at_random(draw)


def measure(out: Path, method: str, kills: int, draw: random.Random) -> tuple[list[Kill], int, list[str]]:
    """Kills, runs that went on from a training checkpoint, and what was not as in the undisturbed sweep."""
    whole = make_sweep(out / method, method)
    whole.finish()
    expected = came_to(whole)
    done, resumed, wrong, sweeps = [], 0, [], 0
    while len(done) < kills:
        sweeps += 1
        sweep = make_sweep(out / f"{method}-{sweeps}", method)
        kill_often(sweep, kills - len(done), draw)
        sweep.finish()
        found = [f"{method}-{sweeps}: {what}" for what in sweep.problems + differences(expected, came_to(sweep))]
        done, resumed, wrong = done + sweep.kills, resumed + sweep.resumed, wrong + found
        print(f"{method}-{sweeps}: {len(sweep.kills)} kills, {len(found)} differences", file=sys.stderr, flush=True)
    return done, resumed, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--out", type=Path, help="a folder that does not exist yet; a temporary one unless said")
    args = parser.parse_args()
    out = args.out or Path(tempfile.mkdtemp(prefix="seedband-kills-"))
    out.mkdir(parents=True, exist_ok=args.out is None)
    make_tiny_encoder(out / "base", pooling=True)
    draw, started, wrong = random.Random(args.seed), time.monotonic(), []
    print("| kills while | " + " | ".join(PHASES) + " | all | runs resumed | differences |")
    print("|---" * (len(PHASES) + 4) + "|")
    for method, kills in (("lora", args.kills - args.kills // 2), ("head", args.kills // 2)):
        done, resumed, found = measure(out.absolute(), method, kills, draw)
        landed, wrong = Counter(kill.phase for kill in done), wrong + found
        cells = [method, *(landed[phase] for phase in PHASES), len(done), resumed, len(found)]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\nMade by `python benchmarks/kills.py --kills {args.kills} --seed {args.seed}`", end=" ")
    print(f"in {time.monotonic() - started:.0f} s; the folder is {out}.")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
