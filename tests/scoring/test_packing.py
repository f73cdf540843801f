"""Rows that share their beginnings score as if each ran on its own."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.encoding import Encoder
from activelora.modeling.packing import LONGEST, can_pack, layout_of, packs, plain
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.split import SplitDecoder
from activelora.modeling.training import first_adapted
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.engine import Engine
from activelora.scoring.finals import Finals
from activelora.scoring.runner import Runner
from tests.scoring.test_engine import assert_same, slow_embeddings, slow_log_probs

ITEMS = [
    Item("a", {"text": "What is red ?"}, ("fire", "blue water is far from the earth", "the moon")),
    Item("b", {"text": "Where"}, ("the river is far", "earth")),
    Item("c", {"text": "Who wrote the play on the moon ?"}, ("human", "the first human", "green", "red and blue")),
    Item("d", {"text": "Yes"}, ("no",)),
    Item("e", {"text": "What is red ?"}, ("the moon", "the moon", "the moon is far")),
]
SHARED = "Read the question , then answer it . "


def drawn_rows(seed, num_rows, num_letters=3, longest=12):
    """Few letters, so that many rows begin alike, some are the beginning of others, and some are twice there."""
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(num_letters, size=rng.integers(1, longest)).tolist()) for _ in range(num_rows)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("longest", [12, 30, LONGEST])
def test_a_pack_spells_every_row_and_has_no_beginning_twice(seed, longest):
    rows = drawn_rows(seed, 60)
    numbers = list(range(100, 160))
    packed = packs(rows, numbers, longest)
    assert sorted(number for pack in packed for number in pack.rows) == numbers
    for pack in packed:
        assert len(pack.ids) <= longest
        spelled = set()
        for number, path in zip(pack.rows, pack.paths, strict=True):
            assert tuple(pack.ids[place] for place in path) == rows[number - 100]
            assert [place for place in range(path[-1] + 1) if pack.ends[place] > path[-1]] == list(path)
            spelled |= {rows[number - 100][: end + 1] for end in range(len(path))}
        assert len(pack.ids) == len(spelled)
    num_tokens = sum(len(pack.ids) for pack in packed)
    if longest == LONGEST:
        assert num_tokens <= 1.02 * len({row[: end + 1] for row in rows for end in range(len(row))})
    assert num_tokens < 0.9 * sum(len(row) for row in rows)


def test_packs_do_not_depend_on_the_order_of_the_rows():
    rows = drawn_rows(7, 40)
    order = np.random.default_rng(0).permutation(40)
    assert packs([rows[i] for i in order], order.tolist(), 30) == packs(rows, range(40), 30)


def test_rows_that_share_too_little_stay_alone():
    rows = [tuple(range(10 * i, 10 * i + 9)) for i in range(8)]
    assert packs(rows, range(8), LONGEST) == [plain(row, i) for i, row in enumerate(rows)]
    rows[0] = (*rows[1][:2], *rows[0][2:])
    assert packs(rows, range(8), LONGEST)[0] == plain(rows[0], 0), "a mask costs more than 2 of 72 tokens"
    long = [(1, *range(1000 * i, 1000 * i + 900)) for i in range(2, 9)]
    assert all(pack.is_plain for pack in packs(long, range(7), 10**6)), "attention to each other costs more"


def test_each_token_sees_its_own_way_and_stands_at_its_own_place():
    (pack,) = packs([(1, 2, 3, 4), (1, 2, 5), (1, 2, 3, 6, 7)], range(3), LONGEST)
    layout = layout_of([pack, plain((8, 9), 3)], 2, torch.empty(0))
    seen = layout.mask[0, 0] == 0
    assert seen[:, :2].all(), "all see the prefix"
    for path in pack.paths:
        for depth, place in enumerate(path):
            assert set(torch.nonzero(seen[place, 2:])[:, 0].tolist()) == set(path[: depth + 1])
            assert layout.positions[0, place] == 2 + depth
    assert layout.positions[1, :2].tolist() == [2, 3]
    assert layout_of([plain((8, 9), 3)], 2, torch.empty(0)) is None


def test_states_are_read_row_by_row():
    batch = [*packs([(1, 2, 3, 4), (1, 2, 5), (1, 2, 3, 6, 7)], (4, 5, 6), LONGEST), plain((8, 9), 3)]
    states_BTD = torch.randn(2, 9, 5)
    finals = Finals(states_BTD, batch)
    rows = [states_BTD[index, list(path)] for index, pack in enumerate(batch) for path in pack.paths]
    assert torch.equal(finals.last(), torch.stack([row[-1] for row in rows]))
    assert torch.equal(
        finals.at(finals.indices([2, 1, 3, 2])), torch.cat([rows[0][-2:], rows[1][-1:], rows[2][-3:], rows[3]])
    )
    sums = torch.stack([rows[0][:3].sum(0), rows[1][:1].sum(0), rows[2][1:].sum(0), rows[3][:0].sum(0)])
    torch.testing.assert_close(finals.sums([range(3), range(1), range(1, len(rows[2])), range(0)]), sums)


@pytest.fixture(params=["", SHARED], ids=["no-prefix", "prefix"])
def choices(request, base):
    prompt = f"{request.param}Question: {{text}}\nAnswer:"
    config = TaskConfig(kind="multiple_choice", prompt=prompt, answer="text", chat_template="never")
    return Encoder(base.tokenizer, config)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_answers_to_one_prompt_equal_the_slow_computation(base, adapted, choices, batch_tokens, tmp_path):
    kept = TrunkStates(tmp_path, 10_000_000)
    engine = Engine(base, choices, first_adapted(adapted), batch_tokens, kept)
    sampler, samples = MergedSamples(adapted, 0.3, seed=9), [None, 0]
    fast, embeddings_ND = engine.log_probs_and_embeddings(ITEMS, sampler, samples, "test")
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    assert_same(fast, slow_log_probs(base, choices, ITEMS, slow, samples))
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, choices, ITEMS, slow, samples), atol=1e-4)
    again = Engine(base, choices, first_adapted(adapted), batch_tokens, kept)
    np.testing.assert_array_equal(again.log_probs(ITEMS, sampler, samples, "test"), fast)


def num_run(base, engine, items):
    tokens = []
    layer = base.model.get_decoder().layers[0]
    hook = layer.register_forward_pre_hook(lambda _, args: tokens.append(args[0].shape[0] * args[0].shape[1]))
    found = engine.log_probs(items, NoAdapter(), [None], "test")
    hook.remove()
    return sum(tokens), found


def test_a_prompt_is_run_once_for_all_its_answers(base, choices):
    tokens, _ = num_run(base, Engine(base, choices, 0, 4096), ITEMS[:1])
    (one,) = choices.encode(ITEMS[:1])
    assert tokens == len(one.prompt_ids) + sum(len(ids) - 1 for ids in one.answer_ids)


def test_a_text_is_run_once_for_all_that_is_asked_of_it(base):
    labels = ("fire", "water", "human", "number", "location", "earth")
    task = TaskConfig(kind="multi_label", prompt="{text}\nIs it {label}?", labels=labels, chat_template="never")
    encoder = Encoder(base.tokenizer, task)
    items = [
        Item(item.item_id, {"text": f"{item.fields['text']} How far is the moon from the earth ?"}) for item in ITEMS
    ]
    tokens, found = num_run(base, Engine(base, encoder, 0, 4096), items)
    assert_same(found, slow_log_probs(base, encoder, items, NoAdapter(), [None]))
    assert tokens < 0.45 * sum(len(one.prompt_ids) for one in encoder.encode(items))


def test_a_pack_too_large_for_the_memory_is_run_row_by_row(base):
    batch = packs([(11, 12, 13, 14), (11, 12, 15), (11, 12, 13, 16, 17)], range(3), LONGEST)
    split = SplitDecoder(base.model, 0)
    inputs = torch.tensor([batch[0].ids])

    def small(most):
        def compute(ids_BT, cache, layout):
            if ids_BT.numel() > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return split.whole(ids_BT, layout)

        return Runner(compute, torch.empty(0))

    with torch.no_grad():
        expected = small(100).run(inputs, batch, None, 0)
        short = small(5)
        torch.testing.assert_close(short.run(inputs, batch, None, 0), expected)
        assert short.has_halved, "rows alone round in another way: their states must not be kept"
        with pytest.raises(ModelError, match=r"task\.max_prompt_tokens"):
            small(4).run(inputs, batch, None, 0)


@pytest.mark.parametrize(
    ("model_type", "more", "expected"), [("llama", {}, True), ("mistral", {"sliding_window": 4}, False)]
)
def test_a_model_that_attends_to_a_window_runs_rows_on_their_own(model_type, more, expected):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **sizes, **heads, **more)).eval()
    assert can_pack(SplitDecoder(model, 0), torch.empty(0)) == expected
