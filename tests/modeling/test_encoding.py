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
    words = {"description of water": "water"}
    Encoder(base.tokenizer, config.model_copy(update={"answer_words": words}))


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
