"""The tokenizer's chat template around one message of a user."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from activelora.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from activelora.config import TaskConfig

_PROBE = 'Question: What Is it, "this" <b> & that\'s {x}?\n\n  Two  blanks\nAnswer:'
"""Whatever a template may do to a text, it does to this one: upper case, marks, quotes, blanks and empty lines."""
_OPTIONS: tuple[Mapping[str, Any], ...] = ({}, {"enable_thinking": False, "tools": []})
"""Variables that some templates cannot do without, tried in turn."""
_CLOCK = "strftime_now"
_REMEDY = "Use `task.chat_template: never`, or correct the template of the model's tokenizer."


class Wrapped(NamedTuple):
    """A prompt in its chat template.

    Attributes:
        text: The whole text, up to where the model's answer begins.
        after: What of it comes after the prompt.
    """

    text: str
    after: str


class ChatTemplate:
    """A chat template that gives a prompt back as it was, but for white space at its ends.

    Whether the template takes a message's content as a text or as a list of parts is found out by trying. Where it
    writes today's date, it is given a day of its own instead: the same prompt has the same tokens tomorrow.

    Args:
        tokenizer: A tokenizer with a chat template.
        day: The day that the template is told.

    Raises:
        ModelError: The template is broken, refuses a single message of a user, or does not give the text back.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, day: date) -> None:
        self._tokenizer = tokenizer
        self._template = self._prepared(day)
        self._takes_parts, self._options = self._form()
        self.strips = f"\n {_PROBE}" not in self.wrap(f"\n {_PROBE}").text
        if self._render(_PROBE) != self._render(_PROBE):
            raise _refused("writes something else each time it is applied")

    @property
    def takes_parts(self) -> bool:
        """Whether a message's content is given as a list of parts."""
        return self._takes_parts

    @property
    def writes_date(self) -> bool:
        """Whether the template asks for the date."""
        return _CLOCK in self._template

    def wrap(self, prompt: str) -> Wrapped:
        """Return a prompt in the template.

        Raises:
            ModelError: The template refuses this prompt, or its text is no longer in what comes of it.
        """
        try:
            text = self._render(prompt)
        except Exception as error:
            raise _refused(f"cannot be applied to {_shown(prompt)}: {_reason(error)}") from None
        for inside in (prompt, prompt.strip()):
            if inside in text:
                return Wrapped(text, text.rpartition(inside)[2] if inside else text)
        raise _refused(f"changes the text of a prompt: {_shown(prompt)} becomes {_shown(text)}")

    def _form(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether content is given as parts, and with which options, so that the text comes back."""
        failure: str | None = None
        changed: str | None = None
        for options in _OPTIONS:
            for as_parts in (False, True):
                self._takes_parts, self._options = as_parts, options
                try:
                    text = self._render(_PROBE)
                except Exception as error:
                    failure = failure or _reason(error)
                    continue
                if _PROBE in text:
                    return as_parts, options
                changed = changed or text
        if changed is None:
            raise _refused(f"cannot be applied to a single message of a user: {failure}")
        raise _refused(f"changes the text of a prompt: {_shown(_PROBE)} becomes {_shown(changed)}")

    def _render(self, prompt: str) -> str:
        content = [{"type": "text", "text": prompt}] if self._takes_parts else prompt
        rendered = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
            **self._options,
        )
        return str(rendered)

    def _prepared(self, day: date) -> str:
        try:
            template = self._tokenizer.get_chat_template()
        except Exception as error:
            raise _refused(f"cannot be found: {_reason(error)}") from None
        if not isinstance(template, str):
            raise _refused("is no text")
        return f"{_clock(template, day)}\n{template}" if _CLOCK in template else template


def _clock(template: str, day: date) -> str:
    """Return a template's clock that always shows one day, as a macro of Jinja.

    Templates are rendered in a sandbox that lets no function in: the codes of ``strftime`` that stand in the template
    are each replaced by their value.
    """
    moment = datetime.combine(day, time())
    codes = sorted(set(re.findall(r"%-?[a-zA-Z]", template)), key=len, reverse=True)
    values = {code: value for code in codes if (value := moment.strftime(code)) != code}
    pairs = [("%%", "\0"), *values.items(), ("\0", "%")]
    replaced = "".join(f" | replace({json.dumps(code)}, {json.dumps(value)})" for code, value in pairs)
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{replaced} }}}}{{% endmacro %}}"


def _refused(problem: str) -> ModelError:
    return ModelError(f"the model's chat template {problem}", where="task.chat_template", remedy=_REMEDY)


def _reason(error: Exception) -> str:
    """Return the first line of what an error says, with its name where that alone says little."""
    first = (str(error).strip().splitlines() or [""])[0][:200]
    name = type(error).__name__
    return first if name == "TemplateError" and first else f"{name}: {first}" if first else name


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def uses_chat(tokenizer: PreTrainedTokenizerBase, config: TaskConfig) -> bool:
    """Tell whether prompts go through the tokenizer's chat template.

    Raises:
        ModelError: One is asked for, and there is none.
    """
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if config.chat_template == "always" and not has_template:
        raise ModelError(
            "the tokenizer has no chat template",
            where="task.chat_template: always",
            remedy="Use `auto` or `never`.",
        )
    return has_template and config.chat_template != "never"
