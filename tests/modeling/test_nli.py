"""Entailment by a tiny classifier, against transformers asked pair by pair; and models that cannot tell it."""

import itertools
import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file

from activelora.config.acquisition import NliConfig
from activelora.errors import ModelError
from activelora.modeling.nli import AnswerPair, Entailment, check_name, check_stored, folder_here, loaded, token_limit
from tests.tiny_nli import LABELS, write_tiny_nli

PROMPT = "What is the capital of France?"
ANSWERS = ["Paris", "London", "the capital is Paris", "it is the red water", "fire", "", "!"]
PAIRS = [AnswerPair(PROMPT, left, right) for left, right in itertools.permutations(ANSWERS, 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_nli(tmp_path_factory.mktemp("nli"))


@pytest.fixture(scope="module")
def parts(folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def slow(parts, premise, hypothesis, label=1):
    """Return whether a pair by itself, without padding, has the label."""
    model, tokenizer = parts
    with torch.no_grad():
        return int(model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0].argmax()) == label


def test_answers_are_compared_behind_their_prompt_as_pair_by_pair(folder, parts):
    expected = [slow(parts, f"{PROMPT} {one.premise}".strip(), f"{PROMPT} {one.hypothesis}".strip()) for one in PAIRS]
    assert 0 < sum(expected) < len(expected)
    with loaded(NliConfig(model=str(folder))) as entails:
        assert entails(PAIRS) == expected
        assert entails(PAIRS[::-1]) == expected[::-1]
        assert [entails([one])[0] for one in PAIRS] == expected
        assert entails([]) == []
        assert entails.num_cut_prompts == 0
    alone = [slow(parts, one.premise, one.hypothesis) for one in PAIRS if one.premise and one.hypothesis]
    assert alone != [said for said, one in zip(expected, PAIRS, strict=True) if one.premise and one.hypothesis]


def test_equal_pairs_are_asked_once(folder, parts):
    seen = []
    model, tokenizer = parts
    handle = model.register_forward_hook(lambda module, inputs, output: seen.append(len(output.logits)))
    try:
        entails = Entailment(model, tokenizer, 1)
        said = entails([PAIRS[0], PAIRS[1], PAIRS[0], PAIRS[0]])
    finally:
        handle.remove()
    assert sum(seen) == entails.num_pairs == 2
    assert said[0] == said[2] == said[3]


def test_a_long_prompt_loses_its_beginning_on_both_sides_and_the_answers_stay(folder, parts, caplog):
    _, tokenizer = parts
    long, room = " ".join(f"water{number}" for number in range(60)), 48 - 3
    pair = AnswerPair(long, "the capital is Paris", "London is red")
    with loaded(NliConfig(model=str(folder))) as entails:
        premise, hypothesis = entails._fitted(pair)
    with caplog.at_level(logging.WARNING), loaded(NliConfig(model=str(folder))) as entails:
        (said,) = entails([pair])
    begin = premise.removesuffix(" the capital is Paris")
    assert begin
    assert hypothesis == f"{begin} London is red"
    assert long.endswith(begin)
    num_tokens = sum(len(tokenizer(text, add_special_tokens=False).input_ids) for text in (premise, hypothesis))
    assert room - 8 <= num_tokens <= room
    assert said == slow(parts, premise, hypothesis)
    assert "of 1 pairs of answers 1 were too long for" in caplog.text
    assert "0 by themselves" in caplog.text


def test_answers_that_are_too_long_by_themselves_lose_their_ends(folder, parts, caplog):
    model, tokenizer = parts
    pair = AnswerPair(PROMPT, "red " * 60, "fire " * 60)
    with caplog.at_level(logging.WARNING), loaded(NliConfig(model=str(folder))) as entails:
        (said,) = entails([pair])
        assert (entails.num_cut_prompts, entails.num_cut_answers) == (1, 1)
    ids = tokenizer(("red " * 60).strip(), ("fire " * 60).strip(), truncation=True, max_length=48, return_tensors="pt")
    assert ids.input_ids.shape == (1, 48)
    with torch.no_grad():
        assert said == (int(model(**ids).logits[0].argmax()) == 1)
    assert "1 by themselves: their ends were cut" in caplog.text


def test_a_closed_model_answers_no_more(folder):
    with loaded(NliConfig(model=str(folder))) as entails:
        pass
    with pytest.raises(ValueError, match="closed"):
        entails(PAIRS[:1])


def test_positions_that_padding_takes_are_none_of_a_pair_s(parts):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = RobertaForSequenceClassification(RobertaConfig(**sizes, intermediate_size=8, max_position_embeddings=34))
    model.eval()
    tokenizer = parts[1]
    assert token_limit(model, tokenizer) == 32
    model(input_ids=torch.full((1, 32), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 33), 5))
    assert token_limit(parts[0], tokenizer) == 48


@pytest.mark.parametrize(
    ("labels", "index"),
    [
        (LABELS, 1),
        (("ENTAILMENT", "NEUTRAL", "CONTRADICTION"), 0),
        (("not_entailment", "entailment"), 1),
        (("entailment", "non-entailment"), 0),
        (("LABEL: entailment", "no entailment"), 0),
    ],
)
def test_the_label_is_found_by_its_name(tmp_path, labels, index):
    folder = write_tiny_nli(tmp_path, labels)
    config = NliConfig(model=str(folder))
    assert folder_here(config) == folder
    assert check_stored(config, folder) == (labels, index, 48)


def _edit(folder, **changes):
    path = folder / "config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _without_head(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda f: _edit(f, id2label={"0": "good", "1": "bad", "2": "ugly"}),
            "none of its labels is `entailment`: good",
        ),
        (
            lambda f: _edit(f, id2label={"0": "no", "1": "not_entailment"}),
            "none of its labels is `entailment`: no, not_",
        ),
        (lambda f: _edit(f, id2label={"0": "entailment", "1": "entailments"}), "more than one of its labels"),
        (lambda f: _edit(f, id2label=None, label2id=None), "none is named (id2label in config.json)"),
        (
            lambda f: _edit(f, architectures=["BertForMaskedLM"]),
            "is BertForMaskedLM, and must be a sequence classifier",
        ),
        (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json holds no object"),
        (lambda f: (f / "config.json").unlink(), "the folder has no config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (_pickled, "safetensors"),
        (_without_head, "its weights lack classifier.weight, which would be random"),
        (lambda f: _edit(f, intermediate_size=48), "its weights lack bert.encoder.layer.0.intermediate"),
        (lambda f: _edit(f, model_type="mine", auto_map={"AutoConfig": "mine.py"}), "cannot be loaded"),
    ],
)
def test_what_cannot_tell_entailment_is_refused_by_name(tmp_path, change, words):
    folder = write_tiny_nli(tmp_path / "nli")
    change(folder)
    with pytest.raises(ModelError) as caught, loaded(NliConfig(model=str(folder))):
        pass
    assert words in str(caught.value)
    assert f"scoring.nli.model: {folder}" in caught.value.where
    assert "model.base" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "nowhere", "./nowhere/at/all", "s3://B/x"])
def test_names_that_name_no_such_model_are_refused(name):
    with pytest.raises(Exception, match=r"s3://B|nowhere|smollm2") as caught:
        check_name(NliConfig(model=name))
    assert "model.base" not in str(caught.value)
    check_name(NliConfig(model="owner/name"))


@pytest.mark.slow
def test_a_real_model_knows_one_answer_in_other_words():
    """Runs where the model hub's client has the model already: it is not fetched for a test."""
    config = NliConfig(model="cross-encoder/nli-deberta-v3-xsmall")
    if folder_here(config) is None:
        pytest.skip(f"{config.model} is not in the cache of huggingface_hub on this machine")
    same, other = AnswerPair(PROMPT, "Paris", "The capital is Paris."), AnswerPair(PROMPT, "Paris", "London")
    with loaded(config) as entails:
        back = [AnswerPair(PROMPT, one.hypothesis, one.premise) for one in (same, other)]
        assert entails([same, back[0]]) == [True, True]
        assert entails([other, back[1]]) == [False, False]
