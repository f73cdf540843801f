import hashlib
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from activelora.seeding import derive_seed, item_draw


def test_a_seed_is_the_hash_of_its_name():
    digest = hashlib.sha256(b"7/select_batch/3").digest()
    assert derive_seed(7, "select_batch", 3) == int.from_bytes(digest[:8], "big") // 2


def test_seeds_are_the_same_in_another_process():
    code = "from activelora.seeding import *; print(derive_seed(1, 'a', 2), item_draw(3, 'x'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(derive_seed(1, "a", 2)), str(item_draw(3, "x"))]


@given(st.integers(), st.lists(st.one_of(st.text(), st.integers())))
def test_seeds_fit_every_generator(seed, parts):
    assert 0 <= derive_seed(seed, *parts) < 2**63
    np.random.default_rng(derive_seed(seed, *parts))


def test_names_lead_to_different_draws():
    names = [(), ("a",), ("a", 1), ("a", 2), ("b", 1), ("a", "b")]
    assert len({derive_seed(0, *name) for name in names} | {derive_seed(1, *name) for name in names}) == 12


def test_item_draws_are_uniform():
    draws = np.array([item_draw(5, f"item-{number}") for number in range(4000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    chi_squared = ((counts - 400) ** 2 / 400).sum()
    assert chi_squared < 27.9  # the 0.999 quantile with 9 degrees of freedom


def test_item_draws_do_not_depend_on_the_place():
    assert item_draw(5, "x") == item_draw(5, "x") != item_draw(6, "x")
