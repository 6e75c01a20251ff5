"""Python objectives: found, called in either style, and their endings classified."""

from __future__ import annotations

import pytest

from hpo_handler.context import TrialContext
from hpo_handler.contract import JobReport, Trainer
from hpo_handler.functions import calling_style

pytestmark = pytest.mark.timeout(60)


def failure(result):
    assert result.state == "failed"
    return result.error


def test_an_error_is_told_in_one_line_with_the_traceback_but_no_locals(shared):
    key = shared.function("def objective(ctx):\n secret = 'hush'\n raise ValueError('bad\\nthing')")
    error = failure(shared.until_result()[0])
    place = f"user_code_{key.split('/')[1]}.py:3 in objective"
    assert error.failure == "user"
    assert error.message == f"ValueError: bad thing ({place})"
    assert "line 3, in objective" in error.detail
    assert "hpo_handler" not in error.detail
    assert "hush" not in error.detail.replace("secret = 'hush'", "")


def test_the_place_is_the_innermost_line_of_the_users_files_not_of_libraries(shared):
    (shared.folder / "my_loader.py").write_text("import json\ndef load(): return json.loads('{')")
    error = failure(shared.run("import my_loader\ndef objective(ctx): my_loader.load()"))
    assert error.message.startswith("JSONDecodeError: ")
    assert error.message.endswith(" (my_loader.py:2 in load)")


def test_the_log_has_the_whole_traceback_even_where_stderr_was_replaced(child):
    child.run(
        """
        import io, os, sys
        def deep(ctx, left):
            hushed = os.environ["HUSHED"]
            if left:
                return deep(ctx, left - 1) or other(ctx, left)
            raise KeyError("nope")
        def other(ctx, left): ...
        def objective(ctx):
            sys.stderr = io.StringIO()
            os.environ["HUSHED"] = "the value"
            try:
                deep(ctx, 2)
            except KeyError as error:
                raise RuntimeError("lost " * 2000) from error
        """
    )
    child.close()
    log = child.log.decode()
    assert log.startswith("Traceback (most recent call last):\n")
    assert log.count(", in deep\n") == 3
    assert "KeyError: 'nope'\n" in log
    assert log.endswith("RuntimeError: " + "lost " * 2000 + "\n")
    assert "hpo_handler" not in log
    assert "the value" not in log.replace('= "the value"', "")


def test_the_log_shows_the_line_that_cannot_be_parsed_or_imported(child):
    child.run("def objective(ctx): return 1 +")
    child.run("import not_installed\ndef objective(ctx): return 1")
    child.close()
    log = child.log.decode()
    assert "def objective(ctx): return 1 +\n" in log
    assert "SyntaxError" in log
    assert 'user_code_1.py", line 1, in <module>\n    import not_installed\n' in log
    assert "importlib" not in log


@pytest.mark.parametrize(
    "source",
    [
        "def objective(ctx): return None",
        "def objective(ctx): ctx.report(0, float('nan'))",
        "def objective(trial): trial.suggest_int('a', 1, 2)",
        "import optuna\ndef objective(trial): raise optuna.TrialPruned",
        "NUMBER = 1",
    ],
)
def test_what_we_can_explain_in_one_sentence_has_no_traceback_or_place(child, source):
    result = child.run(source)
    child.close()
    assert "Traceback" not in child.log.decode()
    assert result.error is None or ".py" not in result.error.message


def test_the_fingerprint_is_the_type_and_line_of_the_users_code_not_the_text(shared):
    source = """
        import json
        def objective(ctx):
            if ctx.params["way"] == "a":
                raise ValueError(ctx.seed)
            if ctx.params["way"] == "b":
                raise ValueError(ctx.seed)
            json.loads(str(ctx.seed) + "{")
        """
    (shared.folder / "same.py").write_text("\n".join(x[8:] for x in source.splitlines()))
    trainer = Trainer(kind="function", name="same:objective", pythonpath=(str(shared.folder),))

    def fingerprint(way: str, seed: int) -> str:
        shared.submit(trainer, params={"way": way}, seed=seed)
        return failure(shared.until_result()[0]).fingerprint

    assert fingerprint("a", 1) == fingerprint("a", 2)
    assert fingerprint("c", 1) == fingerprint("c", 2)
    assert len({fingerprint(way, 1) for way in "abc"}) == 3


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("raise MemoryError", "oom", "MemoryError"),
        (
            "class ResourceExhaustedError(Exception): pass\n raise ResourceExhaustedError('gpu')",
            "oom",
            "gpu",
        ),
        ("return float('nan')", "diverged", "'value' is nan"),
        ("return {'value': float('inf')}", "diverged", "inf"),
        ("return 10**400", "diverged", "inf"),
        ("ctx.report(0, float('nan'))", "diverged", "step 0"),
        ("raise SystemExit(3)", "user", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "user", "KeyboardInterrupt"),
        ("return None", "user", "returned None; return one number, or a dict with 'value'"),
        ("return {'loss': 1}", "user", "no 'value'"),
        ("return (1, 2)", "user", "1 more than"),
        ("return []", "user", "nothing for 'value'"),
        ("return object()", "user", "'value' must be a number, not object"),
        ("return '0.5'", "user", "'value' must be a number, not str"),
        ("return {'value': 1, 'note': 'hi'}", "user", "'note' must be a number"),
        ("ctx.report(1, 1); ctx.report(1, 2)", "user", "steps must grow"),
        ("ctx.report(2, 1); ctx.report(1, 2)", "user", "after step 2"),
        ("ctx.report(-1, 1)", "user", "step must be in"),
        ("ctx.report(0.5, 1)", "user", "step must be an integer, not float"),
        ("ctx.report(0, 'high')", "user", "value must be a number, not str"),
        ("raise type('E', (Exception,), {'__str__': lambda s: 1/0})", "user", "cannot be shown"),
        ("raise ValueError('\\udc80' + 'x' * 10**6)", "user", "ValueError"),
    ],
)
def test_bad_endings_are_classified_and_explained(shared, body, kind, words):
    error = failure(shared.run(f"def objective(ctx):\n {body}"))
    assert (error.failure, words in error.message) == (kind, True), error
    assert len(error.message) <= 500


def test_divergence_stays_divergence_even_where_the_trainer_catches_it(shared):
    error = failure(
        shared.run(
            """
            def objective(ctx):
                try:
                    ctx.report(0, float("nan"))
                except Exception:
                    return 0.5
            """
        )
    )
    assert error.failure == "diverged"


@pytest.mark.parametrize(
    ("returned", "objectives", "metrics"),
    [
        ("0.5", ("a",), {"a": 0.5}),
        ("numpy.float32(0.5)", ("a",), {"a": 0.5}),
        ("numpy.array(0.5)", ("a",), {"a": 0.5}),
        ("(1, numpy.int64(2))", ("a", "b"), {"a": 1, "b": 2}),
        ("numpy.array([1.0, 2.0])", ("a", "b"), {"a": 1, "b": 2}),
        ("{'b': 2, 'a': 1, 'c': 3}", ("a", "b"), {"a": 1, "b": 2, "c": 3}),
        ("{'a': 1, 'c': float('nan')}", ("a",), {"a": 1}),
    ],
)
def test_numbers_dicts_and_sequences_are_objectives(shared, returned, objectives, metrics):
    source = f"import numpy\ndef objective(ctx): return {returned}"
    assert shared.run(source, objectives=objectives).metrics == metrics


def test_a_trainer_that_ends_early_by_itself_is_pruned(shared):
    source = "import optuna\ndef objective(trial): raise optuna.TrialPruned"
    assert shared.run(source).state == "pruned"


def test_siblings_of_the_users_module_can_be_imported(shared):
    (shared.folder / "my_model.py").write_text("ANSWER = 42")
    result = shared.run("import my_model\ndef objective(ctx): return my_model.ANSWER")
    assert result.metrics == {"value": 42.0}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("there_is_none:f", "no module 'there_is_none'"),
        ("mine:objectiv", "no function 'objectiv'; did you mean 'objective'?"),
        ("mine", "package.module:function"),
        ("mine:NUMBER", "mine:NUMBER is an int, not a function"),
        ("mine:later", "async"),
        ("mine:nothing", "takes no argument"),
        ("broken:f", "syntax error at broken.py:3: "),
        ("needy:f", "ModuleNotFoundError: No module named 'not_installed' (needy.py:1)"),
        ("queue:f", "another name"),
    ],
)
def test_a_function_that_cannot_be_had_is_explained(shared, name, words):
    (shared.folder / "mine.py").write_text(
        "NUMBER = 1\ndef objective(ctx): return 1\nasync def later(ctx): ...\ndef nothing(): ..."
    )
    (shared.folder / "broken.py").write_text("X = 1\n\ndef f(:")
    (shared.folder / "needy.py").write_text("import not_installed")
    (shared.folder / "queue.py").write_text("def f(ctx): return 1")
    shared.submit(Trainer(kind="function", name=name, pythonpath=(str(shared.folder),)))
    error = failure(shared.until_result()[0])
    assert (error.failure, words in error.message) == ("user", True), error.message


def test_an_optuna_objective_runs_unchanged(shared):
    key = shared.function(
        """
        import optuna
        def objective(trial: optuna.Trial) -> float:
            lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
            momentum = trial.suggest_discrete_uniform("momentum", 0.0, 1.0, 0.1)
            units = trial.suggest_int("units", 16, 128, step=16)
            optimizer = trial.suggest_categorical("optimizer", ["adam", "sgd", None])
            decay = trial.suggest_loguniform("decay", 1e-6, 1.0)
            width = trial.suggest_uniform("width", 0, 2)
            trial.set_user_attr("note", "hello")
            for step in (0, 1, 1, 0):
                trial.report(step / 2, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            assert isinstance(trial.number, int) and trial.params["units"] == units
            assert trial.user_attrs == {"note": "hello"}
            assert (optimizer, trial.seed, trial.settings) == ("sgd", 7, {"epochs": 3})
            return lr + momentum + units + decay + width
        """,
        params={
            "lr": 0.01,
            "momentum": 0.30000000000000004,
            "units": 32,
            "optimizer": "sgd",
            "decay": 0.5,
            "width": 1,
        },
        settings={"epochs": 3},
    )
    result, seen = shared.until_result()
    assert result.state == "completed", result.error
    assert result.metrics["value"] == pytest.approx(33.81)
    assert result.info == {"user.note": "hello"}
    assert [m for m in seen if isinstance(m, JobReport)] == [
        JobReport(key=key, step=0, value=0.0),
        JobReport(key=key, step=1, value=0.5),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "trial.suggest_float('b', 1e-5, 0.1, log=True)",
            "`b: {type: float, low: 1e-05, high: 0.1, log: true}`",
        ),
        ("trial.suggest_int('b', 1, 9, step=2)", "`b: {type: int, low: 1, high: 9, step: 2}`"),
        ("trial.suggest_categorical('b', ['x', True, None])", "`b: ['x', true, null]`"),
        ("trial.suggest_float('a', 0, 1)", "a = 3, outside"),
        ("trial.suggest_int('a', 4, 9)", "`a: {type: int, low: 4, high: 9}`"),
        ("trial.suggest_int('a', 0, 9, step=2)", "a = 3, outside"),
        ("trial.suggest_categorical('a', [1, 2])", "`a: [1, 2]`"),
        ("trial.study.best_value", "trial.study is not available"),
    ],
)
def test_an_optuna_objective_that_does_not_fit_the_space_is_told_the_line_to_write(
    shared, body, words
):
    error = failure(shared.run(f"def objective(trial): {body}", params={"a": 3}))
    assert (error.failure, words in error.message) == ("user", True), error.message


def test_the_calling_style_follows_setting_then_annotation_then_name():
    def plain(ctx): ...
    def named(trial): ...
    def ours(trial: TrialContext): ...
    def theirs(x: optuna.trial.Trial): ...  # noqa: F821

    theirs.__annotations__ = {"x": "optuna.trial.Trial"}
    assert [calling_style(f, {}) for f in (plain, named, ours, theirs)] == [
        "context",
        "optuna",
        "context",
        "optuna",
    ]
    assert calling_style(plain, {"objective_style": "optuna"}) == "optuna"
    assert calling_style(named, {"objective_style": "context"}) == "context"
    with pytest.raises(Exception, match="optuna or context"):
        calling_style(plain, {"objective_style": "keras"})
