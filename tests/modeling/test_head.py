"""The head gives the logits that the model itself gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import vmap
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from activelora.modeling.head import Head
from activelora.modeling.rows import Rows
from tests.modeling.families import SIZES, family

CASES = {
    "llama": ({}, "plain"),
    "granite": ({"logits_scaling": 8.0}, "elementwise"),
    "cohere": ({"logit_scale": 0.25}, "elementwise"),
    "gemma2": ({"final_logit_softcapping": 30.0, "sliding_window": 16}, "elementwise"),
    "phi": ({}, "plain"),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_the_models_own(name):
    settings, form = CASES[name]
    model = family(name, **settings)
    if name == "phi":
        model.lm_head.bias.normal_()
    if name == "gemma2":
        model.get_output_embeddings().weight.mul_(4)  # the raw logits reach the cap
    ids_BT = torch.randint(3, 120, (2, 21), generator=torch.Generator().manual_seed(1))
    expected_BTV = model(ids_BT).logits
    hidden_BTD = model.get_decoder()(ids_BT).last_hidden_state
    head = Head(model)
    assert head.form == form
    if name == "gemma2":
        assert head.module(hidden_BTD).abs().max() > 40 > expected_BTV.abs().max()
    where = Rows(torch.tensor([0, 1]), torch.tensor([20, 20]))
    torch.testing.assert_close(head.logits(hidden_BTD[:, -1], where), expected_BTV[:, -1])
    targets = torch.tensor([[5, 6, 119], [7, 5, 5]])
    expected = expected_BTV[:, -1].gather(1, targets)
    torch.testing.assert_close(head.logits_onto(hidden_BTD[:, -1], targets, where), expected, atol=1e-4, rtol=1e-4)


class Scaled(LlamaForCausalLM):
    """A wrapper that shrinks the states before its head, and one token's logit after it."""

    def forward(self, input_ids=None, inputs_embeds=None, **options):
        hidden = self.model(input_ids=input_ids, inputs_embeds=inputs_embeds, **options).last_hidden_state
        return CausalLMOutputWithPast(logits=self.lm_head(hidden / 4))


class Masked(LlamaForCausalLM):
    """A wrapper that never lets one token be said."""

    def forward(self, input_ids=None, inputs_embeds=None, **options):
        hidden = self.model(input_ids=input_ids, inputs_embeds=inputs_embeds, **options).last_hidden_state
        logits = self.lm_head(hidden)
        logits[..., 7] = torch.finfo(logits.dtype).min
        return CausalLMOutputWithPast(logits=logits)


@pytest.mark.parametrize(("kind", "form"), [(Scaled, "own"), (Masked, "whole")])
@torch.no_grad()
def test_wrappers_that_do_more_than_that_are_run_themselves(kind, form):
    torch.manual_seed(0)
    model = kind(LlamaConfig(**SIZES)).eval()
    ids_BT = torch.randint(3, 120, (1, 9))
    hidden_RD = model.model(ids_BT).last_hidden_state[0]
    head = Head(model)
    assert head.form == form
    where = Rows(torch.zeros(9, dtype=torch.long), torch.arange(9))
    expected = model(ids_BT).logits[0]
    torch.testing.assert_close(head.logits(hidden_RD, where), expected)
    targets = torch.tensor([[7, 8]] * 9)
    torch.testing.assert_close(head.logits_onto(hidden_RD, targets, where), expected[:, 7:9])


def test_gradients_run_through_what_follows_the_head_also_for_many_rows_at_once():
    model = family("gemma2", final_logit_softcapping=1.0, sliding_window=16)
    head = Head(model)
    where = Rows(torch.zeros(2, dtype=torch.long), torch.arange(2))
    states = torch.randn(3, 2, 32, requires_grad=True)
    found = torch.autograd.grad(vmap(lambda one: head.logits(one, where).square().sum())(states).sum(), states)[0]
    raw = head.module(states)
    expected = torch.autograd.grad(torch.tanh(raw).square().sum(), states)[0]
    torch.testing.assert_close(found, expected)
    assert isinstance(head.module, nn.Linear)
    assert "forward" not in vars(head.module)
    assert "forward" not in vars(model.get_decoder())
