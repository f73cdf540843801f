"""Strategies by name, and those that other packages bring."""

import subprocess
import sys
from textwrap import dedent

import pytest

from activelora.acquisition.registry import STRATEGIES, get_strategy
from activelora.errors import ConfigError

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
    "core_set",
    "badge",
    "density_weighted",
    "hybrid",
    "star",
    "variance",
    "expected_gradient_length",
    "cal",
    "discriminative",
    "cluster_margin",
    "typiclust",
    "probcover",
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
    info = folder / "other_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    lines = [f"{name} = other_package:{target}" for name, target in points]
    (info / "entry_points.txt").write_text("\n".join(["[activelora.strategies]", *lines]))


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
