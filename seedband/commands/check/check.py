"""check: score candidates exactly as the band's checkpoints were scored, and judge them by the band.

A suspect verdict asks for further candidate seeds: `more_seeds` trains them, one at a time, while they are needed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seedband.bands import rules
from seedband.bands.admission import check_pairs, refuse_final, valid_alpha, valid_looks, valid_tolerance
from seedband.bands.band import Band, load_band
from seedband.bands.options import JudgingKeys
from seedband.bands.rules import Rule
from seedband.bands.verdict import Candidate, Verdict
from seedband.commands.check import ledger, pair_record, pairs, reported
from seedband.commands.check.candidates import Found, check_one_recipe, in_order, resolve
from seedband.commands.check.ledger import PairLook
from seedband.commands.check.more_seeds import Trainer, trainer_of
from seedband.commands.check.score_candidates import Rescorer, scoring_of
from seedband.counts import counted
from seedband.errors import Refused, UsageError
from seedband.events import Event
from seedband.jobs import executors
from seedband.jobs.executors import OnEvent
from seedband.recipe import identity
from seedband.recipe.parse import load_recipe
from seedband.runs import reported_folder, slices
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
    band = band if isinstance(band, Band) else load_band(band)
    listed = [candidates] if isinstance(candidates, str | Path) else list(candidates)
    known = _rule(band, rule, n_pairs)
    _check_options(listed, recipe, known, more_seeds, n_pairs, band)
    if looks and ledger_path is not None:
        raise UsageError("--looks and --ledger both say which looks were taken", hint="the ledger knows: drop --looks")
    refuse_final(known, final=final)
    tolerance = valid_tolerance(tolerance, known)
    if ledger_path is not None:
        ledger.check_usable(Path(ledger_path))
    reported_folder.refuse_parts([Path(path) for path in listed])
    if len(listed) == 1 and reported_folder.is_reported(Path(listed[0])):
        if any((data, labels, base, recipe, more_seeds, out, ledger_path)):
            raise UsageError(
                f"{listed[0]}: its command reported its scores: of the options for checkpoints it takes --strict alone",
                hint="sweep it under another seed to have more of them; --rule, --alpha, --tolerance and --looks apply",
            )
        asked = JudgingKeys(rule=known.name, alpha=alpha, tolerance=tolerance, looks=looks, final=final)
        return reported.check(Path(listed[0]), band, strict=strict, on_event=on_event, **asked)
    if "recipe" not in band.provenance:
        raise Refused(
            "this band was made from bare scores: it does not say how to score a checkpoint",
            hint="score it as the others were scored, and give the file: check --scores FILE",
        )
    scoring = scoring_of(band, data, recipe, base, offline=offline)
    if labels is not None and sorted(labels) != sorted(scoring.labels):
        raise Refused(f"labels: the band has {sorted(scoring.labels)}, --labels has {sorted(labels)}")
    order = None if labels is None else tuple(labels)
    level = band.alpha if alpha is None else valid_alpha(alpha)
    found = [entry for path in listed for entry in resolve(Path(path), offline=offline)]
    looks = valid_looks(looks, known, len(found))
    # One for all of them: the seeds that a suspect verdict asks for are trained and scored one by one.
    with executors.make(_executor(recipe), slots=jobs, offline=offline) as executor:
        rescorer = Rescorer(band, scoring, order, base, strict, executor, offline, on_event)
        trainer = None
        if recipe or more_seeds or n_pairs or ledger_path:
            trainer = trainer_of(found, recipe, out, executor, offline=offline, on_event=on_event)
        if trainer is not None and n_pairs:
            found = trainer.train(band.seeds[:n_pairs])
        gate = _Gate(band, known, level, tolerance, ledger_path, trainer, on_event, final)
        # Pairs are found by their seeds, so that their order says nothing.
        ordered = found if known.on_pairs else in_order(found, looks)
        return gate.settle(ordered, rescorer, more_seeds, looks)


def _executor(recipe: str | Path | None) -> str:
    """Where jobs go: as the recipe says that the user names."""
    return DEFAULT_EXECUTOR if recipe is None else load_recipe(Path(recipe)).recipe.run.executor


def _rule(band: Band, rule: str | None, n_pairs: int) -> Rule:
    known = rules.find(rule or (PAIRS_RULE if n_pairs else band.rule))
    if n_pairs and not known.on_pairs:
        raise UsageError(f"--pairs is for rule {PAIRS_RULE}, this is {rule}")
    return known


def _check_options(
    listed: Sequence[str | Path], recipe: str | Path | None, rule: Rule, more_seeds: int, n_pairs: int, band: Band
) -> None:
    """Options that contradict each other, before anything is done."""
    if n_pairs and listed:
        raise UsageError("--pairs trains its own candidates: name none, or leave --pairs out")
    if not n_pairs and not listed:
        raise UsageError("no candidate", hint="name a checkpoint, or --scores FILE, or --pairs K --recipe FILE")
    if n_pairs and recipe is None:
        raise UsageError("--pairs needs the candidate's recipe", hint="--recipe candidate.toml")
    if n_pairs and not 2 <= n_pairs <= len(band.seeds):  # noqa: PLR2004
        raise UsageError(
            f"--pairs {n_pairs}: the band has {counted(len(band.seeds), 'healthy seed')}, and a spread takes 2 pairs",
            hint="sweep the band with more seeds to have more pairs",
        )
    if more_seeds and rule.on_pairs:
        raise UsageError("--more-seeds draws new seeds, which have no pair", hint="a larger --pairs trains more pairs")


@dataclass(frozen=True)
class _Gate:
    """Judges candidates look after look."""

    band: Band
    rule: Rule
    alpha: float
    tolerance: float | None
    ledger_path: str | Path | None
    trainer: Trainer | None
    on_event: OnEvent = lambda _: None
    final: bool = False

    def settle(self, found: Sequence[Found], rescorer: Rescorer, more_seeds: int, looks: int = 0) -> Verdict:
        """The verdict, with up to `more_seeds` further seeds while it is suspect."""
        entries = list(found)
        check_one_recipe(entries)
        self._tell_shared_draws(entries)
        scored = rescorer.score(entries)
        verdict = self.judge(entries, scored, looks)
        for number in range(1, more_seeds + 1):
            if verdict.status != "suspect" or self.trainer is None:
                break
            text = f"suspect: {verdict.reason}; training a candidate seed ({number} of at most {more_seeds})"
            self.on_event(Event("note", content={"text": text}))
            new = self._train_fresh(self.trainer, verdict.candidates)
            looks = len(scored)
            entries += new
            scored += rescorer.score(new)
            verdict = self.judge(entries, scored, looks)
        return verdict

    def judge(self, entries: Sequence[Found], scored: Sequence[Candidate], own_looks: int = 0) -> Verdict:
        """A look at all candidates so far, those of earlier calls included.

        Args:
            entries: What was found in this call.
            scored: Their scores.
            own_looks: So many of them, the first ones, have had a look before this one.
        """
        if self.rule.on_pairs:
            return self._judge_pairs(entries, scored)
        if self.ledger_path is None:
            return self._judge(entries, scored, own_looks)
        assert self.trainer is not None
        own = {name: list(metric.scores) for name, metric in self.band.metrics.items()}
        gate = {"scores": own, "gates": list(self.band.gates), "rule": self.rule.name, "alpha": self.alpha}
        key = ledger.key_of(gate, identity.identity(self.trainer.prepared.as_record()))
        path = Path(self.ledger_path)
        if not path.exists():
            text = f"{path} is new: looks of earlier calls are known only where the file is kept between them"
            self.on_event(Event("note", content={"text": text}))
        with ledger.opened(path) as book:
            before = book.find(key)
            if before is not None and before.status == "fail":
                verdict = self._judge(entries, before.looks, before.looked_at)
                reason = f"this recipe failed at an earlier call, and the ledger carries it: {verdict.reason}"
                return replace(verdict, status="fail", reason=reason)
            looks = list(scored) if before is None else before.joined(scored)
            if before is not None and before.status == "suspect":
                own_looks = len(before.looks) if len(looks) > len(before.looks) else before.looked_at
            else:
                own_looks = 0
            verdict = self._judge(entries, looks, own_looks)
            book.record(key, verdict.status, looks, own_looks)
        return verdict

    def _judge_pairs(self, entries: Sequence[Found], scored: Sequence[Candidate]) -> Verdict:
        """A look at all pairs so far, at the level that is left to it by the looks on record."""
        seeds = pairs.shared_seeds(self.band, entries)
        if all(candidate.scores for candidate in scored):
            check_pairs(self.band.seeds, self.band.failed_seeds, seeds, len(scored))
        recipe = self.trainer.prepared.as_record() if self.trainer is not None else entries[0].record
        assert recipe is not None
        allowed = self.band.metrics[self.band.primary].noise_sd if self.tolerance is None else self.tolerance
        look = PairLook(len(scored), self.alpha, allowed, self.final, "suspect", "")
        named = None if self.ledger_path is None else Path(self.ledger_path)
        key = pair_record.key_of(self.band, recipe)
        with pair_record.opened(key, entries, named, self.on_event) as books:
            first, settled = books.stand(scored, look, len(self.band.seeds))
            verdict = self._judge(entries, scored, first=first)
            if settled is not None:
                reason = f"settled by the look at {settled.pairs} pairs, which is on record: {settled.reason}"
                return replace(verdict, status=settled.status, reason=reason)
            taken = replace(look, final=first is None, status=verdict.status, reason=verdict.reason)
            books.record(scored, taken)
        return verdict

    def _tell_shared_draws(self, entries: Sequence[Found]) -> None:
        """Fresh seeds are what the printed rates are about; under the band's own, candidates repeat its noise."""
        seeds = {int(entry.record["seed"]) for entry in entries if entry.record is not None} & {*self.band.seeds}
        if seeds and not self.rule.on_pairs:
            named = ", ".join(map(str, sorted(seeds)))
            text = f"trained under the band's own seeds {named}, so they share its noise"
            text += f"; --rule {PAIRS_RULE} is made for that"
            self.on_event(Event("note", content={"text": text}))

    def _train_fresh(self, trainer: Trainer, candidates: Sequence[Candidate]) -> list[Found]:
        """The run of the smallest root seed that neither band nor candidates have used.

        The seed of a candidate without a run record shows in its weights only.
        """
        used = {*self.band.seeds, *self.band.failed_seeds, *(candidate.seed for candidate in candidates)}
        known = {candidate.checkpoint_sha256 for candidate in candidates} - {None}
        runs_left = (trainer.train([seed]) for seed in itertools.count() if seed not in used)
        return next(new for new in runs_left if known.isdisjoint(_weights(entry) for entry in new))

    def _judge(
        self,
        entries: Sequence[Found],
        candidates: Sequence[Candidate],
        own_looks: int = 0,
        *,
        first: int | None = None,
    ) -> Verdict:
        _check_distinct(candidates)
        failed = [candidate for candidate in candidates if candidate.failure]
        reason = f"{failed[0].name} failed to train: {failed[0].failure}" if failed else ""
        if any(not candidate.scores for candidate in candidates):
            rate = self.band.metrics[self.band.primary].failure_rate.share
            return Verdict("fail", {}, self.band.primary, reason, rate, tuple(candidates))
        metrics = self.band.metrics.keys()
        for candidate in candidates:
            if candidate.scores.keys() != metrics:
                scored = ", ".join(sorted(candidate.scores))
                raise Refused(f"{candidate.name}: scored by {scored}; the band has {', '.join(sorted(metrics))}")
        scores = {name: [candidate.scores[name] for candidate in candidates] for name in candidates[0].scores}
        by_rule: dict[str, Any] = {"looks": own_looks} if self.rule.looks_again else {}
        if self.rule.on_pairs:
            pairs.shared_seeds(self.band, entries)
            seeds = [candidate.seed for candidate in candidates]
            by_rule = {"seeds": seeds, "pair_floors": pairs.item_floors(self.band, entries)}
            by_rule |= {"final": first is None, "first_pairs": first}
        verdict = self.band.judge(
            scores,
            rule=self.rule.name,
            alpha=self.alpha,
            failure=reason,
            tolerance=self.tolerance,
            same_evaluators=True,
            **by_rule,
        )
        known = [candidate.baseline_seed for candidate in candidates if candidate.baseline_seed is not None]
        if known and not failed:
            seeds_told = ", ".join(str(seed) for seed in known)
            what = "these are seeds" if len(known) > 1 else "this is seed"
            same = f"{what} {seeds_told} of the band itself, weight for weight"
            reason = f"{verdict.reason}: {same}" if self.rule.on_pairs else same
            verdict = replace(verdict, status="pass", reason=reason)
        return replace(verdict, candidates=tuple(candidates), slices=slices.judge(self.band, candidates))


def _weights(entry: Found) -> str | None:
    """SHA-256 of the weights that a run has on record."""
    return None if entry.record is None else entry.record.get("checkpoint_sha256")


def _check_distinct(candidates: Sequence[Candidate]) -> None:
    """The same weights twice are one candidate, and a baseline checkpoint beside others is no new evidence."""
    seen: dict[str, str] = {}
    for candidate in candidates:
        sha256 = candidate.checkpoint_sha256
        if sha256 is not None and sha256 in seen:
            raise Refused(f"{candidate.name} has the same weights as {seen[sha256]}: one candidate counts once")
        if sha256 is not None:
            seen[sha256] = candidate.name
    known = [candidate for candidate in candidates if candidate.baseline_seed is not None]
    if known and len(known) < len(candidates):
        raise Refused(
            f"{known[0].name} is seed {known[0].baseline_seed} of the band itself, among candidates that are not",
            hint="give candidates of one new recipe",
        )


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
