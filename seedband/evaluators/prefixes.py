"""Prefixes: names of evaluators that other libraries, or the user's own code, bring."""

from collections.abc import Mapping
from typing import NamedTuple


class Prefix(NamedTuple):
    """Evaluators that somebody else's names stand for: `prefix:name`.

    Attributes:
        module: Where `load(name, folder, args)` lives.
        names: What may follow the colon, for people.
        summary: What it brings, in one line.
        reads: What they ask for; empty where that depends.
        needs_trust, library, extra: See `Evaluator`.
    """

    module: str
    names: str
    summary: str
    reads: str
    needs_trust: bool
    library: str = ""
    extra: str = ""


PREFIXES: Mapping[str, Prefix] = {
    "fi": Prefix(
        "seedband.evaluators.external.futureagi",
        "<metric>",
        "A metric of FutureAGI's ai-evaluation.",
        "texts",
        needs_trust=True,
        library="fi",
        extra="fi",
    ),
    "lm_eval": Prefix(
        "seedband.evaluators.external.lm_eval",
        "<task>",
        "A task of EleutherAI's lm-evaluation-harness.",
        "checkpoint",
        needs_trust=True,
        library="lm_eval",
        extra="lm-eval",
    ),
    "python": Prefix(
        "seedband.evaluators.external.python",
        "<module>:<function>",
        "A function or class of your own.",
        "any",
        needs_trust=True,
    ),
    "sklearn": Prefix(
        "seedband.evaluators.external.sklearn",
        "<scorer>",
        "Any scorer of scikit-learn for classes.",
        "classes",
        needs_trust=False,
    ),
}
