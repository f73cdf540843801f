"""manifests/README.md as an operator would follow it: what needs no cluster is run, the rest is looked at."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from kubernetes.utils.quantity import parse_quantity

from activelora import __version__
from pipelines.cli.main import main
from tests.manifests.rendered import MANIFESTS, build, pods

ROOT = MANIFESTS.parent
PAGE = (MANIFESTS / "README.md").read_text()


def blocks(section: str) -> list[list[str]]:
    """Return the lines of each code block of a section, without comments."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [[line.split("  #")[0].rstrip() for line in block.splitlines() if line.strip()] for block in found]


def commands() -> list[str]:
    """Return each command of this project on the page, once."""
    found = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    return sorted({line.split("  #")[0].strip() for line in found if line.startswith("activelora ")})


def words(command: str) -> list[str]:
    """Return the arguments of a command; a campaign file of the reader's is kind's."""
    campaign = str(MANIFESTS / "overlays" / "kind" / "campaign.yaml")
    given = shlex.split(command)[1:]
    return [campaign if one.endswith("campaign.yaml") else one for one in given]


@pytest.fixture
def nowhere(monkeypatch):
    for name in ("KF_PIPELINES_ENDPOINT", "ACTIVELORA_NAMESPACE", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_kind_takes_ten_commands_that_are_there():
    install = blocks("kind")[0]
    assert len(install) == 10
    for line in install:
        assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0, line
    assert any(f"activelora-cpu:{__version__}" in line for line in install)
    scripts = re.findall(r"(?:^|\s)((?:images|manifests)/\S+\.sh)", "\n".join(install), re.MULTILINE)
    assert len(scripts) == 2
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_what_is_applied_builds_and_what_is_waited_for_is_applied():
    for folder in set(re.findall(r"-k (manifests/\S+)", PAGE)):
        assert len(build(ROOT / folder)) > 10_000
    names = re.findall(r"\b(?:svc|statefulset)/(seaweedfs|postgres)\b", PAGE)
    assert {"seaweedfs", "postgres"} <= set(names)
    text = build(MANIFESTS / "overlays" / "kind")
    assert all(f"name: {name}\n" in text for name in names)


DRY_RUNS = {tuple(words(one)): one for one in commands() if " --dry-run" in one}


@pytest.mark.parametrize("command", DRY_RUNS.values())
def test_each_dry_run_prints_what_would_be_sent(command, nowhere, capsys):
    assert main(words(command)) == 0
    out, err = capsys.readouterr()
    assert "POST http" in out or "Nothing would be sent" in err


def test_every_sending_command_is_shown_with_its_dry_run():
    sending = {"submit", "schedule", "unschedule", "upgrade"}
    assert {one.split()[1] for one in commands() if "--dry-run" in one} == sending


def test_every_other_command_has_the_options_that_it_is_shown_with(nowhere, capsys):
    for command in commands():
        arguments = words(command)
        number = 2 if arguments[0] in ("model", "label-studio") else 1
        assert main([*arguments[:number], "--help"]) == 0
        described = capsys.readouterr().out
        for option in (one for one in arguments if one.startswith("--")):
            assert option in described, command


def test_what_it_costs_when_idle_is_as_written():
    def asked(overlay: str) -> tuple[str, str]:
        found = [pod["containers"] for resource, pod in pods(overlay) if resource["kind"] != "Job"]
        requests = [one["resources"]["requests"] for containers in found for one in containers]
        cpu, memory = (sum(parse_quantity(one[name]) for one in requests) for name in ("cpu", "memory"))
        return f"{float(cpu):g}", f"{float(memory) / 2**30:g}"

    production, kind = asked("production"), asked("kind")
    text = " ".join(PAGE.split("\n## What it costs when idle\n")[1].split())
    assert f"ask for {production[0]} CPUs and {production[1]} GiB" in text
    assert f"on kind MLflow, Label Studio and development's Postgres and SeaweedFS ask for {kind[0]} CPUs and" in text
    assert f"and {kind[1]} GiB" in text


def test_files_that_the_page_names_are_there():
    for name in re.findall(r"`((?:overlays|components|base|runs)/[\w./-]+)`", PAGE):
        path = MANIFESTS / name
        assert path.exists() or name.endswith("images.env"), name
    assert Path(ROOT / "images" / "build.sh").exists()
