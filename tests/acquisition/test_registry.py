"""Strategies by name, and those that other packages bring."""

import re
import subprocess
import sys
from textwrap import dedent

import pytest

from activelora.acquisition.registry import STRATEGIES, get_strategy
from activelora.acquisition.strategy import Strategy
from activelora.config.acquisition import HybridConfig
from activelora.errors import ConfigError
from tests.other_packages import declare_package

NAMES = {
    "random",
    "stratified_random",
    "least_confidence",
    "margin",
    "entropy",
    "expected_entropy",
    "bald",
    "variation_ratio",
    "vote_entropy",
    "consensus_kl",
    "batch_bald",
    "epig",
    "core_set",
    "badge",
    "d_optimal",
    "density_weighted",
    "hybrid",
    "uncertainty",
    "star",
    "variance",
    "expected_gradient_length",
    "cal",
    "discriminative",
    "cluster_margin",
    "typiclust",
    "probcover",
    "rare_class",
}


def test_built_in_names():
    assert set(STRATEGIES) >= NAMES
    for name in NAMES:
        assert get_strategy(name).name == name
        assert get_strategy(name).summary


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ConfigError, match=r"acquisition.strategy: there is no `Entrpy`.*Did you mean `entropy`\?"):
        get_strategy("Entrpy")
    with pytest.raises(ConfigError, match=r"there is no `zzz`. Known: .*bald, .*entropy, "):
        get_strategy("zzz")


def install(folder, body, *points):
    """Make an importable package with entry points, as an installed distribution has them."""
    (folder / "other_package.py").write_text(dedent(body))
    lines = [f"{name} = other_package:{target}" for name, target in points]
    declare_package(folder, "other-package", {"strategies": lines})


def ask(folder, code):
    """Run code in a process that sees the package."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + dedent(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_packages_strategy_is_found_by_name(tmp_path):
    body = """
        from activelora.acquisition.strategy import Pick, Strategy
        FIRST = Strategy("first", "the first items", lambda pool, num, context: [Pick(0, 1.0, "it is first")])
        BAD = "no strategy"
    """
    install(tmp_path, body, ("first", "FIRST"), ("bad", "BAD"), ("gone", "GONE"), ("margin", "FIRST"))
    code = """
        from activelora.acquisition.registry import STRATEGIES, get_strategy
        print("first" in list(STRATEGIES), get_strategy("first").summary, "other_package" in sys.modules)
        for name in ("bad", "gone", "margin"):
            try:
                get_strategy(name)
            except Exception as error:
                print(type(error).__name__, error)
    """
    lines = ask(tmp_path, code).splitlines()
    assert lines[0] == "True the first items True"
    assert "ConfigError" in lines[1]
    assert "`bad` is not what acquisition.strategy needs, but str" in lines[1]
    assert "`gone` cannot be loaded: AttributeError" in lines[2]
    assert "`margin` is brought by activelora itself and by other_package:FIRST" in lines[3]


SETTINGS = """
    from activelora.acquisition.strategy import Pick, Strategy
    from activelora.config import Section

    class Settings(Section):
        first: int = 1
        by: str = "margin"

    def select(pool, num, context):
        first = context.settings.first
        return [Pick(index, 1.0, f"from {first}") for index in range(first, first + num)]

    OWN = Strategy("own", "from the first on", select, settings=Settings, measure_settings=("by",))
    ALIAS = Strategy("another name", "as own", select, settings=Settings)
    TEXTS = Strategy("texts", "for texts only", select, forms=frozenset({"text"}))
    PLAIN = Strategy("plain", "as own, without settings", select)
"""


def test_another_packages_strategy_has_settings_of_its_own_also_where_a_prefilter_hands_over_to_it(tmp_path):
    install(tmp_path, SETTINGS, ("own", "OWN"), ("alias", "ALIAS"), ("plain", "PLAIN"), ("texts", "TEXTS"))
    code = """
        from activelora.acquisition.registry import get_strategy, measures_read
        from activelora.rules.file import checked_config
        from tests.acquisition.conftest import context_of, drawn_log_probs, pool_of
        base = {"name": "a", "task": {"prompt": "{text}", "labels": ["x", "y"]}, "data": {"pool": {"path": "p"}}}

        def read(**acquisition):
            return checked_config({**base, "acquisition": acquisition}, where="campaign.yaml").acquisition

        def refused(**acquisition):
            try:
                read(**acquisition)
            except Exception as error:
                print(error)

        print(read(strategy="own").model_dump()["own"], read(strategy="own", own={"first": 3}).model_dump()["own"])
        print("own" in read(strategy="star").model_dump(), read(strategy="star", own={"first": 2}).model_extra)
        hybrid = read(strategy="hybrid", hybrid={"then": "own", "prefilter_factor": 3}, own={"first": 2})
        print(hybrid.model_dump()["own"], sorted(measures_read(hybrid)))
        context = context_of("hybrid", then="own", prefilter_factor=3, seed=1)
        print([pick.reason for pick in get_strategy("hybrid").select(pool_of(drawn_log_probs(0)), 2, context)])
        refused(strategy="hybrid", hybrid={"then": "own"}, own={"by": "entropi"})
        refused(strategy="own", own={"first": "one"})
        refused(strategy="star", own={"second": 1}, plain={}, alias={}, onw={}, none=3)
        refused(strategy="texts")
    """
    lines = ask(tmp_path, code).splitlines()
    assert lines[0] == "{'first': 1, 'by': 'margin'} {'first': 3, 'by': 'margin'}"
    assert lines[1] == "False {'own': {'first': 2, 'by': 'margin'}}"
    assert lines[2] == "{'first': 2, 'by': 'margin'} ['margin', 'predictive_entropy']"
    assert lines[3].count("from 1; among the top 6 by predictive_entropy") == 2
    assert lines[4].startswith("campaign.yaml: `acquisition.own.by`: there is no `entropi`.")
    assert lines[5].startswith("campaign.yaml: `acquisition.own.first` must be a valid integer")
    assert lines[6].startswith("campaign.yaml: `acquisition.none` is not a setting. Known here: batch_bald,")
    assert "`acquisition.own.second` is not a setting. Did you mean" in lines[7] or "Known here: by, first" in lines[7]
    assert "`acquisition.plain` is not a setting: `plain` has none. Leave it out." in lines[8]
    assert "`alias` calls itself `another name`. In the package that brings it" in lines[9]
    assert "`acquisition.onw` is not a setting. Did you mean `own`?" in lines[10]
    assert (
        "`texts` is for answers of the form text, and classification has choice: it serves generation. Choose"
        in lines[11]
    )


def test_a_newer_package_with_one_more_setting_goes_on_with_the_same_file(tmp_path):
    body = """
        import os
        from pydantic import create_model
        from activelora.acquisition.strategy import Pick, Strategy
        from activelora.config import Section
        fields = {"width": (int, 1), **({"depth": (int, 2)} if os.environ["PACKAGE_VERSION"] == "2" else {})}
        Own = create_model("Own", __base__=Section, **fields)
        OWN = Strategy("own", "the first items", lambda pool, num, context: [], settings=Own)
    """
    install(tmp_path, body, ("own", "OWN"))
    code = """
        from activelora.rules.file import checked_config
        from activelora.rules.opening import create_campaign
        base = {"name": "a", "task": {"prompt": "{text}", "labels": ["x", "y"]}, "data": {"pool": {"path": "p"}}}
        for own in ({"width": 3}, {"width": 3, "depth": 5}, {"width": 4}):
            try:
                document = {**base, "acquisition": {"strategy": "own", "own": own}}
                create_campaign(uri, checked_config(document, where="f"))
                print("accepted")
            except Exception as error:
                print(error)
    """

    def tried(version):
        where = f"uri = {str(tmp_path / 'campaign')!r}"
        return ask(tmp_path, f"import os; os.environ['PACKAGE_VERSION'] = '{version}'; {where}\n{dedent(code)}")

    assert tried(1).splitlines()[0] == "accepted"
    same, deeper, wider = tried(2).splitlines()
    assert same == "accepted"
    assert "a campaign with other settings is there already" in deeper
    assert "acquisition.own.depth" in deeper
    assert "acquisition.own.width" in wider


def test_what_cannot_be_had_does_not_hide_the_rest(tmp_path):
    install(tmp_path, SETTINGS, ("own", "OWN"), ("gone", "GONE"), ("margin", "OWN"))
    code = """
        from activelora.acquisition.registry import STRATEGIES
        parts, problems = STRATEGIES.loadable()
        print(len(parts), "own" in parts, "margin" in parts, [str(problem).partition(" ")[0] for problem in problems])
    """
    assert ask(tmp_path, code).strip() == f"{len(NAMES)} True False ['acquisition.strategy:', 'entry']"


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"settings": dict}, "settings of `own` must be a subclass of activelora.config.Section, not <class 'dict'>"),
        ({"measure_settings": ("by",)}, "`own` has no setting `by` of its own"),
        ({"settings": HybridConfig, "hands_over": "to"}, "`own` has no setting `to` of its own"),
    ],
)
def test_a_strategy_that_declares_what_it_has_not_is_refused_at_once(declared, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        Strategy("own", "own", lambda pool, num, context: [], **declared)


def test_another_package_is_not_imported_before_it_is_asked_for(tmp_path):
    install(tmp_path, "raise RuntimeError('broken')", ("broken", "X"))
    code = """
        from activelora.acquisition.registry import STRATEGIES, get_strategy
        print(len(STRATEGIES), get_strategy("star").name)
        try:
            get_strategy("broken")
        except Exception as error:
            print(error)
    """
    lines = ask(tmp_path, code).splitlines()
    assert lines[0] == f"{len(NAMES) + 1} star"
    assert "`broken` cannot be loaded: RuntimeError: broken" in lines[1]


def test_strategies_load_without_torch(tmp_path):
    code = """
        import activelora.acquisition.registry
        print(sorted({"torch", "transformers", "scipy", "sklearn", "matplotlib"} & set(sys.modules)))
    """
    assert ask(tmp_path, code).strip() == "[]"
