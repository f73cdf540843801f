"""Campaign files that extend others."""

import pytest

from activelora.campaign.campaign import Campaign
from activelora.errors import ProblemsError
from activelora.rules.file import load_config

OWN = """\
name: mail
extends: ../defaults.yaml
task: {prompt: "Mail: {text}", labels: [billing, support]}
data: {pool: {path: pool.jsonl}}
training: {epochs: 9}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return write


def complaints(path, overrides=None):
    with pytest.raises(ProblemsError) as caught:
        load_config(path, overrides)
    return [str(one) for one in caught.value.problems]


def test_sections_are_joined_and_values_replaced(write):
    write("defaults.yaml", "training: {epochs: 2, batch_size: 3}\ntask: {labels: [a, b, c]}\nseed: 5\n")
    config = load_config(write("one/campaign.yaml", OWN))
    assert (config.training.epochs, config.training.batch_size, config.seed) == (9, 3, 5)
    assert config.task.labels == ("billing", "support")


def test_later_files_and_the_command_line_win(write):
    write("a.yaml", "extends: sub/c.yaml\nseed: 1\ntraining: {epochs: 1}\n")
    write("b.yaml", "seed: 2\n")
    write("sub/c.yaml", "training: {epochs: 4, batch_size: 7}\nstopping: {max_rounds: 6}\n")
    path = write("one/campaign.yaml", OWN.replace("../defaults.yaml", "[../a.yaml, ../b.yaml]").replace("9", "8"))
    config = load_config(path, {"stopping.max_rounds": "3"})
    assert (config.seed, config.training.epochs, config.training.batch_size) == (2, 8, 7)
    assert config.stopping.max_rounds == 3


def test_a_campaign_freezes_the_whole_configuration(write, tmp_path):
    defaults = write("defaults.yaml", "training: {batch_size: 3}\n")
    path = write("one/campaign.yaml", OWN)
    campaign = Campaign.create(str(tmp_path / "campaign"), load_config(path))
    defaults.write_text("training: {batch_size: 4}\n")
    assert b"extends" not in (tmp_path / "campaign/campaign.json").read_bytes()
    assert Campaign.open(campaign.store.uri).config.training.batch_size == 3
    flat = write("one/flat.yaml", OWN.replace("extends: ../defaults.yaml", "").replace("9}", "9, batch_size: 3}"))
    assert Campaign.open(campaign.store.uri).config == load_config(flat)


def test_a_problem_names_the_file_that_it_stands_in(write):
    write("defaults.yaml", "training: {epochs: 0, batch_sise: 3}\nacquisition: {strategy: starr}\n")
    path = write("one/campaign.yaml", OWN.replace("training: {epochs: 9}", "stopping: {max_rounds: 0}"))
    said = complaints(path)
    defaults = path.parent / "../defaults.yaml"
    assert f"{path}: `stopping.max_rounds` must be greater than or equal to 1 (given: 0)" in said
    assert sum(one.startswith(f"{defaults}: `training.") for one in said) == 2
    assert any(one.startswith(f"{defaults}: `acquisition.strategy`: there is no `starr`") for one in said)
    said = complaints(path, {"training.epochs": "-1"})
    assert any(one.startswith("--set training.epochs=...: `training.epochs`") for one in said)


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        ("nowhere.yaml", "`extends: nowhere.yaml` is not there"),
        ("../one", "`extends: ../one` is a folder"),
        ("/etc/passwd", "`extends: /etc/passwd` is no relative path"),
        ("~/x.yaml", "`extends: ~/x.yaml` is no relative path"),
        ("s3://bucket/x.yaml", "`extends: s3://bucket/x.yaml` is no relative path"),
        ("../../outside.yaml", "`extends: ../../outside.yaml` leads out of"),
        ("link.yaml", "`extends: link.yaml` leads out of"),
        ("campaign.yaml", "`extends` goes in a circle: campaign.yaml → campaign.yaml"),
        ("round.yaml", "`extends` goes in a circle: campaign.yaml → round.yaml → campaign.yaml"),
        ("{a: b}", "`extends` must be a path or a list of paths"),
        ("[1]", "`extends` must be a path or a list of paths"),
        ("broken.yaml", "broken.yaml:1:5: is not a valid campaign file"),
    ],
)
def test_what_cannot_be_extended(write, tmp_path, extends, words):
    write("outside.yaml", "seed: 1\n")
    path = write("repo/one/campaign.yaml", OWN.replace("../defaults.yaml", extends))
    write("repo/one/round.yaml", "extends: campaign.yaml\n")
    write("repo/one/broken.yaml", "a: [")
    (path.parent / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    said = complaints(path)
    assert len(said) == 1
    assert words in said[0]


def test_a_checkout_is_the_widest_that_files_extend_in(write, tmp_path):
    write("defaults.yaml", "seed: 4\n")
    path = write("teams/mail/campaign.yaml", OWN.replace("../defaults.yaml", "../../defaults.yaml"))
    assert "leads out of" in complaints(path)[0]
    (tmp_path / ".git").mkdir()
    assert load_config(path).seed == 4
