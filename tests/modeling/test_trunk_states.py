import os
import subprocess
import sys
import time

import pytest
import torch

from activelora.modeling.decoder_parts import decoder_parts
from activelora.modeling.split import SplitDecoder
from activelora.modeling.trunk_states import TrunkStates, states_key, trunk_digest, trunk_state_cache

STATES = torch.arange(12, dtype=torch.float32).reshape(4, 3)


@pytest.fixture
def kept(tmp_path):
    return TrunkStates(tmp_path / "trunk", limit_bytes=100_000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_states_come_back_bit_for_bit(kept, dtype):
    states = torch.randn(5, 7).to(dtype)
    assert kept.get("a") is None
    kept.put("a", states)
    found = kept.get("a")
    assert found.dtype == dtype
    assert torch.equal(found, states)
    assert kept.get("b") is None


def test_what_was_not_read_for_longest_goes_first(tmp_path):
    folder = tmp_path / "trunk"
    TrunkStates(folder, 100_000).put("a", torch.zeros(8, 8))
    kept = TrunkStates(folder, limit_bytes=3 * (folder / "a.states").stat().st_size)
    now = time.time()
    for age, key in ((30, "a"), (20, "b"), (10, "c")):
        kept.put(key, torch.zeros(8, 8))
        os.utime(folder / f"{key}.states", (now - age, now - age))
    assert kept.get("a") is not None
    kept.put("d", torch.zeros(8, 8))
    assert [key for key in "abcd" if kept.get(key) is not None] == ["a", "c", "d"]


def test_states_larger_than_the_limit_are_not_kept_and_drive_nothing_out(tmp_path):
    kept = TrunkStates(tmp_path / "trunk", limit_bytes=500)
    kept.put("small", torch.zeros(8, 8))
    kept.put("large", torch.zeros(80, 80))
    assert kept.get("large") is None
    assert kept.get("small") is not None


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, None])
def test_damaged_states_are_computed_again_with_a_word(kept, tmp_path, caplog, damage):
    kept.put("a", STATES)
    path = tmp_path / "trunk" / "a.states"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if damage is None else damage)
    assert kept.get("a") is None
    assert "computed again" in caplog.text
    kept.put("a", STATES)
    assert torch.equal(kept.get("a"), STATES)


def test_a_folder_that_cannot_be_written_costs_no_run(tmp_path, caplog):
    (tmp_path / "file").touch()
    kept = TrunkStates(tmp_path / "file" / "trunk", 100_000)
    kept.put("a", STATES)
    assert "cannot be kept" in caplog.text
    assert TrunkStates(tmp_path / "nowhere", 100_000).get("a") is None


def test_what_killed_processes_left_is_removed_when_it_is_old(kept, tmp_path):
    kept.put("a", STATES)
    old, fresh = (tmp_path / "trunk" / f".partial-{name}" for name in ("old", "fresh"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    TrunkStates(tmp_path / "trunk", limit_bytes=100_000).put("b", STATES)
    assert not old.exists()
    assert fresh.exists()


def test_many_small_files_stay_within_the_limit_and_are_looked_through_seldom(tmp_path, monkeypatch):
    """A look takes as long as there are files, and training keeps one a label."""
    folder, looks = tmp_path / "trunk", []
    monkeypatch.setattr(os, "scandir", lambda path, scan=os.scandir: (looks.append(path), scan(path))[1])
    TrunkStates(folder, 10**6).put("0", STATES)
    size = (folder / "0.states").stat().st_size
    kept = TrunkStates(folder, limit_bytes=128 * size)
    for number in range(1, 300):
        kept.put(str(number), STATES)
    assert len(looks) <= 1 + 1 + 300 // 2
    assert len(list(folder.iterdir())) <= 128 + 128 // 64 + 1


@pytest.mark.slow
def test_two_processes_write_and_remove_at_once(tmp_path):
    code = (
        "import sys, torch; from pathlib import Path; from activelora.modeling.trunk_states import TrunkStates\n"
        "kept = TrunkStates(Path(sys.argv[1]), 3000)\n"
        "for turn in range(300):\n"
        "    key = str(turn % 17)\n"
        "    found = kept.get(key)\n"
        "    assert found is None or torch.equal(found, torch.full((8, 8), float(key)))\n"
        "    kept.put(key, torch.full((8, 8), float(key)))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors
        assert "computed again" not in errors
        assert "cannot be kept" not in errors


def test_the_key_names_all_that_states_depend_on(base):
    decoder = decoder_parts(base.model)
    groups = [[[1, 2]], [[3, 4], [5]]]
    key = states_key(decoder, 2, groups)
    assert states_key(decoder, 2, [[(1, 2)], [(3, 4), (5,)]]) == key
    others = [[[[1, 2]], [[3, 4]], [[5]]], [[[1, 2]], [[3], [4, 5]]], [[[1]], [[3, 4], [5]]], [[[1, 2]], [[5], [3, 4]]]]
    keys = [states_key(decoder, 2, other) for other in others] + [states_key(decoder, 3, groups)]
    assert len({key, *keys}) == 6


def test_the_digest_sees_every_weight_below_and_none_above(tiny_model_path):
    from transformers import AutoModelForCausalLM

    def digest(change=None):
        model = AutoModelForCausalLM.from_pretrained(tiny_model_path)
        decoder = model.get_decoder()
        with torch.no_grad():
            if change == "embedding":
                decoder.embed_tokens.weight[-1, -1] += 1e-3
            elif change is not None:
                decoder.layers[change].mlp.down_proj.weight[-1, -1] += 1e-3
        return trunk_digest(decoder_parts(model), 2)

    assert digest() == digest(2) == digest(3)
    assert len({digest(), digest(0), digest(1), digest("embedding")}) == 4


def test_another_number_of_threads_is_another_key(base):
    split = SplitDecoder(base.model, 2)
    before, threads = split.states_key([[[1, 2, 3]]]), torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert split.states_key([[[1, 2, 3]]]) != before
    finally:
        torch.set_num_threads(threads)
    assert split.states_key([[[1, 2, 3]]]) == before


def test_nothing_is_kept_where_the_limit_is_zero():
    assert trunk_state_cache(0) is None
