"""What `check` says of prompts: words, and never a traceback."""

import json
import shutil

import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError, ProblemsError
from activelora.modeling.encoding import Encoder
from pipelines.cli.checks import check_campaign
from pipelines.cli.main import main
from pipelines.cli.prompt_checks import look_at_prompts
from tests.pipelines.tiny import LABELS, tiny_config

TEMPLATE = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}<a>"
PARTS = "{% for p in messages[0]['content'] %}{{ p['text'] | trim }}{% endfor %}{{ strftime_now('%d %b') }}"


@pytest.fixture
def model(tiny_model_path, tmp_path):
    return shutil.copytree(tiny_model_path, tmp_path / "model")


def change(file, **settings):
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def config_with(tmp_path, model, texts=None, **task):
    task = {"prompt": "{text} is", "labels": LABELS, **task}
    config = tiny_config(tmp_path, model, task=task)
    if texts:
        rows = [{"text": text, "label": LABELS[number % 3]} for number, text in enumerate(texts)]
        (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return config


def test_it_says_how_prompts_are_given(model, tmp_path):
    found = check_campaign(config_with(tmp_path, model))
    assert dict(found.facts)["prompt"] == "as it is, without a chat template"
    change(model / "tokenizer_config.json", chat_template=TEMPLATE)
    found = check_campaign(config_with(tmp_path, model))
    assert dict(found.facts)["prompt"] == "in the model's chat template"
    change(model / "tokenizer_config.json", chat_template=PARTS)
    found = check_campaign(config_with(tmp_path, model, chat_date="2025-02-03"))
    assert dict(found.facts)["prompt"] == (
        "in the model's chat template, as a part of the message, without white space at its ends, which the template "
        "takes off, dated 2025-02-03 (task.chat_date), whatever the day"
    )


def refusal(config):
    with pytest.raises(ProblemsError) as caught:
        check_campaign(config)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% for", "{{ messages[0].content | upper }}"])
def test_a_template_that_cannot_be_used_is_a_problem(model, tmp_path, template):
    change(model / "tokenizer_config.json", chat_template=template)
    assert refusal(config_with(tmp_path, model)).startswith("task.chat_template: the model's chat template c")


def test_one_text_that_the_template_changes_is_a_problem(model, tmp_path):
    change(model / "tokenizer_config.json", chat_template="{{ messages[0].content | replace('river 7', 'river') }}")
    texts = [f"river {number}" for number in range(30)]
    assert "changes the text of a prompt: 'river 7 is'" in refusal(config_with(tmp_path, model, texts))


def test_a_token_without_a_row_is_a_problem(model, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(model)
    assert "model.base: the tokenizer has token ids up to" in refusal(config_with(tmp_path, model))


def test_texts_that_spell_out_special_tokens_are_counted(model, tmp_path):
    texts = [f"river {number} {'<eos>' if number % 10 == 0 else ''}" for number in range(30)]
    found = check_campaign(config_with(tmp_path, model, texts))
    counted = "3 of the first 30 pool items: their texts spell out special tokens of the model, which"
    assert dict(found.facts)["special tokens"] == f"{counted} are read as plain text"
    found = check_campaign(config_with(tmp_path, model, texts, special_tokens_in_text="special"))
    assert "special tokens" not in dict(found.facts)
    assert any(counted in warning for warning in found.warnings)


def context_words(found):
    return [warning for warning in found.warnings if "context" in warning]


def test_texts_beyond_the_context_are_a_warning_with_their_share(model, tmp_path):
    change(model / "config.json", max_position_embeddings=64)
    texts = [f"{number} " + " river" * (375 if number % 4 == 0 else 5) for number in range(40)]
    (warning,) = context_words(check_campaign(config_with(tmp_path, model, texts)))
    assert "context has 64 tokens, and 25 % of the first 40 pool items are longer (up to 3" in warning
    assert "cut only to task.max_prompt_tokens 512" in warning
    assert warning.endswith("lower task.max_prompt_tokens to 64")
    assert not context_words(check_campaign(config_with(tmp_path, model, texts, max_prompt_tokens=64)))
    assert not context_words(check_campaign(config_with(tmp_path, model)))


def test_rotations_that_depend_on_the_longest_text_allow_no_longer_ones(model, tmp_path):
    rotation = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    change(model / "config.json", max_position_embeddings=256, rope_parameters=rotation)
    words = refusal(config_with(tmp_path, model))
    assert words.startswith("task.max_prompt_tokens: prompts of up to 512 tokens are too long for the model")
    assert words.endswith("Lower task.max_prompt_tokens to 255.")
    check_campaign(config_with(tmp_path, model, max_prompt_tokens=255))


def learned(name):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM

    with torch.device("meta"):
        if name == "gpt2":
            return GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, n_positions=64))
        sizes = {"hidden_size": 8, "ffn_dim": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        return OPTForCausalLM(OPTConfig(**sizes, word_embed_proj_dim=8, max_position_embeddings=64))


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_a_model_that_has_learned_its_positions_is_given_no_more(tiny_model_path, name):
    from transformers import AutoTokenizer

    model, tokenizer = learned(name), AutoTokenizer.from_pretrained(tiny_model_path)

    def look(limit):
        task = TaskConfig(prompt="{text}", labels=("red", "fire"), max_prompt_tokens=limit)
        items = [Item("a", {"text": "river"})]
        return look_at_prompts(task, Encoder(tokenizer, task), model, items, num_answer_tokens=4)

    assert not look(60).warnings
    with pytest.raises(
        ModelError, match=r"up to 61 tokens and 4 of answers do not fit .* learned 64 positions"
    ) as caught:
        look(61)
    assert caught.value.remedy == "Lower task.max_prompt_tokens to 60."


def test_a_problem_between_task_and_model_is_told_with_the_file(model, tmp_path, capfd):
    config = config_with(tmp_path, model)
    file = tmp_path / "campaign.yaml"
    file.write_text(json.dumps({**config.model_dump(mode="json"), "resources": {}}))
    change(model / "tokenizer_config.json", chat_template="{{ messages[0].content | upper }}")
    assert main(["check", str(file)]) == 1
    assert f"{file}: `task.chat_template`: the model's chat template changes the text" in capfd.readouterr().err
    assert main(["check", str(file), "--set", "task.chat_template=never"]) == 0
    assert "without a chat template" in capfd.readouterr().out
