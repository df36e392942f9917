"""Names of metrics, seeds and numbers."""

import pytest

from seedband.scorefiles import names


@pytest.mark.parametrize(
    ("higher", "metrics"),
    [
        (
            True,
            (
                "accuracy eval_acc test/f1 val_macro_f1 f1-score ROUGE-L rouge1 bleu4 roc_auc "
                "top5_accuracy mean_iou exact_match "
                "precision@5 eval_matthews_correlation arc.acc_norm best_val_acc Dice"
            ),
        ),
        (False, "loss train_loss eval/perplexity WER mean_squared_error rmse word_error_rate log_loss test_cer"),
        (None, "meteor score accuracy_loss accuracy_drop sst2_accuracy quality eval f1_error"),
    ],
)
def test_directions_come_from_names_that_leave_no_doubt(higher, metrics):
    assert {name: names.higher_is_better(name) for name in metrics.split()} == dict.fromkeys(metrics.split(), higher)


@pytest.mark.parametrize(
    ("never", "metrics"),
    [
        (
            True,
            (
                "epoch epochs_ran eval_runtime eval_samples eval_samples_per_second eval_steps_per_second step "
                "total_flos arc.acc_stderr train_samples learning_rate lr data_seed accuracy_std global_step"
                " num_epochs wall_time"
            ),
        ),
        (False, "accuracy eval_loss n-gram_overlap stepwise_accuracy sample_f1"),
    ],
)
def test_settings_times_and_spreads_are_no_metrics(never, metrics):
    assert {name: names.is_never_a_metric(name) for name in metrics.split()} == dict.fromkeys(metrics.split(), never)


@pytest.mark.parametrize(
    ("value", "seed"),
    [
        (0, 0), ("42", 42), ("0.0", 0), (3.0, 3), ("seed_7", 7), ("s42", 42), ("run-3", 3), ("Seed 5", 5),
        (True, None),
        (None, None), ("-1", None), ("1.5", None), (2**63, None), ("²", None), ("x", None),
        (float("nan"), None),
    ],
)  # fmt: skip
def test_seeds(value, seed):
    assert names.seed_of(value) == seed


def test_percent_is_rounded_once():
    assert [names.share_of(f"{number}%") for number in ("87.1", "28.7", "0.1", "1e1")] == [0.871, 0.287, 0.001, 0.1]
    assert names.share_of("87,1 %", decimal_comma=True) == 0.871
