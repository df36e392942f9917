"""Messages in the columns of Banking77, and a base of as many layers as MiniLM, for the tests of benchmarks."""

import csv
import random
from pathlib import Path

from tiny import FILLER, LABELS, WORDS


def write_messages(folder: Path) -> None:
    """Rows in the columns of Banking77, simple enough for a tiny model."""
    draw = random.Random(3)
    for name, count in (("train", 240), ("test", 90)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "category"])
            for _ in range(count):
                label = draw.choice(LABELS)
                rows.writerow([" ".join([*draw.choices(WORDS[label], k=3), *draw.choices(FILLER, k=3)]), label])


def six_layers(folder: Path) -> Path:
    """The tiny encoder with as many layers as MiniLM has."""
    import torch
    from tiny_encoder import make_tiny_encoder
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    make_tiny_encoder(folder, pooling=True)
    BertModel(BertConfig.from_pretrained(folder, num_hidden_layers=6)).save_pretrained(folder)
    return folder
