"""Chat templates of all kinds: the text comes back as it was, or the template is refused in words."""

from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.chat_template import ChatTemplate
from activelora.modeling.encoding import Encoder
from tests.odd_tokenizers import byte_level

DAY = date(2024, 7, 26)
PARTS = "{% for m in messages %}<u>{% for p in m['content'] %}{{ p['text'] }}{% endfor %}</u>{% endfor %}<a>"
TEXT = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}<a>"
TOKENIZER = byte_level()


@pytest.fixture
def tokenizer():
    return byte_level()


def encoder(tokenizer, template, **changes):
    tokenizer.chat_template = template
    document = {"prompt": "\n {text}\nAnswer:", "labels": ("red", "moon"), **changes}
    return Encoder(tokenizer, TaskConfig.model_validate(document))


def said(tokenizer, template, text="Is It?", **changes):
    made = encoder(tokenizer, template, **changes)
    return tokenizer.decode(made.encode([Item("a", {"text": text})])[0].prompt_ids)


GOOD = {
    "text": (TEXT, "<u>\n Is It?\nAnswer:</u><a>"),
    "parts": (PARTS, "<u>\n Is It?\nAnswer:</u><a>"),
    "parts of a type": (
        "{% for p in messages[0].content if p.type == 'text' %}{{ p.text }}{% endfor %}<a>",
        "\n Is It?\nAnswer:<a>",
    ),
    "either": (
        "{% set c = messages[0].content %}{% if c is string %}{{ c }}{% else %}{{ c[0].text }} {% endif %}",
        "\n Is It?\nAnswer:",
    ),
    "trimmed": ("<u>{{ messages[0].content | trim }}</u>", "<u>Is It?\nAnswer:</u>"),
    "parts trimmed": ("{% for p in messages[0]['content'] %}{{ p['text'] | trim }}{% endfor %}", "Is It?\nAnswer:"),
    "wants to know of thinking": (
        "{% if enable_thinking is not defined %}{{ raise_exception('say it') }}{% endif %}{{ messages[0].content }}",
        "\n Is It?\nAnswer:",
    ),
    "wants tools": ("{% for tool in tools %}{{ tool }}{% endfor %}{{ messages[0].content }}", "\n Is It?\nAnswer:"),
    "one of several": ({"default": TEXT, "tool_use": "{{ nothing.here }}"}, "<u>\n Is It?\nAnswer:</u><a>"),
}
REFUSED = {
    "raises": (
        "{{ raise_exception('Conversation roles must alternate') }}",
        "a user: Conversation roles must alternate",
    ),
    "wants a system message": (
        "{% if messages[0].role != 'system' %}{{ raise_exception('system first') }}{% endif %}",
        "single message of a user: system first",
    ),
    "is broken": ("{% for m in messages %}", "TemplateSyntaxError: Unexpected end of template"),
    "has an unknown filter": ("{{ messages | shout }}", "No filter named 'shout'"),
    "reads what is undefined": ("{{ bot.name }}", "UndefinedError: 'bot' is undefined"),
    "divides by zero": ("{{ 1 // 0 }}", "ZeroDivisionError"),
    "calls itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    "leaves its sandbox": ("{{ messages.__class__ }}{{ messages.append(1) }}", "SecurityError"),
    "lower-cases": ("{{ messages[0].content | lower }}", "changes the text of a prompt: 'Question: What Is it"),
    "escapes": ("{{ messages[0].content | e }}", "changes the text of a prompt"),
    "writes JSON": ("{{ messages | tojson }}", "changes the text of a prompt"),
    "joins lines": ("{{ messages[0].content.split() | join(' ') }}", "changes the text of a prompt"),
    "drops the text": ("<u></u><a>", r"becomes '<u></u><a>'"),
    "cuts it": ("{{ messages[0].content[:40] }}", "changes the text of a prompt"),
    "draws lots": ("{{ range(100000) | random }}{{ messages[0].content }}", "something else each time"),
    "is a number": (5, "is no text"),
    "has no default": ({"tool_use": TEXT}, "no default specified"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_template_gives_the_text_back(tokenizer, name):
    template, expected = GOOD[name]
    assert said(tokenizer, template) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_be_used_is_refused_in_words(tokenizer, name):
    template, words = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        encoder(tokenizer, template)
    assert words in caught.value.problem
    assert caught.value.where == "task.chat_template"
    assert "task.chat_template: never" in caught.value.remedy
    assert said(tokenizer, template, chat_template="never").endswith("Is It?\nAnswer:")


def test_a_template_that_changes_one_text_is_refused_when_it_comes(tokenizer):
    made = encoder(tokenizer, "{{ messages[0].content | replace('water', 'fire') }}")
    made.encode([Item("a", {"text": "moon"})])
    with pytest.raises(ModelError, match=r"changes the text of a prompt: '\\n water"):
        made.encode([Item("a", {"text": "water"})])
    content = "messages[0].content"
    template = f"{{{{ raise_exception('no water') if 'water' in {content} else {content} }}}}"
    made = encoder(tokenizer, template)
    with pytest.raises(ModelError, match=r"cannot be applied to '\\n water.*: no water"):
        made.encode([Item("a", {"text": "water"})])


@pytest.mark.parametrize("template", [TEXT, PARTS, "<u>{{ messages[0].content | trim }}</u><a>"])
def test_a_long_text_is_cut_before_the_closing_words_whatever_the_template_takes_off(tokenizer, template):
    words = " ".join(["moon"] * 900)
    made = encoder(tokenizer, template, max_prompt_tokens=60)
    ids = made.encode([Item("a", {"text": words})])[0].prompt_ids
    assert len(ids) == 60
    assert tokenizer.decode(ids).endswith("moon\nAnswer:</u><a>")
    assert made.num_tokens(Item("a", {"text": words})) > 900


def test_an_empty_prompt_is_no_traceback(tokenizer):
    assert said(tokenizer, TEXT, text="", prompt="{text}") == "<u></u><a>"
    assert said(tokenizer, TEXT, text=" \n", prompt="{text}") == "<u></u><a>"
    with pytest.raises(ModelError, match="a prompt has no tokens"):
        said(tokenizer, "{{ messages[0].content }}", text="", prompt="{text}")


FORMS = ["%d %b %Y", "%-d %B %y", "%Y-%m-%d", "%A, %I:%M %p", "100%% on %D", "%%d %%%d", "%j %U %w %e", "", "%", "é %d"]


@pytest.mark.parametrize("form", FORMS)
def test_the_date_is_the_given_one_in_any_form(tokenizer, form):
    tokenizer.chat_template = f"[{{{{ strftime_now({form!r}) }}}}]{{{{ messages[0].content }}}}"
    text = ChatTemplate(tokenizer, DAY).wrap("x").text
    assert text == f"[{datetime(2024, 7, 26).strftime(form)}]x"


def test_a_dated_template_is_otherwise_rendered_as_ever(tokenizer):
    """White space is the same to the letter: the clock is put before the template."""
    rest = (
        "\n\n  {% if strftime_now is defined %}\n  {%- set d = 'D' %}\n{{ d }}\n {% endif %}{{ messages[0].content }}\n"
    )
    tokenizer.chat_template = rest
    today = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    dated = ChatTemplate(tokenizer, DAY)
    assert dated.writes_date
    assert dated.wrap("x").text == today


def test_the_same_prompt_has_the_same_tokens_on_every_day(tokenizer, monkeypatch):
    template = "{% set d = strftime_now('%d %b %Y') %}{% macro today() %}{{ d }}{% endmacro %}{{ today() }} " + TEXT
    assert said(tokenizer, template).startswith("26 Jul 2024 <u>")
    assert said(tokenizer, template, chat_date="2025-01-02").startswith("02 Jan 2025 <u>")


BITS = [
    "{{ messages[0]['content'] }}",
    "{{ messages[0].content | trim }}",
    "{% for p in messages[0].content %}{{ p.text }}{% endfor %}",
    "{% for m in messages %}",
    "{% endfor %}",
    "{{ m.role }}",
    "{% if add_generation_prompt %}<a>{% endif %}",
    "{{ raise_exception('no') }}",
    "{{ strftime_now('%d') }}",
    "{{ strftime_now(5) }}",
    "{{ bos_token }}",
    "{{ tools[0].name }}",
    "{{ messages[1].content }}",
    "{{ messages[0].content[1:] }}",
    "{% set x = namespace(a=1) %}",
    "{{ undefined.thing }}",
    "{%",
    "}}",
    "\n",
    "<|im_end|>",
]


@settings(max_examples=60, deadline=None)
@given(
    template=st.lists(st.sampled_from(BITS), min_size=1, max_size=6).map("".join),
    text=st.text(max_size=12) | st.sampled_from(["</s>", "<|im_end|>x", " \n", "{{ messages }}"]),
    prompt=st.sampled_from(["{text}", "\n{text}\nAnswer:", "{text} {{x}} {labels}"]),
)
def test_whatever_a_template_is_it_keeps_the_text_or_is_refused(template, text, prompt):
    try:
        made = encoder(TOKENIZER, template, prompt=prompt)
        encoded = made.encode([Item("a", {"text": text})])[0]
    except ModelError:
        return
    spoken = TOKENIZER.decode(encoded.prompt_ids)
    assert text.strip() in spoken
