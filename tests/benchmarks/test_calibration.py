"""The calibration benchmark's bookkeeping: rows that stay, the command that is written down, the table."""

import json

import pytest

from benchmarks.calibration import METHODS, METRICS, flags, kept, table

SIZES = {"file": "trec6", "seeds": [0], "labels": 100, "set": []}


def run(value, seconds):
    return {**dict.fromkeys(METRICS, value), "train_seconds": seconds, "predict_seconds": 2 * seconds}


def test_rows_are_kept_only_where_they_were_measured_in_the_same_way(tmp_path):
    path = tmp_path / "calibration-trec6.json"
    assert kept(SIZES, path) == {}
    path.write_text(json.dumps({"file": "trec6", "seeds": [0], "labels": 100, "rows": {"LoRA": [run(0.5, 1.0)]}}))
    assert kept(SIZES, path) == {"LoRA": [run(0.5, 1.0)]}
    for other in ({"labels": 50}, {"seeds": [0, 1]}, {"set": ["adapter.rank=4"]}):
        assert kept({**SIZES, **other}, path) == {}


def test_the_command_has_every_size_and_leaves_out_what_is_empty():
    assert flags({"seeds": [0, 1], "labels": 100, "set": []}) == "--seeds 0 1 --labels 100"
    assert flags({"set": ["adapter.rank=4", "model.dtype=bfloat16"]}) == "--set adapter.rank=4 model.dtype=bfloat16"


def test_the_table_has_means_ranges_and_costs_against_the_first_row():
    rows = {"LoRA": [run(0.5, 1.0), run(0.7, 2.0)], "Laplace": [run(0.6, 3.0), run(0.6, 6.0)]}
    assert set(rows) <= set(METHODS)
    first, second = table(rows).splitlines()[2:]
    assert first.startswith("| LoRA | 0.600 (0.500 to 0.700) |")
    assert first.endswith("| 1.0 | 1.0 |")
    assert second.endswith("| 3.0 | 3.0 |")
    with pytest.raises(ValueError, match="zip"):
        table({"LoRA": [run(0.5, 1.0)], "Laplace": rows["Laplace"]})
