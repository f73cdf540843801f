"""Families of models: an adapter that the product trained says the same under plain peft and plain transformers."""

import re

import numpy as np
import pytest
from peft import PeftModel

from activelora.config import AdapterConfig
from activelora.modeling import lora
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import weight_sampler
from tests.modeling.matrix import FAMILIES, LAYERS, tiny
from tests.modeling.matrix_runs import CAMPAIGN, LAST, TASKS, TOLERANCE, base_of, engine_s, fit_twice, transformers_s

RUN = [family for family in FAMILIES if not family.refused]


@pytest.mark.parametrize("family", RUN, ids=lambda family: family.name)
def test_plain_peft_says_what_the_product_says(family, tiny_tokenizer, tmp_path):
    base = base_of(family, tiny_tokenizer, tiny(family))
    encoders = [Encoder(tiny_tokenizer, task) for task in TASKS]
    before_NC = transformers_s(base.model, encoders[0])
    fit_twice(base, encoders[0], AdapterConfig(rank=4, last_layers=LAST), tmp_path)
    with lora.attached(lora.load(base, tmp_path)) as adapted:
        sampler = weight_sampler(adapted, CAMPAIGN, seed=1)
        found = [engine_s(base, encoder, LAYERS - LAST, sampler) for encoder in encoders]
    plain = PeftModel.from_pretrained(tiny(family), tmp_path).eval()
    expected = [transformers_s(plain, encoder) for encoder in encoders]
    for found_NC, expected_NC in zip(found, expected, strict=True):
        np.testing.assert_allclose(found_NC, expected_NC, atol=TOLERANCE)
    assert np.abs(expected[0] - before_NC).max() > 0.01
    names = [name for name, _ in plain.named_parameters() if "lora_" in name]
    assert names
    assert not [name for name in names if re.search(r"vision|\.experts\.|\.(layers|h|blocks)\.0\.", name)]
