"""Fine-tune a whole text classifier with the Hugging Face Trainer."""

import argparse
import json
from pathlib import Path

from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--eval", type=Path, help="rows to evaluate on, for scores of one's own")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    # Before the model is made: the new head is drawn when it is loaded.
    set_seed(arguments.seed)
    rows = read(arguments.train)
    labels = sorted({row["label"] for row in rows})
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.base,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )

    def encode(row: dict[str, str]) -> dict[str, object]:
        return {**tokenizer(row["text"], truncation=True, max_length=32), "labels": labels.index(row["label"])}

    def encoded(rows: list[dict[str, str]]) -> Dataset:
        dataset = Dataset.from_list(rows)
        return dataset.map(encode, remove_columns=dataset.column_names)

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=arguments.out,
            seed=arguments.seed,
            num_train_epochs=10,
            per_device_train_batch_size=16,
            learning_rate=3e-3,
            logging_steps=5,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=encoded(rows),
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())},
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()  # trainer_state.json: the losses, from which seedband sees whether two seeds differ
    if arguments.eval is not None:
        trainer.save_metrics("eval", trainer.evaluate(encoded(read(arguments.eval))))  # eval_results.json


if __name__ == "__main__":
    main()
