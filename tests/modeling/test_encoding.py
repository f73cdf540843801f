import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.encoding import Encoder


def test_prompt_and_answer_ids_join_to_the_whole_text(base, encoder, items):
    encoded = encoder.encode(items)[0]
    assert base.tokenizer.decode(encoded.prompt_ids) == f"Question: {items[0].fields['text']}\nAnswer type:"
    assert [len(ids) for ids in encoded.answer_ids] == [1, 1, 1, 1]
    whole = base.tokenizer(f"Question: {items[0].fields['text']}\nAnswer type: number")["input_ids"]
    assert whole[: len(encoded.prompt_ids)] == list(encoded.prompt_ids)
    assert whole[len(encoded.prompt_ids)] == encoded.answer_ids[2][0]


def test_labels_that_share_their_first_token_are_refused_by_name(base):
    config = TaskConfig(prompt="{text}", labels=("description", "description of water"), chat_template="never")
    with pytest.raises(ModelError, match=r"'description' and 'description of water' both begin.*answer_words"):
        Encoder(base.tokenizer, config)
    with pytest.raises(ModelError, match="Use `answer: text`"):
        Encoder(base.tokenizer, config)
    words = {"description of water": "water"}
    Encoder(base.tokenizer, config.model_copy(update={"answer_words": words}))


def by_text(base, **changes):
    settings = {"prompt": "{text}", "labels": ("red water", "red", "red fire", "moon"), "answer": "text"}
    return Encoder(base.tokenizer, TaskConfig.model_validate({**settings, "chat_template": "never", **changes}))


def test_labels_by_text_are_read_as_far_as_they_are_alike_and_only_beginnings_get_an_end(base):
    encoder = by_text(base, answer_words={"moon": "moon and water"})
    assert encoder.scoring == "chain"
    water, red, fire, moon = encoder.encode([Item("a", {"text": "x"})])[0].answer_ids
    whole = [encoder.encode_text(label)[:-1] for label in ("red water", "red", "red fire", "moon and water")]
    assert red == (*whole[1], base.tokenizer.eos_token_id)
    for code, full in ((water, whole[0]), (fire, whole[2]), (moon, whole[3])):
        assert code == full[: len(code)]
    assert len(whole[3]) > len(moon) == 1
    assert water[:-1] == fire[:-1]
    assert water[-1] != fire[-1]
    assert encoder.num_label_tokens == len(water) - 1


def test_labels_by_text_may_be_worded_differently_but_not_alike(base):
    encoder = by_text(base, answer_words={"red": "green"})
    assert base.tokenizer.decode(encoder.encode([Item("a", {"text": "x"})])[0].answer_ids[1]).startswith(" g")
    with pytest.raises(ModelError, match=r"'red' and 'moon' have the same tokens ' red'") as caught:
        by_text(base, answer_words={"moon": "red"})
    assert "task.answer_words" in caught.value.remedy
    with pytest.raises(ModelError, match="label 'moon' has no tokens"):
        Encoder(_Mute(base.tokenizer, " moon"), by_text(base).task_config)


def test_a_label_that_begins_another_needs_an_end_token(base):
    with pytest.raises(ModelError, match="no end token, so a label could not be told"):
        Encoder(_Mute(base.tokenizer, ""), by_text(base).task_config)


class _Mute:
    """The tokenizer without an end token, and with no tokens for one text."""

    def __init__(self, tokenizer, silent):
        self._tokenizer = tokenizer
        self._silent = silent
        self.eos_token_id = None
        self.chat_template = None

    def __call__(self, text, **options):
        return self._tokenizer(text.removesuffix(self._silent), **options)

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


def test_long_prompts_lose_the_item_s_end_and_keep_the_closing_words(base, task_config):
    encoder = Encoder(base.tokenizer, task_config.model_copy(update={"max_prompt_tokens": 30}))
    encoded = encoder.encode([Item("a", {"text": "the moon " * 200})])[0]
    text = base.tokenizer.decode(encoded.prompt_ids)
    assert len(encoded.prompt_ids) == 30
    assert text.startswith("Question: the moon the moon")
    assert text.endswith("Answer type:")
    assert encoder.num_cut == 1
    encoder.encode([Item("a", {"text": "the moon " * 200}), Item("b", {"text": "the earth " * 200})])
    assert encoder.num_cut == 2


def test_closing_words_longer_than_the_limit_are_refused(base, task_config):
    config = task_config.model_copy(update={"max_prompt_tokens": 16, "prompt": "{text}" + " the moon" * 40})
    with pytest.raises(ModelError, match="max_prompt_tokens"):
        Encoder(base.tokenizer, config).encode([Item("a", {"text": "x"})])


def test_a_chat_template_is_applied_where_there_is_one(base, task_config, tiny_model_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_path)
    with pytest.raises(ModelError, match="no chat template"):
        Encoder(tokenizer, task_config.model_copy(update={"chat_template": "always"}))
    tokenizer.chat_template = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}<a>"
    encoder = Encoder(tokenizer, task_config.model_copy(update={"chat_template": "auto"}))
    encoded = encoder.encode([Item("a", {"text": "Where"})])[0]
    assert tokenizer.decode(encoded.prompt_ids) == "<u>Question: Where\nAnswer type:</u><a>"
    short = Encoder(tokenizer, task_config.model_copy(update={"chat_template": "auto", "max_prompt_tokens": 40}))
    cut = short.encode([Item("a", {"text": "the moon " * 200})])[0]
    assert tokenizer.decode(cut.prompt_ids).endswith("Answer type:</u><a>")


def test_item_text_cannot_become_a_template(base, encoder):
    encoded = encoder.encode([Item("a", {"text": "{labels} {text} {{x}}"})])[0]
    assert base.tokenizer.decode(encoded.prompt_ids) == "Question: {labels} {text} {{x}}\nAnswer type:"
