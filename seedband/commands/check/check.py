"""check: score candidates exactly as the band's checkpoints were scored, and judge them by the band.

A suspect verdict asks for further candidate seeds: `more_seeds` trains them, one at a time, while they are needed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seedband.bands import rules
from seedband.bands.admission import refuse_final, valid_alpha, valid_looks, valid_tolerance
from seedband.bands.band import Band, load_band
from seedband.bands.options import JudgingKeys
from seedband.bands.rules import Rule
from seedband.bands.verdict import Verdict
from seedband.commands.check import ledger, reported
from seedband.commands.check.candidates import in_order, resolve
from seedband.commands.check.gate import Gate
from seedband.commands.check.more_seeds import trainer_of
from seedband.commands.check.options import OF_CHECKPOINTS, CheckOptions
from seedband.commands.check.score_candidates import Rescorer, scoring_of
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.jobs import executors
from seedband.jobs.executors import OnEvent
from seedband.recipe.parse import load_recipe
from seedband.runs import reported_folder
from seedband.storage import json_files
from seedband.storage.registry import DEFAULT_EXECUTOR, PAIRS_RULE
from seedband.storage.validation import brief


def check(  # noqa: PLR0913  the public door of the gate: every keyword is one flag of the command
    candidates: str | Path | Sequence[str | Path],
    band: str | Path | Band,
    *,
    rule: str | None = None,
    alpha: float | None = None,
    tolerance: float | None = None,
    looks: int = 0,
    final: bool = False,
    data: str | Path | None = None,
    labels: Sequence[str] | None = None,
    base: str | None = None,
    recipe: str | Path | None = None,
    more_seeds: int = 0,
    n_pairs: int = 0,
    out: str | Path | None = None,
    ledger_path: str | Path | None = None,
    jobs: int = 1,
    strict: bool = False,
    offline: bool = False,
    on_event: OnEvent = lambda _: None,
) -> Verdict:
    """Judge the checkpoints of one candidate recipe.

    Args:
        candidates: Checkpoint folders: PEFT adapters, heads, whole models, runs or sweeps, or
            hf://org/name@commit; none with `n_pairs`. Given together they are one look, by root seed where known.
        band: band.json, or a band that was read from it.
        rule: Another rule than the band's.
        alpha: Another level than the band's.
        tolerance: For rule `paired`, the drop of the primary metric that nobody minds; one sd of the band unless said.
        looks: For rule `retest`, how many of the candidates, the first ones, were looked at before the others were
            there: they keep their place, and each of the others is a look of its own.
        final: For rule `paired`, whether this is the only look: whatever it says, none at more pairs will follow.
        data: Where the eval file lies now; its content must be the band's.
        labels: Label of each output of the candidates, where that is not the band's order.
        base: Where the base of band and candidates lies now, where their own records of it lead nowhere.
        recipe: The candidates' own recipe, where no run record beside them says it; also what lets evaluators run that
            a band alone cannot make run.
        more_seeds: While the verdict is suspect, train up to so many further candidate seeds.
        n_pairs: Train `recipe` under so many of the band's own seeds, and judge by rule `paired`.
        out: Folder for what is trained here; beside the candidates' own runs unless said, else
            runs/<data name>-<method>-<digest of the recipe>.
        ledger_path: File that carries the looks of a candidate recipe over between calls.
        jobs: Jobs at a time, for `n_pairs`.
        strict: Refuse another environment or method, too.
        offline: Whether model hubs must not be asked.
        on_event: Called with everything that happens.

    Returns:
        The verdict, with the candidates and what was noted on the way.

    Raises:
        UsageError: A path that is not there, an unknown rule, options that contradict each other.
        Refused: The scores would not be comparable, or a candidate cannot be opened safely.
        WorkFailed: Training or scoring crashed; what was finished is kept, and the same call goes on from it.
    """
    options = CheckOptions(
        rule=rule,
        alpha=alpha,
        tolerance=tolerance,
        looks=looks,
        final=final,
        data=data,
        labels=labels,
        base=base,
        recipe=recipe,
        more_seeds=more_seeds,
        n_pairs=n_pairs,
        out=out,
        ledger_path=ledger_path,
        jobs=jobs,
        strict=strict,
        offline=offline,
    )
    listed = [candidates] if isinstance(candidates, str | Path) else candidates
    return check_candidates(
        [Path(path) for path in listed], band if isinstance(band, Band) else load_band(band), options, on_event
    )


def check_candidates(listed: Sequence[Path], band: Band, options: CheckOptions, on_event: OnEvent) -> Verdict:
    """Judge the checkpoints of one candidate recipe; see `check`."""
    rule = _rule(band, options)
    _check_options(listed, rule, options, band)
    tolerance = valid_tolerance(options.tolerance, rule)
    if options.ledger_path is not None:
        ledger.check_usable(Path(options.ledger_path))
    reported_folder.refuse_parts(listed)
    if (sweep := reported_folder.reported_among(listed)) is not None:
        return _check_reported(sweep, band, rule, replace(options, tolerance=tolerance), on_event)
    if "recipe" not in band.provenance:
        raise Refused(
            "this band was made from bare scores: it does not say how to score a checkpoint",
            hint="score it as the others were scored, and give the file: check --scores FILE",
        )
    offline = options.offline
    scoring = scoring_of(band, options.data, options.recipe, options.base, offline=offline)
    order = _label_order(scoring.labels, options.labels)
    level = band.alpha if options.alpha is None else valid_alpha(options.alpha)
    found = [entry for path in listed for entry in resolve(path, offline=offline)]
    looks = valid_looks(options.looks, rule, len(found))
    # One for all of them: the seeds that a suspect verdict asks for are trained and scored one by one.
    with executors.make(_executor(options.recipe), slots=options.jobs, offline=offline) as executor:
        rescorer = Rescorer(band, scoring, order, options.base, options.strict, executor, offline, on_event)
        trainer = None
        if options.trains:
            trainer = trainer_of(found, options.recipe, options.out, executor, offline=offline, on_event=on_event)
        if trainer is not None and options.n_pairs:
            found = trainer.train(band.seeds[: options.n_pairs])
        gate = Gate(band, rule, level, tolerance, options.ledger_path, trainer, on_event, options.final)
        # Pairs are found by their seeds, so that their order says nothing.
        ordered = found if rule.on_pairs else in_order(found, looks)
        return gate.settle(ordered, rescorer, options.more_seeds, looks)


def _check_reported(sweep: Path, band: Band, rule: Rule, options: CheckOptions, on_event: OnEvent) -> Verdict:
    """Judge a sweep whose command reported its scores: there are no checkpoints to which the other options apply."""
    if any(getattr(options, name) for name in OF_CHECKPOINTS):
        raise UsageError(
            f"{sweep}: its command reported its scores: of the options for checkpoints it takes --strict alone",
            hint="sweep it under another seed to have more of them; --rule, --alpha, --tolerance and --looks apply",
        )
    judging = JudgingKeys(
        rule=rule.name, alpha=options.alpha, tolerance=options.tolerance, looks=options.looks, final=options.final
    )
    return reported.check(sweep, band, strict=options.strict, on_event=on_event, **judging)


def _label_order(labels: Sequence[str], given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The candidates' own label order, where the user gives one."""
    if given is None:
        return None
    if sorted(given) != sorted(labels):
        raise Refused(f"labels: the band has {sorted(labels)}, --labels has {sorted(given)}")
    return tuple(given)


def _executor(recipe: str | Path | None) -> str:
    """The executor that the user's recipe names."""
    return DEFAULT_EXECUTOR if recipe is None else load_recipe(Path(recipe)).recipe.run.executor


def _rule(band: Band, options: CheckOptions) -> Rule:
    rule = rules.find(options.rule or (PAIRS_RULE if options.n_pairs else band.rule))
    if options.n_pairs and not rule.on_pairs:
        raise UsageError(f"--pairs is for rule {PAIRS_RULE}, this is {options.rule}")
    return rule


def _check_options(listed: Sequence[Path], rule: Rule, options: CheckOptions, band: Band) -> None:
    """Options that contradict each other, before anything is done."""
    n_pairs = options.n_pairs
    if n_pairs and listed:
        raise UsageError("--pairs trains its own candidates: name none, or leave --pairs out")
    if not n_pairs and not listed:
        raise UsageError("no candidate", hint="name a checkpoint, or --scores FILE, or --pairs K --recipe FILE")
    if n_pairs and options.recipe is None:
        raise UsageError("--pairs needs the candidate's recipe", hint="--recipe candidate.toml")
    if n_pairs and not 2 <= n_pairs <= len(band.seeds):  # noqa: PLR2004
        raise UsageError(
            f"--pairs {n_pairs}: the band has {counted(len(band.seeds), 'healthy seed')}, and a spread takes 2 pairs",
            hint="sweep the band with more seeds to have more pairs",
        )
    if options.more_seeds and rule.on_pairs:
        raise UsageError("--more-seeds draws new seeds, which have no pair", hint="a larger --pairs trains more pairs")
    if options.looks and options.ledger_path is not None:
        raise UsageError("--looks and --ledger both say which looks were taken", hint="the ledger knows: drop --looks")
    refuse_final(rule, final=options.final)


def read_labels(path: Path) -> list[str]:
    """A label a line, or a JSON list of them."""
    text = json_files.read_text(path, json_files.MAX_FOREIGN_BYTES)
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        labels = json_files.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: neither a label a line nor a JSON list: {error}") from error
    for number, label in enumerate(labels, 1):
        if not isinstance(label, str | int) or isinstance(label, bool):
            raise UsageError(f"{path}: label {number}: found {brief(label)}, expected a text")
    return [str(label) for label in labels]
