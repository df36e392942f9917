"""Judging: many requests at a time, each of them once, what was said before taken from disk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from seedband.counts import counted
from seedband.errors import WorkFailed
from seedband.evaluators.judge.cache import Cache, Judgement
from seedband.evaluators.judge.client import Client, UnansweredError, UnreachableError, UnusableError
from seedband.evaluators.judge.rubric import ChatRequest


@dataclass
class Judged:
    """What came of it.

    Attributes:
        said: Key → judgement.
        cached: How many of them were on disk.
        failure: Why the last of those that got none got none.
        counted: What it took: calls, retries, tokens, replies that do not count theirs.
    """

    said: dict[str, Judgement] = field(default_factory=dict)
    cached: int = 0
    failure: str = ""
    counted: Mapping[str, int] = field(default_factory=Counter)


def judge(
    requests: Mapping[str, ChatRequest],
    keys: Sequence[Sequence[str]],
    client: Client,
    cache: Cache,
    *,
    concurrency: int,
    spare: float,
) -> Judged:
    """A judgement for every request; those that no attempt got a usable reply for have none.

    Args:
        requests: By the key under which the judgement is kept.
        keys: Of every item, those of its judgements; items may share them.
        client: Of the endpoint.
        cache: Where it is kept, as soon as it arrives.
        concurrency: Requests at a time.
        spare: How many items may stay without an answer before it is the endpoint that failed.

    Raises:
        WorkFailed: The endpoint cannot be reached, does not answer, or says that it will not.
    """
    judged = Judged({key: found for key in requests if (found := cache.get(key)) is not None})
    judged.cached = len(judged.said)
    waiting = [key for key in requests if key not in judged.said]
    unanswered: set[str] = set()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="judge") as pool:
        # Kept by the thread that got it: a process that is killed has paid for what is on disk, and for little else.
        asked = {pool.submit(lambda key: cache.keep(key, client.ask(requests[key])), key): key for key in waiting}
        try:
            for future in as_completed(asked):
                try:
                    judged.said[asked[future]] = future.result()
                except UnusableError as error:
                    judged.failure = str(error)
                except UnansweredError as error:
                    judged.failure = str(error)
                    unanswered.add(asked[future])
                    lost = sum(not unanswered.isdisjoint(row) for row in keys)
                    if lost > spare or isinstance(error, UnreachableError):
                        raise _given_up(error, client, len(requests) - len(judged.said)) from None
        except BaseException:
            client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    judged.counted = client.counted
    return judged


def _given_up(error: Exception, client: Client, left: int) -> WorkFailed:
    return WorkFailed(
        f"{client.host} {error}; {counted(left, 'judgement is', 'judgements are')} missing",
        hint="call again: those that were made are kept",
    )
