"""The gate of one call: candidates are judged look after look, with further seeds while the verdict is suspect."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seedband.bands.admission import check_pairs
from seedband.bands.band import Band
from seedband.bands.rules import Rule
from seedband.bands.verdict import Candidate, Verdict
from seedband.commands.check import ledger, pair_record, pairs
from seedband.commands.check.candidates import Found, check_one_recipe
from seedband.commands.check.ledger import PairLook
from seedband.commands.check.more_seeds import Trainer
from seedband.commands.check.score_candidates import Rescorer
from seedband.errors import Refused
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.recipe import identity
from seedband.recipe.identity import RecordedRecipe
from seedband.runs import slices
from seedband.storage.registry import PAIRS_RULE


@dataclass(frozen=True)
class Gate:
    """Judges candidates look after look.

    Attributes:
        band: To judge by.
        rule: By which rule.
        alpha: At which level.
        tolerance: For rules on pairs, the drop of the primary metric that nobody minds; one sd of the band if None.
        ledger_path: File that carries the looks of a recipe over between calls.
        trainer: What trains further seeds; None where nobody asks for them.
        on_event: Called with everything that happens.
        final: Whether no look at more pairs will follow.
    """

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
        key = ledger.key_of(gate, identity.identity(self.trainer.prepared.recorded))
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
        recipe = self.trainer.prepared.recorded if self.trainer is not None else _recipe_of(entries[0])
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
        seeds = {entry.seed for entry in entries if entry.seed is not None} & {*self.band.seeds}
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
    return None if entry.run is None else entry.run.checkpoint_sha256


def _recipe_of(entry: Found) -> RecordedRecipe:
    assert entry.run is not None
    return entry.run.recorded


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
