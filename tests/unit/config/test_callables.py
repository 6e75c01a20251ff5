"""A sweep file names functions only beside itself or in packages it trusts; nothing is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

SPACE = "space: {x: [1, 2]}\n"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    file = tmp_path / "train.py"
    file.write_text("raise RuntimeError('imported')\ndef objective(ctx):\n    return 1\n")
    return file


def test_a_function_beside_the_sweep_file_is_found_without_importing_it(sweep, train) -> None:
    config = sweep.load(SPACE + "trainer: train:objective\n")
    assert config.trainer.kind == "function"
    assert config.trainer.pythonpath == (str(train.parent.resolve()),)
    assert (config.objectives, config.directions) == (("value",), ("maximize",))


def test_a_package_is_found_too(sweep, tmp_path) -> None:
    (tmp_path / "pkg" / "sub").mkdir(parents=True)
    (tmp_path / "pkg" / "sub" / "__init__.py").write_text("from .x import run\n")
    assert sweep.load(SPACE + "trainer: pkg.sub:run\n").trainer.name == "pkg.sub:run"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("os:system", "'os' is a module of Python's own"),
        ("subprocess:run", "module of Python's own"),
        ("yaml:load", "trust: [yaml]"),
        ("train:objectiv", "did you mean 'objective'?"),
        ("train", "no trainer"),
        ("../x:f", "package.module:function"),
        ("train:", "package.module:function"),
        ("broken:f", "line 1 is not Python"),
    ],
)
def test_other_callables_are_refused(sweep, train, name: str, words: str) -> None:
    train.with_name("broken.py").write_text("def (\n")
    assert words in sweep.problem(SPACE + f"trainer: {name!r}\n")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("f = 3\n", "names 'f', which is a plain value in own.py, not a function"),
        ("f: dict = {}\n", "a plain value"),
        ("async def f(ctx): ...\n", "an async function"),
    ],
)
def test_what_certainly_is_no_function_is_refused(sweep, tmp_path, source, words) -> None:
    (tmp_path / "own.py").write_text(source)
    assert words in sweep.problem(SPACE + "trainer: own:f\n")


@pytest.mark.parametrize(
    "source",
    [
        "f = make()\n",
        "f = None\ndef f(ctx): ...\n",
        "f = 3\ndef set():\n    global f\n    f = print\n",
        "class f: ...\n",
        "f = lambda ctx: 1\n",
    ],
)
def test_what_may_be_a_function_is_taken(sweep, tmp_path, source) -> None:
    (tmp_path / "own.py").write_text(source)
    assert sweep.load(SPACE + "trainer: own:f\n").trainer.name == "own:f"


def test_a_link_out_of_the_folder_is_not_followed(sweep, tmp_path, train) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "evil.py").symlink_to(train)
    text = SPACE + "trainer: evil:objective\npythonpath: [home]\n"
    assert "no module 'evil'" in sweep.problem(text)


def test_a_trusted_package_may_live_elsewhere(sweep) -> None:
    text = SPACE + "trainer: company.models:train\n"
    assert "trust: [company]" in sweep.problem(text)
    assert sweep.load(text + "trust: company\n").trust == ("company",)
    assert "Python's own" in sweep.problem(SPACE + "trainer: os:system\ntrust: [os]\n")
