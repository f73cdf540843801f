"""Families of models: the engine's numbers are those of plain transformers, or the model is refused in words."""

import numpy as np
import pytest

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.encoding import Encoder
from activelora.modeling.fidelity import paths_of
from activelora.modeling.sampling import NoAdapter
from tests.modeling.matrix import FAMILIES, LAYERS, tiny
from tests.modeling.matrix_runs import LAST, TASKS, TOLERANCE, base_of, engine_s, transformers_s

RUN = [family for family in FAMILIES if not family.refused]
REFUSED = [family for family in FAMILIES if family.refused]


@pytest.mark.parametrize("family", RUN, ids=lambda family: family.name)
def test_the_engine_says_what_transformers_says(family, tiny_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))  # nothing is known of the model from an earlier run
    model = tiny(family)
    paths = paths_of(model)
    assert tuple(name for name, is_on in vars(paths).items() if not is_on) == family.off
    base = base_of(family, tiny_tokenizer, model)
    for task in TASKS:
        encoder = Encoder(tiny_tokenizer, task)
        expected_NC = transformers_s(model, encoder)
        for first_top_layer in (0, LAYERS - LAST):
            found_NC = engine_s(base, encoder, first_top_layer, NoAdapter())
            np.testing.assert_allclose(found_NC, expected_NC, atol=TOLERANCE)


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_what_cannot_be_right_is_refused_in_words(family):
    with pytest.raises(ModelError, match=family.refused):
        lora.check_adapter(tiny(family), AdapterConfig())


def test_there_are_many_families_each_once():
    assert len(RUN) >= 40
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
