"""The client of an endpoint: asks until there is an answer in the form of a grade, and counts what it took."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Event, Lock
from typing import Annotated, Self

import httpx2
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event, stop_after_attempt
from tenacity.wait import wait_random_exponential

from seedband.errors import WorkFailed
from seedband.evaluators.judge.cache import Judgement
from seedband.evaluators.judge.endpoint import Endpoint
from seedband.evaluators.judge.rubric import HIGHEST, LOWEST, ChatRequest

#: A longer reply is none.
MAX_REPLY_BYTES = 4 * 1024**2
#: Longest wait before another attempt, in seconds, whatever the server asks for.
MAX_WAIT_S = 120.0
#: Letters of a server's message that ours are made of.
MAX_MESSAGE = 300
#: Statuses that may be another one later.
PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
#: A 429 that no waiting ends.
SPENT = "insufficient_quota"
HINTS: Mapping[int, str] = {
    400: "does the model take temperature 0 and response_format json_schema?",
    401: "is the key the right one?",
    403: "may the key use this model?",
    404: "is base_url right, and is the model served there?",
}


class AskAgainError(Exception):
    """No grade this time.

    Args:
        message: Why.
        wait_s: Seconds that the server asks to wait.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class UnusableError(AskAgainError):
    """A reply that is no grade."""


class UnansweredError(AskAgainError):
    """No reply, or one that says that the server cannot answer now."""


class UnreachableError(UnansweredError):
    """Nobody listens there."""


class Usage(BaseModel):
    """Tokens, as a reply counts them."""

    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    completion_tokens: Annotated[int, Field(ge=0)] = 0


class Message(BaseModel):
    """What the model said."""

    content: str | None = None


class Choice(BaseModel):
    """One answer."""

    message: Message
    finish_reason: str | None = None


class Completion(BaseModel):
    """A reply, as far as it is read."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: Usage | None = None


class Grade(BaseModel):
    """What an answer has to be."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    score: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]


class Client:
    """Asks one endpoint; threads may share it.

    Args:
        endpoint: Which.
        timeout: Seconds that a reply may take.
        max_attempts: Requests for one grade.
        backoff: Seconds that the wait before a second request is drawn from; it doubles with every further one.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float, max_attempts: int, backoff: float) -> None:
        key = endpoint.key()
        self._endpoint = endpoint
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._backoff = wait_random_exponential(multiplier=backoff, max=MAX_WAIT_S)
        self._over = Event()
        self._lock = Lock()
        self._counted: Counter[str] = Counter()
        self._http = httpx2.Client(
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=timeout,
            trust_env=not endpoint.is_local,  # a proxy would not find this machine
            follow_redirects=False,  # the key is for this endpoint alone
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def host(self) -> str:
        """Whom it asks."""
        return self._endpoint.host

    @property
    def counted(self) -> Counter[str]:
        """Calls, retries, prompt_tokens, completion_tokens, and uncounted: replies that do not say theirs."""
        with self._lock:
            return self._counted.copy()

    def stop(self) -> None:
        """Ask nothing more."""
        self._over.set()

    def ask(self, request: ChatRequest) -> Judgement:
        """The grade of one text.

        Raises:
            UnusableError, UnansweredError: There is none after all attempts; why the last one failed.
            WorkFailed: The server says that another attempt would end likewise.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._max_attempts),
            wait=self._wait,
            retry=retry_if_exception_type(AskAgainError),
            sleep=sleep_using_event(self._over),
            before_sleep=lambda _: self._count(retries=1),
            reraise=True,
        )
        return retrying(self._ask_once, json.dumps(request).encode())

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, AskAgainError) else 0.0
        return max(self._backoff(state), min(asked, MAX_WAIT_S))

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counted.update(counts)

    def _ask_once(self, body: bytes) -> Judgement:
        if self._over.is_set():
            raise WorkFailed("nothing more is asked")
        self._count(calls=1)
        try:
            status, headers, content = self._post(body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise UnreachableError(f"cannot be reached: {error}") from None
        except httpx2.TimeoutException:
            raise UnansweredError(f"gave no reply within {self._timeout:g} s") from None
        except httpx2.RequestError as error:
            raise UnansweredError(f"broke off: {type(error).__name__}: {error}") from None
        if status != HTTPStatus.OK:
            raise self._failure(status, headers, content)
        return self._grade(content)

    def _post(self, body: bytes) -> tuple[int, httpx2.Headers, bytes]:
        deadline = time.monotonic() + self._timeout
        content = bytearray()
        with self._http.stream("POST", self._endpoint.url, content=body) as response:
            for part in response.iter_bytes():
                content += part
                if len(content) > MAX_REPLY_BYTES:
                    raise UnusableError(f"replied with more than {MAX_REPLY_BYTES} bytes")
                # The library's own limit starts anew with every part.
                if time.monotonic() > deadline:
                    raise UnansweredError(f"gave no whole reply within {self._timeout:g} s")
            return response.status_code, response.headers, bytes(content)

    def _failure(self, status: int, headers: httpx2.Headers, content: bytes) -> Exception:
        code, message = _error_of(content)
        told = f"answers {status}: {self._endpoint.without_key(message)[:MAX_MESSAGE]}".rstrip(": ")
        passing = status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if passing and code != SPENT:
            return UnansweredError(told, _retry_after(headers))
        hint = "redirects are not followed: the key is for base_url alone" if status < HTTPStatus.BAD_REQUEST else ""
        return WorkFailed(f"{self._endpoint.host} {told}", hint=hint or HINTS.get(status, ""))

    def _grade(self, content: bytes) -> Judgement:
        try:
            completion = Completion.model_validate_json(content)
        except ValidationError:
            raise UnusableError("replied with what is no chat completion") from None
        usage, choice = completion.usage, completion.choices[0]
        if usage is None:
            self._count(uncounted=1)
        else:
            self._count(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        if choice.finish_reason == "length":
            raise UnusableError("was cut off in the middle of its answer")
        try:
            grade = Grade.model_validate_json(choice.message.content or "", strict=True)
        except ValidationError:
            raise UnusableError("gave an answer that is no grade by the schema") from None
        return Judgement(grade.score, self._endpoint.without_key(completion.model))


def _error_of(content: bytes) -> tuple[str, str]:
    """Code and message of an error, in the usual form or in any other."""

    class Error(BaseModel):
        message: str = ""
        code: JsonValue = None

    class Reply(BaseModel):
        error: Error

    try:
        error = Reply.model_validate_json(content).error
    except ValidationError:
        return "", " ".join(content.decode("utf-8", "replace").split())
    return str(error.code), error.message


def _retry_after(headers: httpx2.Headers) -> float:
    """Seconds that the server asks to wait: a number, or a date by its own clock."""
    asked = headers.get("Retry-After", "")
    try:
        return max(0.0, float(asked)) if asked.replace(".", "", 1).isdigit() else _seconds_until(asked, headers)
    except (TypeError, ValueError):
        return 0.0


def _seconds_until(date: str, headers: httpx2.Headers) -> float:
    gap = parsedate_to_datetime(date) - parsedate_to_datetime(headers.get("Date", ""))
    return max(0.0, gap.total_seconds())
