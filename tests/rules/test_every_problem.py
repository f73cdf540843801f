"""All problems of a campaign file in one error, each with the file or the option that it came from."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from activelora.config.file import as_far_as_valid
from activelora.errors import ProblemsError
from activelora.rules.file import load_config, load_with_settings
from tests.other_packages import declare_package

ROOT = Path(__file__).parents[2]
GOOD = """\
name: mail
task: {prompt: "Mail: {text}", labels: [billing, support]}
data: {pool: {path: pool.jsonl}}
"""


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return a function that reads a file with settings, and returns what is wrong with it."""
    monkeypatch.chdir(tmp_path)

    def problems(more="", *settings, good=GOOD):
        Path("campaign.yaml").write_text(good + dedent(more))
        with pytest.raises(ProblemsError) as caught:
            load_with_settings(Path("campaign.yaml"), list(settings))
        return [str(problem) for problem in caught.value.problems]

    return problems


def beginnings(found):
    return [problem.partition(". ")[0] for problem in found]


def test_wrong_keys_values_and_names_of_all_sections_come_together(problems):
    wrong = """\
        seeed: 1
        training: {epoch: 2, batch_size: 0}
        acquisition: {strategy: starr, measure: nix, hybrid: {prefilter: 3}}
        adapter: {method: lra}
        labeling: {source: orcle}
    """
    found = problems(wrong, good=GOOD.replace("task: {", "task: {kind: clasification, "))
    assert beginnings(found)[:4] == [
        "campaign.yaml: `training.batch_size` must be greater than or equal to 1 (given: 0)",
        "campaign.yaml: `training.epoch` is not a setting",
        "campaign.yaml: `acquisition.hybrid.prefilter` must be text (given: 3)",
        "campaign.yaml: `seeed` is not a setting",
    ]
    assert beginnings(found)[4:] == [
        "campaign.yaml: `task.kind`: there is no `clasification`",
        "campaign.yaml: `adapter.method`: there is no `lra`",
        "campaign.yaml: `acquisition.strategy`: there is no `starr`",
        "campaign.yaml: `labeling.source`: there is no `orcle`",
        "campaign.yaml: `acquisition.measure`: there is no `nix`",
    ]


@pytest.mark.parametrize(
    "document",
    [
        "task: {kind: nix}",
        "name: A B\ntask: {kind: nix, prompt: 3, labels: [a, A]}\ndata: 4",
        "1: 2\ntask: {kind: nix, prompt: '', extract: '('}\ndata: {pool: {}, columns: [a]}",
        "task: {kind: nix}\nresources: {train: {tolerations: [{}]}, secret_env: {X_TOKEN: {}}}\nacquisition: 3",
    ],
)
def test_names_are_looked_up_whatever_else_is_wrong(problems, document):
    found = problems(document, good="")
    assert len(found) > 1
    assert "campaign.yaml: `task.kind`: there is no `nix`" in beginnings(found)


def test_all_problems_of_one_section_come_together(problems):
    found = problems("", good='name: a\ntask: {prompt: " ", labels: [a, A], extract: "("}\ndata: {pool: {path: p}}\n')
    assert [problem.split("`")[1] for problem in found] == ["task.prompt", "task.labels", "task.extract"]


def test_what_is_valid_of_a_document_stays_and_the_document_is_left_as_it_is():
    document = {"name": "B C", "task": {"kind": "yes_no"}, "seed": 5, "acquisition": {"batch_size": 0, "measure": "x"}}
    config = as_far_as_valid(document)
    assert (config.seed, config.task.kind, config.acquisition.measure) == (5, "yes_no", "x")
    assert config.acquisition.batch_size == 25
    assert document["acquisition"] == {"batch_size": 0, "measure": "x"}


def test_conflicts_come_with_wrong_names_if_they_do_not_depend_on_them(problems):
    wrong = """\
        labeling: {source: orcle, oracle_error_rate: 0.1, min_agreement: 0.5}
        adapter: {method: clora, c_lora: {preset: paper_code}}
        stopping: {label_budget: 3}
    """
    assert [problem.split("`")[1] for problem in problems(wrong)] == [
        "adapter.method",
        "labeling.source",
        "stopping.label_budget",
        "labeling.min_agreement",
        "labeling.min_agreement",
    ]


def test_conflicts_wait_for_right_values(problems):
    """The default of a wrong setting must not be judged."""
    (found,) = problems("labeling: {anotators_per_item: 2, min_agreement: 0.5, adjudicators: [eve]}\n")
    assert "`labeling.anotators_per_item` is not a setting. Did you mean `annotators_per_item`?" in found


def test_what_does_not_fit_the_task_comes_with_the_other_conflicts(problems):
    wrong = "acquisition: {strategy: badge}\nstopping: {label_budget: 3}\n"
    good = GOOD.replace("task: {", "task: {kind: multi_label, ").replace("Mail: {text}", "{text}: {label}?")
    found = problems(wrong, good=good)
    assert [problem.split("`")[1] for problem in found] == ["acquisition.strategy", "stopping.label_budget"]


def test_each_problem_names_the_file_or_the_option_that_it_came_from(problems):
    settings = ["adapter.method=lra", "training={epoch: 1}", "stopping.label_budget=3", "stopping.=1", "x"]
    found = problems("acquisition: {strategy: starr}\n", *settings)
    assert beginnings(found) == [
        "--set x: is not of the form key=value",
        "--set stopping.=...: is not a dotted key",
        "--set training=...: `training.epoch` is not a setting",
        "--set adapter.method=...: `adapter.method`: there is no `lra`",
        "campaign.yaml: `acquisition.strategy`: there is no `starr`",
    ]
    (found,) = problems("", "stopping.label_budget=3")
    assert found.startswith("--set stopping.label_budget=...: `stopping.label_budget`: 3 labels are fewer than one")


def test_a_section_that_the_command_line_makes_is_not_the_files(problems):
    assert beginnings(problems("", "stoping.max_rounds=3")) == [
        "--set stoping.max_rounds=...: `stoping` is not a setting"
    ]
    assert beginnings(problems("stopping: {label_budget: 3}", "stopping.max_rounds=3")) == [
        "campaign.yaml: `stopping.label_budget`: 3 labels are fewer than one batch of acquisition.batch_size 25"
    ]


def test_an_old_key_of_the_command_line_is_known_by_its_key_of_today(problems):
    (found,) = problems("", "acquisition.prefilter=nix", "acquisition.strategy=hybrid")
    assert found.startswith("--set acquisition.prefilter=...: `acquisition.hybrid.prefilter`: there is no `nix`.")


@pytest.mark.parametrize(
    ("task", "among", "not_among"),
    [
        ("labels: [a, b]", "vote_entropy.", "token_entropy"),
        ("kind: generation", "token_entropy.", "vote_entropy"),
        ("kind: nix", "token_entropy, variance, variation_ratio, vote_entropy.", "nothing"),
    ],
)
def test_measures_are_offered_once_and_for_the_kind_of_task(problems, task, among, not_among):
    found = problems(
        "acquisition: {strategy: uncertainty, measure: nix}\n",
        good=GOOD.replace("labels:", "#")
        .replace("task: {", f"task: {{{task}, ")
        .replace("#", "answer_words: {}, max_prompt_tokens: 99} #"),
    )
    (offered,) = [problem.partition("Known: ")[2] for problem in found if "`acquisition.measure`" in problem]
    names = offered.removesuffix(".").split(", ")
    assert offered.endswith(among)
    assert not_among not in names
    assert len(names) == len({*names})


@pytest.mark.parametrize("name", ["regret", "diversity", "core", "most_uncertain", "uncertainly_chosen"])
def test_nothing_is_suggested_that_is_not_close(problems, name):
    (found,) = problems(f"acquisition: {{strategy: {name}}}\n")
    assert "Did you mean" not in found
    assert "Known: badge, " in found


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Entropy", "entropy"),
        ("bold", "bald"),
        ("badeg", "badge"),
        ("coreset", "core_set"),
        ("typi_clust", "typiclust"),
    ],
)
def test_a_typing_mistake_is_told_what_was_meant(problems, name, meant):
    (found,) = problems(f"acquisition: {{strategy: {name}}}\n")
    assert f"Did you mean `{meant}`?" in found


PACKAGE = """
    from activelora.acquisition.strategy import Pick, Strategy
    from activelora.config import Section
    from activelora.config.conflict import Conflict

    class Settings(Section):
        power: int = 1
        "A power."
        by: str = "margin"
        "A measure."

    def conflicts(config, settings):
        if settings.power == 1:
            yield Conflict("acquisition.novel.power", "1 is of no use", "Raise it.")

    NOVEL = Strategy("novel", "first", lambda pool, num, context: [], settings=Settings, measure_settings=("by",),
                     conflicts=conflicts)
    KIND = "no kind"
"""
ASKED = """
    import sys
    from pathlib import Path
    from activelora.errors import ProblemsError
    from activelora.rules.file import load_with_settings
    for line in sys.stdin.read().splitlines():
        try:
            load_with_settings(Path("campaign.yaml"), line.split(" "))
        except ProblemsError as error:
            print(line, *error.problems, sep="\\n", end="\\n\\n")
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Return what is said where another package brings a strategy with settings, and a kind that is none."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "al_novel.py").write_text(dedent(PACKAGE))
    declare_package(folder, "al_novel", {"strategies": ["novel = al_novel:NOVEL"], "kinds": ["odd = al_novel:KIND"]})
    (folder / "campaign.yaml").write_text(GOOD)
    asked = [
        "acquisition=3",
        "acquisition.novel=3",
        "acquisition.strategy=novel acquisition.novel.power=many acquisition.novel.by=nix training.epoch=1",
        "acquisition.strategy=novel acquisition.novel.power=many acquisition.novel.by=nix",
        "acquisition.strategy=novell acquisition.novel.by=margin",
        "task.kind=odd",
    ]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(folder)!r}]\n{dedent(ASKED)}"],
        cwd=folder, input="\n".join(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    blocks = [block.splitlines() for block in done.stdout.strip().split("\n\n")]
    assert [lines[0] for lines in blocks] == asked
    return {lines[0]: lines[1:] for lines in blocks}


def test_what_a_section_holds_includes_the_sections_of_other_packages(said):
    (found,) = said["acquisition=3"]
    assert found.startswith("--set acquisition=...: `acquisition` must be a section of settings (given: 3). It holds: ")
    assert found.endswith(", rare_class, novel.")
    assert said["acquisition.novel=3"] == [
        "--set acquisition.novel=...: `acquisition.novel` must be a section of settings (given: 3). "
        "It holds: power, by."
    ]


def test_settings_of_other_packages_come_with_the_rest(said):
    wrong = "acquisition.strategy=novel acquisition.novel.power=many acquisition.novel.by=nix"
    own = [
        "--set acquisition.novel.power=...: `acquisition.novel.power` must be a valid integer (given: 'many')",
        "--set acquisition.novel.by=...: `acquisition.novel.by`: there is no `nix`",
    ]
    assert [one.partition(", unable")[0] for one in beginnings(said[wrong])] == own
    epoch = "--set training.epoch=...: `training.epoch` is not a setting"
    assert beginnings(said[f"{wrong} training.epoch=1"]) == [epoch, *own]


def test_names_of_other_packages_are_suggested(said):
    (found,) = said["acquisition.strategy=novell acquisition.novel.by=margin"]
    assert "there is no `novell`. Did you mean `novel`?" in found


def test_an_object_that_is_no_part_is_told_with_its_entry_point(said):
    assert said["task.kind=odd"] == [
        "entry point activelora.kinds: odd = al_novel:KIND (al_novel 1.0): `odd` is not what task.kind needs, but str. "
        "Fix or remove the package that brings it."
    ]


def test_overrides_in_python_are_named_too(tmp_path):
    (tmp_path / "campaign.yaml").write_text(GOOD)
    with pytest.raises(ProblemsError, match=r"^--set adapter.method=...: `adapter.method`: there is no `lra`"):
        load_config(tmp_path / "campaign.yaml", {"adapter.method": "lra"})
