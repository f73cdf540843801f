"""One request to an endpoint that speaks OpenAI's chat completions, with every way it can end."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Literal

from activelora.config.llm import LLMConfig
from activelora.errors import LabelError
from activelora.http import HttpClient, Limits, NoResponseError, Response
from activelora.labeling.keys import visible_line
from activelora.redacting import without_secrets

TOKEN_VARIABLE = "ACTIVELORA_LLM_TOKEN"  # noqa: S105 - the name of a variable
MAX_REPLY_BYTES = 1 << 20
MAX_WAIT_SECONDS = 60.0
"""A server's Retry-After is heeded up to this."""
CONNECT_SECONDS = 10.0
_GATEWAY_GAVE_UP = (504, 524)
"""The model behind a gateway that says so may have answered, and be paid for it."""
Outcome = Literal["answered", "refused", "failed"]


@dataclass(frozen=True)
class Reply:
    """How a request ended.

    Attributes:
        outcome: ``answered``; ``refused``: this item will never be answered (400, 413, 422); ``failed``: it may be
            answered if it is asked again.
        text: What the model wrote; or what went wrong.
        tokens_in: Tokens of the question, as the server counts; None where it does not tell.
        tokens_out: Tokens of the answer.
        may_cost: Whether the server may charge for it.
        wait_seconds: How long the server wants to be left alone; None where it does not tell.
    """

    outcome: Outcome
    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    may_cost: bool = True
    wait_seconds: float | None = None


class Endpoint:
    """A chat completions endpoint. Threads may share one.

    Args:
        config: Settings of the endpoint: where it is, and which model is asked.

    Raises:
        LabelError: The token in the environment is none that a header can hold.
    """

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._token = _token()
        self._url = f"{config.url}/chat/completions"
        seconds = config.timeout_seconds
        limits = Limits(min(CONNECT_SECONDS, seconds), seconds, answer_seconds=seconds, max_bytes=MAX_REPLY_BYTES)
        # One try: each request is claimed and its cost reserved before it is sent.
        self._http = HttpClient(limits, num_connections=config.concurrency)

    def body(self, messages: list[dict[str, str]]) -> bytes:
        """Return the request's body."""
        config = self._config
        document = {
            "model": config.model,
            "messages": messages,
            "temperature": config.temperature,
            config.max_tokens_field: config.max_answer_tokens,
        }
        return json.dumps(document, ensure_ascii=False).encode(errors="replace")

    def ask(self, body: bytes, key: str) -> Reply:
        """Send one request and wait for its end, ``timeout_seconds`` at most (and one more pause of the server).

        Args:
            body: The request's JSON, from :meth:`body`.
            key: Names this request, for servers that heed ``Idempotency-Key``.

        Raises:
            LabelError: The endpoint refuses everything: address, model or token are wrong.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            response = self._http.request("POST", self._url, headers=headers, body=body)
        except NoResponseError as error:
            return Reply("failed", error.problem, may_cost=error.may_have_arrived)
        return self._judge(response)

    def _judge(self, response: Response) -> Reply:
        status = response.status
        if status == 200:
            return _completion(response.content)
        said = visible_line(without_secrets(_message(response.content), self._token)[:300])
        if status in (400, 413, 422):
            return Reply("refused", f"HTTP {status}: {said}", may_cost=False)
        if status in (408, 409, 425, 429) or status >= 500:
            is_unknown = status in _GATEWAY_GAVE_UP
            return Reply("failed", f"HTTP {status}: {said}", may_cost=is_unknown, wait_seconds=_wait(response))
        remedy = f"Check labeling.llm.url and model, and the token in {TOKEN_VARIABLE}."
        raise LabelError(f"the model's endpoint answers HTTP {status}: {said}", where=self._url, remedy=remedy)


def _token() -> str:
    """Return the token; the HTTP client would show one that it cannot send in its error."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not (token.isascii() and token.isprintable()):
        problem = "holds more than one line, or characters that no token has"
        raise LabelError(problem, where=TOKEN_VARIABLE, remedy="Set it to the token alone.")
    return token


def _completion(content: bytes) -> Reply:
    try:
        document = json.loads(content)
        text = document["choices"][0]["message"]["content"]
        usage = document.get("usage") or {}
        tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Reply("failed", "the reply is not a chat completion")
    tokens_in, tokens_out = map(_count, tokens)
    # No text is a refusal, or nothing within the limit.
    return Reply("answered", text[:100_000] if isinstance(text, str) else "", tokens_in, tokens_out)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _message(content: bytes) -> str:
    try:
        document = json.loads(content)
        error = document["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError, RecursionError):
        return content.decode(errors="replace").strip() or "no explanation"


def _wait(response: Response) -> float | None:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS) if seconds == seconds else None
