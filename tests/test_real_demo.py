"""The demo with the real pretrained model: in a file of its own, so that it runs beside the other real campaigns."""

import resource

import pytest

from tests.real_model import activelora, rounds_of

MEMORY_GIB = 6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_demo_learns_and_fits_in_memory(tmp_path):
    output = activelora("demo", "--campaign", tmp_path / "demo")
    assert "report.html" in output
    assert "mlflow ui" in output
    rounds = rounds_of(tmp_path / "demo")
    assert len(rounds) >= 4
    assert rounds[-1]["accuracy"] >= rounds[0]["accuracy"] + 0.2
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kib < MEMORY_GIB << 20
