"""A SQLite file named by a relative path stays the same file wherever the run is resumed from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpocli.errors import StateError
from hpocli.resolve import dump_config, load_resolved
from hpocli.study.storage import open_storage

D = "dataset: digits\n"


def test_a_path_in_the_file_starts_from_the_file(sweep, tmp_path: Path) -> None:
    text = D + "storage: sqlite:///x.db\nwarm_start: [sqlite:///old.db, earlier]"
    config = sweep.load(text)
    assert config.storage == f"sqlite:///{tmp_path}/x.db"
    assert config.warm_start == (f"sqlite:///{tmp_path}/old.db", "earlier")


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite+pysqlite:///x.db?timeout=3"])
def test_a_path_in_an_argument_or_a_variable_starts_from_the_working_folder(
    sweep, tmp_path: Path, url: str
) -> None:
    anchored = url.replace("x.db", f"{tmp_path}/elsewhere/x.db")
    assert sweep.load(D, f"storage={url}").storage == anchored
    assert sweep.load(D, environ={"HPO_STORAGE": url}).storage == anchored


@pytest.mark.parametrize(
    "url",
    ["sqlite:////srv/x.db", "sqlite:///:memory:", "sqlite://", "postgresql://host/db"],
)
def test_what_is_no_relative_path_stays(sweep, url: str) -> None:
    assert sweep.load(D + f"storage: '{url}'").storage == url


def test_the_written_sweep_names_the_same_file_from_anywhere(
    sweep, catalog, tmp_path: Path, monkeypatch
) -> None:
    config = sweep.load(D + "storage: sqlite:///x.db")
    copy = tmp_path / "runs" / "one" / "sweep.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_text(dump_config(config))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_resolved(copy, catalog) == config


@pytest.mark.parametrize("in_database", [True, False])
def test_a_missing_study_file_is_named_and_not_created(tmp_path: Path, in_database: bool) -> None:
    file = tmp_path / "study"
    with pytest.raises(StateError, match=f"{file} is missing"):
        open_storage(f"sqlite:///{file}" if in_database else None, file, create=False)
    assert list(tmp_path.iterdir()) == []
