"""Every token has a row in the embeddings, or the model is refused."""

import json
import shutil

import pytest

from activelora.config import ModelConfig
from activelora.errors import ModelError
from activelora.modeling.base import load_base, load_skeleton, load_tokenizer
from activelora.modeling.vocabulary import check_vocabulary


@pytest.fixture
def grown(tiny_model_path, tmp_path):
    """Return a function that adds tokens to a copy of the tiny model's tokenizer, and returns the copy's settings."""

    def grown(*tokens, **names):
        folder = shutil.copytree(tiny_model_path, tmp_path / "model")
        tokenizer = load_tokenizer(ModelConfig(base=str(folder)))
        tokenizer.add_tokens(list(tokens))
        tokenizer.save_pretrained(folder)
        settings = folder / "tokenizer_config.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **names}))
        return ModelConfig(base=str(folder))

    return grown


def test_a_token_beyond_the_embeddings_is_refused_with_the_numbers(grown):
    config = grown("<new>")
    rows = load_skeleton(config).get_input_embeddings().num_embeddings
    words = rf"token ids up to {rows}, and the model's embeddings have {rows} rows.*'<new>' \({rows}\)"
    with pytest.raises(ModelError, match=words) as caught:
        check_vocabulary(load_tokenizer(config), load_skeleton(config))
    assert "resize_token_embeddings" in caught.value.remedy
    with pytest.raises(ModelError, match="embeddings have"):
        load_base(config)


def test_a_model_without_its_images_may_keep_their_token(grown):
    config = grown("<image_soft_token>", image_token="<image_soft_token>")
    check_vocabulary(load_tokenizer(config), load_skeleton(config))


def test_as_many_tokens_as_rows_are_fine(grown):
    config = grown()
    check_vocabulary(load_tokenizer(config), load_skeleton(config))


BROKEN = {"no JSON": "{", "nothing in it": "{}", "of no known kind": '{"model": {"type": "XYZ"}}', "a list": "[]"}


@pytest.mark.parametrize("content", BROKEN.values(), ids=list(BROKEN))
def test_a_tokenizer_that_cannot_be_loaded_is_refused_in_words(grown, tmp_path, content):
    config = grown()
    (tmp_path / "model" / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded") as caught:
        load_tokenizer(config)
    assert "tokenizer.json" in caught.value.remedy


def test_a_model_without_a_tokenizer_is_refused_in_words(grown, tmp_path):
    config = grown()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).unlink()
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded"):
        load_tokenizer(config)
