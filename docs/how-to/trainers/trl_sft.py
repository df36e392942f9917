"""Fine-tune a language model on prompts and completions: TRL's SFTTrainer with a LoRA adapter."""

import argparse
import json
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    rows = [json.loads(line) for line in arguments.train.read_text(encoding="utf-8").splitlines()]
    trainer = SFTTrainer(
        model=arguments.base,
        args=SFTConfig(
            output_dir=arguments.out,
            seed=arguments.seed,  # set before the adapter is drawn
            num_train_epochs=4,
            per_device_train_batch_size=8,
            learning_rate=2e-2,
            max_length=48,
            logging_steps=4,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=False,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_list([{key: row[key] for key in ("prompt", "completion")} for row in rows]),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()


if __name__ == "__main__":
    main()
