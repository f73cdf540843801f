"""Trunk and top together are the whole decoder, whatever its layers look like."""

from __future__ import annotations

import pytest
import torch

from activelora.modeling.key_values import expand_cache
from activelora.modeling.split import SplitDecoder
from tests.modeling.families import LINEAR, WINDOWED, family, gpt_oss

SPLITS = {
    "gpt_oss": (gpt_oss, 7),
    "granite": (lambda: family("granite", embedding_multiplier=3.0, residual_multiplier=0.5), 2),
    "gemma3_text": (lambda: family("gemma3_text", **WINDOWED), 3),
    "gemma2": (lambda: family("gemma2", **WINDOWED), 1),
    "gpt2": (lambda: family("gpt2"), 2),
    "gpt_neox": (lambda: family("gpt_neox"), 2),
    "opt": (lambda: family("opt", ffn_dim=48, word_embed_proj_dim=32), 2),
    "phi": (lambda: family("phi"), 2),
    "falcon": (lambda: family("falcon"), 2),
    "qwen3_next": (lambda: family("qwen3_next", **LINEAR), 3),
}


@pytest.mark.parametrize("name", SPLITS)
@torch.no_grad()
def test_texts_longer_than_the_window_are_split_exactly(name):
    make, first = SPLITS[name]
    model = make()
    ids_BT = torch.randint(3, 120, (2, 60), generator=torch.Generator().manual_seed(1))
    split = SplitDecoder(model, first)
    assert split.first_top_layer == first
    whole = model.get_decoder()(input_ids=ids_BT).last_hidden_state
    torch.testing.assert_close(split.top(split.trunk(ids_BT)), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SPLITS)
@torch.no_grad()
def test_a_shared_prefix_is_continued_exactly(name):
    make, first = SPLITS[name]
    model = make()
    ids_BT = torch.randint(3, 120, (2, 60), generator=torch.Generator().manual_seed(1))
    ids_BT[1, :25] = ids_BT[0, :25]
    split = SplitDecoder(model, first)
    whole = model.get_decoder()(input_ids=ids_BT).last_hidden_state
    trunk_cache, top_cache = split.new_cache(), split.new_cache()
    beginning = split.top(split.trunk(ids_BT[:1, :25], trunk_cache), top_cache)
    torch.testing.assert_close(beginning, whole[:1, :25], atol=1e-4, rtol=1e-4)
    for _ in range(2):  # a batch leaves the prefix as it was
        rest = split.top(split.trunk(ids_BT[:, 25:], expand_cache(trunk_cache, 2)), expand_cache(top_cache, 2))
        torch.testing.assert_close(rest, whole[:, 25:], atol=1e-4, rtol=1e-4)
