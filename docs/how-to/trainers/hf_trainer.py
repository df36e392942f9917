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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    # Before the model is made: the new head is drawn when it is loaded.
    set_seed(arguments.seed)
    rows = [json.loads(line) for line in arguments.train.read_text(encoding="utf-8").splitlines()]
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

    dataset = Dataset.from_list(rows)
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
        train_dataset=dataset.map(encode, remove_columns=dataset.column_names),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()  # trainer_state.json: the losses, from which seedband sees whether two seeds differ


if __name__ == "__main__":
    main()
