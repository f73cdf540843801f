"""Settings of training in several processes, each allowed, but not together."""

import pytest

from activelora.config.resources import TrainResources
from activelora.errors import ProblemsError
from activelora.rules.parallel import num_processes
from tests.pipelines.conftest import make_config


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1),
        ({"accelerator_count": 4}, 1),
        ({"accelerator_type": "nvidia.com/gpu", "accelerator_count": 4}, 4),
        ({"accelerator_type": "nvidia.com/gpu", "accelerator_count": 4, "num_processes": 2}, 2),
        ({"num_processes": 3}, 3),
    ],
)
def test_processes_of_a_pod(settings, expected):
    assert num_processes(TrainResources(**settings)) == expected


@pytest.mark.parametrize(
    ("sections", "key", "words"),
    [
        ({"adapter": {"method": "blob"}}, "resources.train.num_processes", "`blob` trains in one process"),
        (
            {"adapter": {"method": "ensemble"}, "parallel": "fsdp"},
            "resources.train.parallel",
            "`ensemble` trains in several processes by ddp only",
        ),
        ({"training": {"batch_size": 1}}, "training.batch_size", "cannot be split over 2 training processes"),
        (
            {"model": {"quantization": "4bit"}, "parallel": "fsdp"},
            "resources.train.parallel",
            "cannot split a base model in 4bit",
        ),
    ],
)
def test_what_does_not_go_together(sections, key, words):
    parallel = sections.get("parallel", "ddp")
    changed = {name: value for name, value in sections.items() if name != "parallel"}
    train = {"num_processes": 2, "parallel": parallel}
    with pytest.raises(ProblemsError) as error:
        make_config(**changed, resources={"train": train})
    assert f"`{key}`: " in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize("method", ["lora", "ensemble"])
def test_what_does(method):
    config = make_config(adapter={"method": method}, resources={"train": {"num_nodes": 2, "num_processes": 2}})
    assert config.resources.train.num_nodes == 2


@pytest.mark.parametrize(("limit", "fits"), [(3599, False), (3600, True)])
def test_the_pod_that_waits_for_a_job_must_outlive_it(limit, fits):
    resources = {"train": {"num_nodes": 2, "job_timeout_seconds": 3600}, "pod_timeout_seconds": limit}
    if fits:
        assert make_config(resources=resources).resources.pod_timeout_seconds == limit
        return
    with pytest.raises(ProblemsError, match="would end after 3599 s, and the training may take 3600 s"):
        make_config(resources=resources)


def test_one_process_is_never_refused():
    config = make_config(
        adapter={"method": "c_lora"}, training={"batch_size": 1}, resources={"train": {"parallel": "fsdp"}}
    )
    assert config.resources.train.parallel == "fsdp"


def test_the_setting_that_makes_them_several_is_named():
    for train in (
        {"num_nodes": 2},
        {"num_processes": 2},
        {"accelerator_type": "nvidia.com/gpu", "accelerator_count": 2},
    ):
        with pytest.raises(ProblemsError, match=f"resources.train.{list(train)[-1]}`"):
            make_config(adapter={"method": "laplace"}, resources={"train": train})
