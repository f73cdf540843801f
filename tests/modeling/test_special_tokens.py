"""A special token that a user's text spells out is text; all other prompts have the tokens that they always had."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.encoding import Encoder
from activelora.modeling.special_tokens import NO_MARKS, SpecialTokens, any_of
from tests.odd_tokenizers import KINDS, SPECIAL, byte_level

CHATML = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
TOKENIZERS = {name: make() for name, make in KINDS.items()}
PIECES = ["the moon", " ", "\n", "a", "<", ">", "|", "s", "/s", "<s", *SPECIAL]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


def encoder(tokenizer, **changes):
    document = {"prompt": "Q: {text}\nA:", "labels": ("red", "moon"), "answer": "text", **changes}
    return Encoder(tokenizer, TaskConfig.model_validate(document))


def prompt_ids(made, text):
    return list(made.encode([Item("a", {"text": text})])[0].prompt_ids)


def special_ids(tokenizer, ids):
    """The special tokens among some ids, but for the one of unknown characters."""
    special = {tokenizer.convert_tokens_to_ids(one) for one in SPECIAL if one != "<unk>"}
    return [tokenizer.convert_ids_to_tokens(one) for one in ids if one in special]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_only_the_tokenizer_s_own_special_tokens_are_special(kind, text):
    tokenizer = TOKENIZERS[kind]
    ids = prompt_ids(encoder(tokenizer), text)
    assert special_ids(tokenizer, ids) == ["<s>"]
    if not any(one in text for one in SPECIAL):
        assert ids == tokenizer(f"Q: {text}\nA:")["input_ids"]
    elif kind == "byte_level":
        assert tokenizer.decode(ids[1:]) == f"Q: {text}\nA:"


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_the_chat_template_s_special_tokens_stay_special(text):
    tokenizer = byte_level_in_chat()
    ids = prompt_ids(encoder(tokenizer), text)
    assert special_ids(tokenizer, ids) == ["<s>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert tokenizer.decode(ids) == f"<s><|im_start|>user\nQ: {text}\nA:<|im_end|>\n<|im_start|>assistant"
    if not any(one in text for one in SPECIAL):
        message = [{"role": "user", "content": f"Q: {text}\nA:"}]
        assert ids == tokenizer.apply_chat_template(message, add_generation_prompt=True)["input_ids"]


def byte_level_in_chat():
    tokenizer = TOKENIZERS["byte_level"]
    tokenizer.chat_template = CHATML
    return tokenizer


@pytest.fixture
def tokenizer():
    return byte_level()


def test_those_of_the_campaign_s_own_prompt_stay_special(tokenizer):
    prompt = "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    ids = prompt_ids(encoder(tokenizer, prompt=prompt), "the <|im_end|> moon")
    assert special_ids(tokenizer, ids) == ["<s>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]


def test_they_are_special_where_that_is_asked_for(tokenizer):
    made = encoder(tokenizer, special_tokens_in_text="special")
    text = "the <|im_end|> moon</s>"
    assert prompt_ids(made, text) == tokenizer(f"Q: {text}\nA:")["input_ids"]


def test_those_of_choices_and_gold_texts_are_text_too(tokenizer):
    made = encoder(tokenizer, kind="multiple_choice", prompt="{text} {choices}", labels=())
    encoded = made.encode([Item("a", {"text": "x"}, ("red</s>", "</s>", "moon"))])[0]
    assert [special_ids(tokenizer, ids) for ids in (encoded.prompt_ids, *encoded.answer_ids)] == [["<s>"], [], [], []]
    assert [tokenizer.decode(ids) for ids in encoded.answer_ids] == [" red</s>", " </s>", " moon"]
    made = encoder(tokenizer, kind="generation", prompt="{text}", labels=(), answer="words")
    assert special_ids(tokenizer, made.encode_text("red</s> moon")) == ["</s>"]
    assert tokenizer.decode(made.encode_text("red</s> moon")) == " red</s> moon</s>"


def test_a_token_that_stands_for_unknown_characters_too_is_text_all_the_same(tokenizer):
    """As in GPT-2 and SmolLM, whose only special token has all parts."""
    tokenizer.unk_token = tokenizer.bos_token = tokenizer.eos_token = "</s>"
    ids = prompt_ids(encoder(tokenizer), "the </s> moon")
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids[1:]) == "Q: the </s> moon\nA:"


def test_characters_for_private_use_stay_what_they_are(tokenizer):
    text = "".join(map(chr, range(0xF0000, 0xF0004))) + "</s>"
    assert tokenizer.decode(prompt_ids(encoder(tokenizer), text)[1:]) == f"Q: {text}\nA:"


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_without_offsets_a_text_is_encoded_in_pieces(text):
    tokenizer = _Slow(TOKENIZERS["byte_level"])
    found = SpecialTokens(tokenizer, as_text=True)
    marked, marks = found.mark_text(text)
    ids = found.encode(marked, marks, adds_special_tokens=True)
    assert special_ids(tokenizer, ids) == ["<s>"]
    assert tokenizer.decode(ids[1:]) == text


class _Slow:
    """A tokenizer that cannot say where in the text its tokens are."""

    is_fast = False

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def __call__(self, text, **options):
        assert "return_offsets_mapping" not in options
        return self._tokenizer(text, **options)

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


def test_tokens_for_images_are_never_looked_up(tokenizer):
    tokenizer.add_special_tokens({"extra_special_tokens": ["<image>"]})
    tokenizer.image_token = "<image>"
    image = tokenizer.convert_tokens_to_ids("<image>")
    for setting in ("text", "special"):
        ids = prompt_ids(encoder(tokenizer, special_tokens_in_text=setting), "an <image> of the moon")
        assert image not in ids
        assert "an <image> of the moon" in tokenizer.decode(ids)


@pytest.mark.parametrize("prompt", ["{text}", "<s>{text}", "<s><s>{text}"])
@pytest.mark.parametrize("template", [None, CHATML, CHATML.replace("{{ bos_token }}", "<s><s>")])
@pytest.mark.parametrize("setting", ["text", "special"])
def test_no_prompt_begins_twice(tokenizer, prompt, template, setting):
    tokenizer.chat_template = template
    made = encoder(tokenizer, prompt=prompt, special_tokens_in_text=setting)
    for text in ("the moon", "<s> the moon", "<s><s>"):
        ids = prompt_ids(made, text)
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.bos_token_id not in ids[1:2]


@settings(max_examples=60, deadline=None)
@given(strings=st.lists(st.text("ab<|", min_size=1, max_size=4), max_size=8), text=st.text("ab<|>", max_size=20))
def test_many_strings_are_found_as_one_by_one_the_longest_first(strings, text):
    longest_first = sorted(strings, key=len, reverse=True)
    expected = re.findall("|".join(map(re.escape, longest_first)) or "(?!)", text)
    assert any_of(frozenset(strings)).findall(text) == expected


def test_marks_are_made_only_where_a_text_needs_them(tokenizer):
    found = SpecialTokens(tokenizer, as_text=True)
    item = Item("a", {"text": "the moon"}, ("x",))
    assert found.mark(item) == (item, NO_MARKS)
    assert not found.are_spelled_in(item)
    assert found.are_spelled_in(Item("a", {"text": "x"}, ("a</s>",)))


@pytest.mark.parametrize("kind", ["classification", "multi_label", "regression"])
def test_a_tokenizer_without_special_tokens_does(kind):
    from transformers import PreTrainedTokenizerFast

    bare = PreTrainedTokenizerFast(tokenizer_object=byte_level().backend_tokenizer)
    bare.backend_tokenizer.post_processor = None
    changes = {
        "classification": {"answer": "words"},
        "multi_label": {"prompt": "{text} {label}?", "answer": "words"},
        "regression": {"labels": (), "minimum": 0, "maximum": 3, "answer": "words"},
    }[kind]
    made = encoder(bare, kind=kind, **changes)
    assert bare.decode(made.encode([Item("a", {"text": "x<pad>"})])[0].prompt_ids).startswith(("Q: x<pad>", "x<pad>"))
    with pytest.raises(ModelError, match="no end token"):
        encoder(bare, kind="generation", labels=(), answer="words")
