"""Names in score files: which of them are metrics, which way is better, and what counts as a seed or a number."""

import re
from typing import Any

from seedband.determinism.seeds import MAX_ROOT_SEED

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_SEED = re.compile(r"(?:(?:seed|run|s)[ _=.-]?)?(\d{1,19})(?:\.0+)?", re.ASCII | re.IGNORECASE)
_NAMED_SEED = re.compile(r"(?:seed|s)[ _=.-]?\d{1,19}", re.ASCII | re.IGNORECASE)
#: A seed in one part of a path; "seed" goes before "run", and "run" before "s".
_SEED_IN_PATH = re.compile(r"(?<![a-z0-9])(seed|run|s)[ _=.-]?(\d{1,19})(?![a-z0-9])", re.ASCII | re.IGNORECASE)
RANKS = ("seed", "run", "s")
_SEED_COLUMN = re.compile(r"(?:[a-z]+_)*seeds?", re.ASCII)
_PLAIN_SEED_COLUMNS = frozenset(("seed", "seeds", "random_seed", "rng_seed", "training_seed", "train_seed", "run_seed"))
MISSING = frozenset(("", "n/a", "na", "#n/a", "none", "null", "-", "--", "–", "—"))
_AGGREGATE = re.compile(
    r"(mean|avg|average|std|stdev|sd|sem|stderr|var|variance|median|min|max|total|overall|count|range|ci|mad|iqr|all)\b"
    r"|\d+%|±",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"[_@+\-\s]+")
_PREFIX = re.compile(r"(eval|val|valid|validation|test|train|training|dev|predict|best|final)[_./ -]+(?=.)")

LOWER = frozenset(
    ("loss", "error", "err", "perplexity", "ppl", "wer", "cer", "mse", "rmse", "mae", "nll", "bits", "brier", "ece")
)
HIGHER = frozenset(
    (
        "accuracy", "acc", "f1", "auc", "auroc", "auprc", "roc", "bleu", "sacrebleu", "rouge", "rougel", "rougelsum",
        "precision", "recall", "mcc", "matthews", "dice", "iou", "miou", "em", "chrf", "pearson", "pearsonr",
        "spearman", "spearmanr", "correlation",
    )
)  # fmt: skip
#: Words that leave a metric what it is: macro_f1, acc_norm, top5_accuracy, rouge_1.
_QUALIFIERS = frozenset(
    (
        "macro", "micro", "weighted", "avg", "average", "overall", "norm", "balanced", "binary", "samples", "score",
        "top", "at", "k", "l", "lsum", "word", "byte", "token", "log", "per", "rate", "mean", "root", "squared",
        "absolute", "mm",
    )
)  # fmt: skip
_NEVER = re.compile(
    r"epochs?(_.*)?|(global_|max_|total_)?steps?|runtime|time|(.*_)?(time|runtime|seconds|secs|duration|elapsed)(_.*)?"
    r"|samples|(.*_)?samples|.*_per_second|(.*_)?flops?|(.*_)?flos|(.*_)?(stderr|std|stdev|sd|sem|var)|n|num_.*"
    r"|lr|(.*_)?learning_rate|(.*_)?batch_size|weight_decay|warmup.*|timestamp|date|(.*_)?memory(_.*)?|gpu.*|(.*_)?params"
    r"|(.*_)?seeds?|index|id|unnamed.*|column_\d+|run|run_id|trial|fold|rank|bootstrap_iters|patience|dropout|hidden_size"
    r"|n_(params|samples|train|eval|test|items|rows|layers|epochs|steps|seeds|gpus|shots?)"
    r"|num_fewshot|iterations?|iters?"
)


def words(name: str) -> str:
    """A metric's own name in lower case with underscores: without the path before it, without eval_ or test_."""
    last = re.split(r"[./]", name.strip())[-1] or name
    plain = "_".join(filter(None, _SPLIT.split(last.split(",")[0].lower())))
    while prefix := _PREFIX.match(plain):
        plain = plain[prefix.end() :]
    return plain


def is_never_a_metric(name: str) -> bool:
    """Check whether a name is that of a setting, a count, a time or a spread, which no gate is about."""
    return _NEVER.fullmatch(words(name)) is not None


def higher_is_better(name: str) -> bool | None:
    """Direction that a metric's name gives; None where it gives none.

    Examples:
        >>> higher_is_better("eval_accuracy"), higher_is_better("test/loss"), higher_is_better("meteor")
        (True, False, None)
    """
    plain = words(name)
    if plain in ("exact_match", "matthews_correlation"):
        return True
    parts = [
        re.sub(r"\d+$", "", part) if part.rstrip("0123456789") not in ("", "f") else part for part in plain.split("_")
    ]
    known = {part in HIGHER for part in parts if part in HIGHER | LOWER}
    rest = [part for part in parts if part not in HIGHER | LOWER | _QUALIFIERS and not part.isdigit()]
    return next(iter(known)) if len(known) == 1 and not rest else None


def is_seed_column(name: str) -> bool:
    """Check whether a column of that name may hold the seeds."""
    return _SEED_COLUMN.fullmatch(_column(name)) is not None


def is_plain_seed_column(name: str) -> bool:
    """Check whether a column of that name is the one of the seeds, whatever others there are."""
    return _column(name) in _PLAIN_SEED_COLUMNS


def _column(name: str) -> str:
    return "_".join(filter(None, _SPLIT.split(re.split(r"[./]", name)[-1].lower())))


def is_named_seed(value: Any) -> bool:
    """Check whether a text says of itself that it is a seed: seed_0, s42."""
    return isinstance(value, str) and _NAMED_SEED.fullmatch(value.strip()) is not None


def seed_of(value: Any) -> int | None:
    """A root seed that is written as 3, "3", 3.0, seed_3, s3 or run-3; None for anything else."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_ROOT_SEED:
        value = int(value)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _SEED.fullmatch(text.strip()) if isinstance(text, str) else None
    return int(found[1]) if found and int(found[1]) <= MAX_ROOT_SEED else None


def seeds_in_path_part(part: str) -> list[tuple[int, int, str]]:
    """Rank, seed and text of everything in a part of a path that looks like a seed."""
    return [(RANKS.index(hit[1].lower()), int(hit[2]), hit[0]) for hit in _SEED_IN_PATH.finditer(part)]


def is_aggregate(value: Any) -> bool:
    """Check whether a text names a row that sums others up: mean, std, 95%."""
    return isinstance(value, str) and _AGGREGATE.match(value.strip()) is not None


def is_missing(value: Any) -> bool:
    """Check whether a value stands for none."""
    return value is None or (isinstance(value, str) and value.strip().lower() in MISSING)


def number_of(value: Any, *, decimal_comma: bool = False) -> float | None:
    """A number, or the number that a text is; None for anything else.

    Args:
        value: From a table.
        decimal_comma: Whether `0,871` is one, too.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    return float(text) if _NUMBER.fullmatch(text) else None


def share_of(value: Any, *, decimal_comma: bool = False) -> float | None:
    """The fraction that a text with a percent sign is; None for anything else.

    Examples:
        >>> share_of("87.1%"), share_of("0.871")
        (0.871, None)
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text.endswith("%") or number_of(text[:-1], decimal_comma=decimal_comma) is None:
        return None
    # Shifting the point in the text rounds once, as .871 itself does.
    plain = text[:-1].strip().replace(",", ".")
    return float(f"{plain}e-2") if re.fullmatch(r"[+-]?[\d.]+", plain) else float(plain) / 100


def is_percentage(value: Any, *, decimal_comma: bool = False) -> bool:
    """Check whether a text is a number with a percent sign."""
    return share_of(value, decimal_comma=decimal_comma) is not None
