"""The one command's bookkeeping: what is kept, and what counts as a regression."""

import pytest

from benchmarks.measuring import Clock, NotInstalledError, machine_line, measure
from benchmarks.result import Result, Row, markdown, read, regressions, write


def result_of(*rows):
    return Result("example", "What it compares.", "On this machine.", rows, ("A note.",))


def grow(clock: Clock, megabytes: int) -> int:
    with clock.running():
        return len(bytearray(megabytes * 10**6))


def missing(clock: Clock) -> None:
    import a_peer_that_nobody_has  # noqa: F401


ROW = Row("N 10", "peer 1.0", (2.0, 4.0, 3.0), "10 of 10", figures={"peak_gb": 1.5}, limits={"peak_gb": 2.0})


def test_what_is_written_is_read_again(tmp_path):
    result = result_of(ROW, Row("alone"))
    write(result, tmp_path)
    assert read("example", tmp_path) == result
    assert read("another", tmp_path) is None
    text = (tmp_path / "example.md").read_text()
    assert text == markdown(result)
    assert "| N 10 | peer 1.0 | 3× (2 to 4) | 1.5 | 10 of 10 |" in text
    assert "python -m benchmarks --only example" in text


@pytest.mark.parametrize(("ratio", "is_worse"), [(2.2, False), (2.0, True), (9.0, False)])
def test_a_ratio_may_fall_by_the_tolerance_only(ratio, is_worse):
    found = regressions(result_of(Row("N 10", "peer 1.0", (ratio,))), result_of(ROW))
    assert bool(found) == is_worse
    assert not regressions(result_of(Row("N 11", "peer 1.0", (ratio,))), result_of(ROW))


def test_wrong_outputs_and_passed_limits_are_found_without_a_kept_result():
    wrong = Row("N 10", agreement="9 of 10", agrees=False, figures={"peak_gb": 2.5}, limits={"peak_gb": 2.0})
    problems = regressions(result_of(wrong), None)
    assert "9 of 10" in problems[0]
    assert "peak_gb is 2.5, at most 2 is allowed" in problems[1]


def test_a_function_is_measured_in_a_process_of_its_own():
    small, large = (measure("tests.benchmarks.test_result:grow", megabytes=size) for size in (1, 400))
    assert (small.value, large.value) == (10**6, 4 * 10**8)
    assert 0.3 < large.peak_gb - small.peak_gb < 0.5
    assert large.cpu_seconds > 0
    assert large.seconds > 0


def test_a_missing_peer_is_told_from_a_failure():
    with pytest.raises(NotInstalledError, match="a_peer_that_nobody_has"):
        measure("tests.benchmarks.test_result:missing")
    with pytest.raises(RuntimeError, match="unexpected keyword"):
        measure("tests.benchmarks.test_result:missing", nonsense=1)


def test_the_machine_is_described_with_its_load():
    assert "load 0.5 to 2.0" in machine_line([2.0, 0.5, 1.0])
