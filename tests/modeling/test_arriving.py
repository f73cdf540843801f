"""Model folders of a shared cache appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from activelora.modeling.arriving import arrive


def model(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    return folder


def test_a_folder_is_made_once(tmp_path):
    target = tmp_path / "models" / "one"
    assert arrive(target, lambda scratch: model(scratch / "new", "first"))
    assert not arrive(target, lambda scratch: model(scratch / "new", "second"))
    assert (target / "config.json").read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == ["one"]


def test_the_folder_of_a_faster_process_stays(tmp_path):
    target = tmp_path / "one"

    def make(scratch: Path) -> Path:
        model(target, "theirs")
        return model(scratch / "new", "ours")

    assert arrive(target, make)
    assert (target / "config.json").read_text() == "theirs"


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(tmp_path, error):
    def make(scratch: Path) -> Path:
        model(scratch / "new", "half")
        raise error

    with pytest.raises(type(error)):
        arrive(tmp_path / "one", make)
    assert not list(tmp_path.iterdir())


def test_what_stands_in_the_way_is_an_error(tmp_path):
    (tmp_path / "one" / "other").mkdir(parents=True)
    with pytest.raises(OSError, match="one"):
        arrive(tmp_path / "one", lambda scratch: model(scratch / "new", "ours"))
