"""Looks at pairs, on record: in the candidate's own sweep folder, and in the ledger where one is named.

Adding pairs until the verdict settles is optional stopping unless every look is counted. So a look says at how many
pairs it was taken, and a verdict that settled stays.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from seedband.bands.band import Band
from seedband.bands.stats.pair_looks import FEWEST
from seedband.bands.verdict import Candidate
from seedband.commands.check import ledger
from seedband.commands.check.candidates import Found
from seedband.commands.check.ledger import Entry, Ledger, PairLook
from seedband.counts import counted
from seedband.errors import Refused, SeedbandError
from seedband.events import Event
from seedband.jobs.executors import OnEvent
from seedband.recipe import identity
from seedband.recipe.identity import RecordedRecipe
from seedband.runs import layout
from seedband.storage.registry import PAIRS_RULE

#: Holds the looks at the pairs of a sweep folder, in the form of a ledger.
LOOKS = "looks.json"


class Stand(NamedTuple):
    """What the looks on record say of the next one.

    Attributes:
        first: Pairs at the first look, this one included; None where this one is the only one.
        settled: The look that settled it, if one did.
    """

    first: int | None
    settled: PairLook | None


@dataclass
class Books:
    """The places that keep the looks of one candidate recipe against one band.

    Attributes:
        key: Of the recipe and the band.
        kept: Open ledgers, that of the sweep folder and the one named.
        known: What they say of earlier looks.
        unknown: Whether looks may have been taken that nothing says anything of.
    """

    key: str
    kept: list[Ledger] = field(default_factory=list)
    known: list[Entry] = field(default_factory=list)
    unknown: bool = False

    def stand(self, candidates: Sequence[Candidate], look: PairLook, n: int) -> Stand:
        """The standing of this look after the earlier ones.

        Args:
            candidates: All pairs that there are now.
            look: The look that is about to be taken; its status is not known yet.
            n: Seeds of the band.

        Raises:
            Refused: Pairs that were looked at are not among these, or no later look was to follow.
        """
        before = self._looks()
        alike = [entry for entry in before if entry.gate == look.gate]
        first = min(entry.pairs for entry in (*before, look))
        now = {candidate.seed: candidate.checkpoint_sha256 for candidate in candidates}
        earlier = {known.seed: known.checkpoint_sha256 for entry in self.known for known in entry.looks}
        retrained = any(seed in now and now[seed] != sha256 for seed, sha256 in earlier.items())
        # A fail stays, whatever the weights; a pass is that of its weights.
        for status in ("fail",) if retrained else ("fail", "pass"):
            if settled := next((entry for entry in alike if entry.status == status), None):
                return Stand(first, settled)
        if missing := sorted(seed for seed in earlier if seed is not None and seed not in now):
            raise Refused(
                f"the pair of seed {missing[0]} was looked at before and is not among these",
                hint=f"pairs are added, never taken away: check the {len(earlier)} that were looked at, and more",
            )
        if closed := [entry.pairs for entry in alike if entry.final and entry.pairs != look.pairs]:
            raise Refused(
                f"the look at {counted(closed[0], 'pair')} was announced as the last one (--final), "
                "and it settled nothing",
                hint="another look would make its rate untrue: change the recipe, or sweep the band with more seeds",
            )
        if retrained or len(alike) < len(before) or (self.unknown and not look.final):
            return Stand(FEWEST, None)
        if before:
            only = all(entry.pairs == look.pairs and entry.final for entry in before)
        else:
            only = look.final or look.pairs == n
        return Stand(None if only else first, None)

    def record(self, candidates: Sequence[Candidate], look: PairLook) -> None:
        """Put a look that was taken on record, everywhere; taken again it is the same look."""
        others = [entry for entry in self._looks() if (entry.pairs, entry.gate) != (look.pairs, look.gate)]
        for book in self.kept:
            book.entries[self.key] = Entry(look.status, tuple(candidates), pair_looks=(*others, look))

    def _looks(self) -> list[PairLook]:
        return list(dict.fromkeys(look for entry in self.known for look in entry.pair_looks))


def key_of(band: Band, recipe: RecordedRecipe) -> str:
    """The key of a recipe's pairs against a band, whatever the level and the tolerance: each look says its own."""
    own = {name: list(metric.scores) for name, metric in band.metrics.items()}
    gate = {"scores": own, "seeds": list(band.seeds), "gates": list(band.gates), "rule": PAIRS_RULE}
    return ledger.key_of(gate, identity.identity(recipe))


@contextmanager
def opened(key: str, entries: Sequence[Found], named: Path | None, on_event: OnEvent) -> Iterator[Books]:
    """The records of a recipe's looks: those of the sweep folders that the candidates come from, and the one named."""
    parents = dict.fromkeys(Path(entry.files.path).parent for entry in entries if entry.run is not None)
    sweeps = [parent for parent in parents if (parent / layout.SWEEP).is_file()]
    books = Books(key)
    if named is not None and not named.exists():
        text = f"{named} is new: looks of earlier calls are known only where the file is kept between them"
        on_event(Event("note", content={"text": text}))
    with ExitStack() as stack:
        places = [*([named] if named is not None else []), *(sweep / LOOKS for sweep in sweeps)]
        # A ledger may be that of the sweep itself.
        for path in {place.resolve(): place for place in reversed(places)}.values():
            try:
                book = stack.enter_context(ledger.opened(path))
            except (SeedbandError, OSError) as error:
                if path == named or isinstance(error, Refused):
                    raise
                text = f"{path} cannot be written, so looks at pairs are not on record there: {error}"
                on_event(Event("note", content={"text": text}))
                continue
            books.kept.append(book)
            found = book.find(key)
            books.known += [] if found is None else [found]
        if not books.kept:
            books.unknown = True
            text = "no record keeps the looks at these pairs: every number of pairs from 2 on counts as one"
            on_event(Event("note", content={"text": f"{text}; --ledger FILE keeps them"}))
        yield books
