import pytest

from benchmarks.scoring import comparison

FOUND = {
    "seconds": {"ours": [2.0, 4.0, 3.0], "peft": [20.0, 20.0, 21.0], "forward": [3.0, 3.0, 3.0]},
    "tokens": 1000,
    "prefix": 90,
    "gflop": 240.0,
    "plain_gflop": 600.0,
    "tokenise_seconds": 0.03,
    "merge_seconds": 0.3,
    "matmul_gflops": 100.0,
    "difference": 2e-5,
}


def test_rows_compare_repetition_by_repetition():
    peft, forward = comparison("case", 60, FOUND)
    assert peft.ratios == (10.0, 5.0, 7.0)
    assert peft.ratio == 7.0
    assert peft.figures["items_per_second"] == 20.0
    assert peft.figures["useful_share"] == pytest.approx(0.8)
    assert peft.figures["operations_ratio"] == 2.5
    assert forward.ratio == 1.0
    assert peft.agrees
    assert forward.agrees


def test_outputs_that_differ_are_a_fault():
    assert not any(row.agrees for row in comparison("case", 60, FOUND | {"difference": 2e-4}))


def test_baal_is_left_out_where_it_is_missing():
    with_baal = FOUND | {"seconds": FOUND["seconds"] | {"baal": [1.0, 1.0, 1.0]}}
    assert len(list(comparison("case", 60, FOUND))) == 2
    assert len(list(comparison("case", 60, with_baal))) == 3
