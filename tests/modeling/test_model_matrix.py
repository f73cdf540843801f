"""Families of models: the product's numbers are those of plain transformers and plain peft, or it refuses in words."""

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter
from tests.modeling.matrix import FAMILIES, LAYERS, tiny
from tests.modeling.matrix_runs import TASKS, base_of, engine_s, fit_twice, transformers_s

TOLERANCE = 1e-3
LAST = LAYERS - 1
"""An odd number of frozen layers puts every kind of layer in the place of another one, if numbers were to shift."""
RUN = [family for family in FAMILIES if not family.refused]
REFUSED = [family for family in FAMILIES if family.refused]


@pytest.fixture(autouse=True)
def measured_anew(tmp_path, monkeypatch):
    """Let nothing be known of a model from an earlier run."""
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tokenizer(tiny_model_path):
    return AutoTokenizer.from_pretrained(tiny_model_path)


@pytest.mark.parametrize("family", RUN, ids=lambda family: family.name)
def test_numbers_are_those_of_plain_transformers_and_plain_peft(family, tokenizer, tmp_path):
    base = base_of(family, tokenizer)
    assert tuple(name for name, is_on in vars(base.paths).items() if not is_on) == family.off
    encoders = [Encoder(tokenizer, task) for task in TASKS]
    before = [transformers_s(base.model, encoder) for encoder in encoders]
    for first in (0, LAYERS - LAST):
        for encoder, expected_NC in zip(encoders, before, strict=True):
            found_NC = engine_s(base, encoder, first, NoAdapter())
            np.testing.assert_allclose(found_NC, expected_NC, atol=TOLERANCE)

    fit_twice(base, encoders[0], AdapterConfig(rank=4, last_layers=LAST), tmp_path)
    with lora.attached(lora.load(base, tmp_path)) as adapted:
        sampler = MergedSamples(adapted, 0.1, seed=1)
        found = [engine_s(base, encoder, LAYERS - LAST, sampler) for encoder in encoders]
    plain = PeftModel.from_pretrained(tiny(family), tmp_path).eval()
    for encoder, found_NC, before_NC in zip(encoders, found, before, strict=True):
        expected_NC = transformers_s(plain, encoder)
        np.testing.assert_allclose(found_NC, expected_NC, atol=TOLERANCE)
        assert np.abs(expected_NC - before_NC).max() > 0.01
    adapters = [name for name, _ in plain.named_parameters() if "lora_" in name]
    assert adapters and not any("vision" in name or "audio" in name for name in adapters)


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_what_cannot_be_right_is_refused_in_words(family, tokenizer):
    with pytest.raises(ModelError, match=family.refused):
        lora.check_adapter(base_of(family, tokenizer).model, AdapterConfig())


def test_the_matrix_has_many_families():
    assert len(RUN) >= 40
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert torch.get_default_dtype() == torch.float32
