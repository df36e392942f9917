"""Fine-tune a text classifier with PyTorch Lightning."""

import argparse
import json
from pathlib import Path

import lightning
import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Classifier(lightning.LightningModule):
    def __init__(self, base: str, labels: list[str]) -> None:
        super().__init__()
        self.model = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )

    def training_step(self, batch: dict[str, torch.Tensor], number: int) -> torch.Tensor:
        loss = self.model(**batch).loss
        if number % 5 == 0:
            print({"loss": loss.item(), "step": self.global_step})  # a line that seedband reads
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    lightning.seed_everything(arguments.seed, workers=True)
    rows = [json.loads(line) for line in arguments.train.read_text(encoding="utf-8").splitlines()]
    labels = sorted({row["label"] for row in rows})
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)

    def collate(batch: list[dict[str, str]]) -> dict[str, torch.Tensor]:
        texts = [row["text"] for row in batch]
        encoded = tokenizer(texts, truncation=True, max_length=32, padding=True, return_tensors="pt")
        return {**encoded, "labels": torch.tensor([labels.index(row["label"]) for row in batch])}

    module = Classifier(arguments.base, labels)
    trainer = lightning.Trainer(
        max_epochs=10,
        accelerator="cpu",
        deterministic=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(rows, batch_size=16, shuffle=True, collate_fn=collate))
    # A transformers folder with safetensors, not Lightning's pickled checkpoint.
    module.model.save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
