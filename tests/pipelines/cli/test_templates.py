"""Templates of an organisation: folders and packages, with parameters, defaults and a policy."""

import pytest
import yaml

from activelora.rules.file import load_config
from pipelines.cli.main import main
from pipelines.cli.template_parameters import filled
from tests.other_packages import declare_package, said_by

DECLARATION = """\
description: Routing of tickets.
parameters:
  teams: {kind: list, description: The teams., default: [billing, technical, account, shipping]}
  what: {description: What a row is.}
  rounds: {kind: integer, description: Rounds., default: 3, choices: [2, 3, 4]}
"""
CAMPAIGN = """\
# yaml-language-server: $schema=campaign.schema.json
extends: ../defaults.yaml
name: template
task:
  prompt: |
    ${what}: {text} costs USD ${rounds}
    Team ({labels}):
  labels: ${teams} # our teams
data: {pool: {path: tickets.csv}, columns: {label: team}, holdout_size: 4}
stopping:
  max_rounds: ${rounds}
"""
POLICY = "rules: [{setting: label_budget, at_most: 4, words: Ask your boss.}]\n"
ROWS = "text,team\n" + "".join(
    f"text {n},{('billing', 'technical', 'account', 'shipping')[n % 4]}\n" for n in range(20)
)


@pytest.fixture
def org(tmp_path, monkeypatch):
    """An organisation's checkout with one template."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "no-model"))
    folder = tmp_path / "org/tickets"
    folder.mkdir(parents=True)
    (tmp_path / "org/.git").mkdir()
    (tmp_path / "org/defaults.yaml").write_text("training: {epochs: 7}\nacquisition: {batch_size: 2}\n")
    for name, content in (("template.yaml", DECLARATION), ("campaign.yaml", CAMPAIGN), ("tickets.csv", ROWS)):
        (folder / name).write_text(content)
    return folder


def complaint(capfd, *arguments):
    assert main(["init", "mine", *map(str, arguments)]) == 1
    err = " ".join(capfd.readouterr().err.split())
    assert "Traceback" not in err
    return err


def test_a_folder_becomes_a_campaign_that_stands_by_itself(org, tmp_path):
    options = [
        "--param",
        "what=Bad: [x",
        "--param",
        "rounds=2",
        "--param",
        "teams=billing, technical, account, shipping",
    ]
    assert main(["init", "mine", "--template", "org/tickets", *options]) == 0
    (tmp_path / "org/defaults.yaml").unlink()
    config = load_config(tmp_path / "mine/campaign.yaml")
    assert config.name == "mine"
    assert config.task.prompt == "Bad: [x: {text} costs USD 2\nTeam ({labels}):\n"
    assert config.task.labels == ("billing", "technical", "account", "shipping")
    assert (config.training.epochs, config.label_budget) == (7, 4)
    assert "# our teams" in (tmp_path / "mine/campaign.yaml").read_text()
    assert not (tmp_path / "mine/template.yaml").exists()
    assert main(["check", "mine/campaign.yaml"]) == 0


@pytest.mark.parametrize("where", ["org", "org/tickets"])
def test_the_policy_beside_a_template_goes_with_it(org, tmp_path, capfd, where):
    (tmp_path / where / "policy.yaml").write_text(POLICY)
    assert main(["init", "mine", "--template", "org/tickets", "--param", "what=x"]) == 0
    assert main(["check", "mine/campaign.yaml"]) == 1
    assert "must be at most 4, and it is 6. Ask your boss. Policy: mine/policy.yaml." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "parameter `what` has to be given: What a row is. Add --param what=..."),
        (["what=x", "rounds=9"], "`rounds` must be 2 or 3 or 4 (given: 9). Rounds."),
        (["what=x", "rounds=two"], "`rounds` must be an integer (given: 'two')"),
        (["what=x", "rounds=true"], "`rounds` must be an integer (given: True)"),
        (["what=x", "team=a"], "Did you mean `teams`?"),
        (["what"], "is not of the form name=value"),
        (["what=a\nb: c"], "would change the form of the file"),
    ],
)
def test_parameters_that_cannot_be(org, tmp_path, capfd, options, words):
    given = [part for one in options for part in ("--param", one)]
    assert words in complaint(capfd, "--template", "org/tickets", *given)
    assert not (tmp_path / "mine").exists()


def test_templates_that_cannot_be(org, tmp_path, capfd):
    assert "Name one of its templates: org/tickets." in complaint(capfd, "--template", "org")
    assert "Did you mean `yes-no`?" in complaint(capfd, "--template", "yes-non")
    assert "the template has no parameters" in complaint(capfd, "--template", "yes-no", "--param", "a=b")
    (org / "template.yaml").write_text("parameters: {a: {kind: integer, description: x, default: z}}\n")
    assert "the default of parameter `a` must be an integer" in complaint(capfd, "--template", "org/tickets")
    (org / "template.yaml").write_text("parameters: {teams: {kind: list, description: x, default: [a, b]}}\n")
    assert "names the parameter `what`, which is not declared" in complaint(capfd, "--template", "org/tickets")
    (org / "template.yaml").unlink()
    (org / "link.txt").symlink_to("/etc/hostname")
    assert "is a link that leads out of the template" in complaint(capfd, "--template", "org/tickets")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["org"]


@pytest.mark.parametrize(
    "value", ["yes", "1", "a: b", "# c", "null", "it's", '"x"', "{y}", "ü", "- z", "~", " padded "]
)
def test_any_text_is_the_value_that_it_was(value):
    text = "a: ${x} # why\nb:\n  - ${x}\nc: |\n  say ${x} twice, ${x}\n"
    assert yaml.safe_load(filled(text, {"x": value}, "f")) == {
        "a": value,
        "b": [value],
        "c": f"say {value} twice, {value}\n",
    }


def test_templates_of_other_packages_have_names(org, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "acme.py").write_text(f"TICKETS = {str(org)!r}\nNONE = '/nowhere'\n")
    declare_package(site, "acme", {"templates": ["acme-tickets = acme:TICKETS", "acme-none = acme:NONE"]})
    program = (
        "import json, sys; from pipelines.cli.main import main\n"
        "codes = [main(['init', 'a', '--template', 'acme-tickets', '--param', 'what=x']),\n"
        "         main(['init', 'b', '--template', 'acme-none'])]\n"
        "print(json.dumps(codes))"
    )
    assert said_by(program, site) == [0, 1]
    assert load_config(tmp_path / "a/campaign.yaml").training.epochs == 7
