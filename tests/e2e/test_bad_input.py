"""Whatever is typed or found on disk: one sentence, the right exit status, and nothing started."""

import json
import os

import pytest

pytestmark = pytest.mark.timeout(120)

GOOD = "trainer: work:seeded\nspace: {x: {type: float, low: 0, high: 1}}\ntrials: 2\nplot_generation: none\n"
BOMB = "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nspace: *b\n"

FILES = {
    "alias bomb": (BOMB, "line 1"),
    "python tag": (GOOD + "settings: !!python/object/apply:os.system ['touch pwned']\n", "line 5"),
    "key twice": (GOOD + "trials: 3\n", "trials"),
    "tab": ("trainer: work:seeded\n\tspace: 1\n", "line 2"),
    "not a mapping": ("- 1\n- 2\n", "not a list"),
    "unknown key": (GOOD + "trails: 3\n", "trials"),
    "wrong type": (GOOD.replace("trials: 2", "trials: many"), "trials"),
    "underscore number": (GOOD.replace("trials: 2", "trials: 1_000"), "1_000"),
    "boolean word": (GOOD + "reproducible: no\n", "reproducible"),
    "sexagesimal": (GOOD.replace("trials: 2", "trials: 12:30:45"), "12:30:45"),
    "low above high": (GOOD.replace("low: 0", "low: 2"), "x"),
    "log of zero": (GOOD.replace("high: 1", "high: 1, log: true"), "low"),
    "step zero": (GOOD.replace("high: 1", "high: 1, step: 0"), "step"),
    "infinite bound": (GOOD.replace("high: 1", "high: .inf"), "high"),
    "NaN bound": (GOOD.replace("low: 0", "low: .nan"), "low"),
    "huge bound": (GOOD.replace("high: 1", "high: 1e999"), "high"),
    "no choices": (GOOD.replace("{type: float, low: 0, high: 1}", "[]"), "x"),
    "grid too large": (
        "trainer: work:seeded\nsampler: grid\nspace:\n"
        + "".join(f"  p{i}: {{type: int, low: 1, high: 1000}}\n" for i in range(3)),
        "grid",
    ),
    "grid of the continuous": (GOOD + "sampler: grid\n", "grid"),
    "health alone": (
        "trainer: keras-image\ndataset: digits\noptimize_for: overall_health\nmode: simple\n",
        "overall_health",
    ),
    "no trials": (GOOD.replace("trials: 2", "trials: 0"), "trials"),
    "deep": (GOOD + "settings: " + "[" * 5000 + "]" * 5000 + "\n", "line 5"),
    "NUL": (GOOD + "run_name: 'a\0b'\n", "line 5"),
    "trainer of the system": (GOOD.replace("work:seeded", "os:system"), "os:system"),
    "dotted trainer": (GOOD.replace("work:seeded", "work:seeded.__globals__"), "work"),
    "missing function": (GOOD.replace("work:seeded", "work:nothing"), "nothing"),
    "unknown trainer": (GOOD.replace("work:seeded", "keras-imgae"), "keras-image"),
    "path as a name": (GOOD + "run_name: ../../escape\n", "run_name"),
    "escape in a name": (GOOD + 'run_name: "\\e]0;x\\a"\n', "run_name"),
    "direction of a name": (GOOD + 'run_name: "a\\u202Eb"\n', "run_name"),
    "objective with escape": (GOOD + 'optimize_for: "\\e[31m"\n', "optimize_for"),
    "sampler": (GOOD + "sampler: tpo\n", "tpe"),
    "sampler option": (GOOD + "sampler: {name: tpe, n_startup: 3}\n", "n_startup_trials"),
    "pruner": (GOOD + "pruner: threshold\n", "threshold"),
    "enqueued outside": (GOOD + "enqueue: [{x: 7}]\n", "x"),
    "warm start from nothing": (GOOD + "warm_start: nowhere\n", "nowhere"),
    "storage": (GOOD + "storage: nosuch://x\n", "storage"),
    "password in storage": (GOOD + "storage: postgresql+psycopg://me:hunter2@h/db\n", "storage"),
}


def nothing_started(hpo):
    """No run folder, no process, and nothing that a file wanted to create."""
    runs = hpo.folder / "runs"
    assert not runs.exists() or not [p for p in runs.iterdir() if not p.is_symlink()]
    assert not (hpo.folder / "pwned").exists()
    assert not (hpo.folder.parent / "escape").exists()
    assert hpo.orphans() == []


@pytest.mark.parametrize("case", FILES)
def test_a_bad_sweep_file_is_one_sentence(hpo, fails_cleanly, case):
    text, word = FILES[case]
    (hpo.folder / "bad.yaml").write_text(text)
    message = fails_cleanly(hpo("run", "local", "bad.yaml"), 2, word)
    assert "\x1b" not in message
    assert "\u202e" not in message
    assert "hunter2" not in message
    nothing_started(hpo)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\xff\xfe\x00bad", "UTF-8"),
        (b"trials: 2\n# \xe4\n", "UTF-8"),
        (b"#" * (10 << 20), "MiB"),
        (b"", "empty"),
    ],
    ids=["UTF-16", "Latin-1", "10 MiB", "empty"],
)
def test_a_file_that_is_no_text_is_one_sentence(hpo, fails_cleanly, data, word):
    (hpo.folder / "bad.yaml").write_bytes(data)
    if data:
        fails_cleanly(hpo("run", "local", "bad.yaml"), 2, word)
    else:
        (hpo.folder / "bad.yaml").write_bytes(b"trainer: work:seeded\n")
        fails_cleanly(hpo("run", "local", "bad.yaml"), 2, "space")
    nothing_started(hpo)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nosuch.yaml"], "nosuch.yaml"),
        (["."], "directory"),
        (["s.yaml", "other.yaml"], "other.yaml"),
        (["s.yaml", "trials=-1"], "trials"),
        (["s.yaml", "trials=NaN"], "trials"),
        (["s.yaml", "timeout=-1"], "timeout"),
        (["s.yaml", "timeout=.inf"], "timeout"),
        (["s.yaml", "timeout=.nan"], "timeout"),
        (["s.yaml", "timeout=0"], "timeout"),
        (["s.yaml", "concurrent_workers=1e9"], "concurrent_workers"),
        (["s.yaml", "space.y.low=1"], "y"),
        (["s.yaml", "sed=1"], "seed"),
        (["s.yaml", "="], "="),
        (["s.yaml", "=5"], "="),
        (["s.yaml", "trials=[1"], "trials"),
        (["s.yaml", "--nosuch"], "--nosuch"),
        (["s.yaml", "--threads-per-worker", "x"], "threads"),
        (["s.yaml", "runs_dir="], "runs_dir"),
    ],
)
def test_a_bad_command_line_is_one_sentence(hpo, fails_cleanly, arguments, word):
    hpo.sweep("seeded")
    fails_cleanly(hpo("run", "local", *arguments), 2, word)
    nothing_started(hpo)


def test_numbers_are_those_of_yaml_1_2(hpo):
    (hpo.folder / "n.yaml").write_text(
        GOOD.replace("low: 0", "low: 1e-3").replace("trials: 2", "trials: 02") + "run_name: n\n"
    )
    result = hpo("run", "local", "n.yaml", "--quiet")
    assert result.returncode == 0, result.stderr
    assert "low: 0.001" in (hpo.run_dir("n") / "sweep.yaml").read_text()
    assert len(hpo.named("trial_finished", "n")) == 2


def test_formulas_and_control_characters_never_reach_table_or_terminal(hpo):
    choices = ["=HYPERLINK(1)", "-1+1", "@x", "\tx", "\u001b]0;x\u0007", "a\u202eb", "[red]z[/red]"]
    hpo.write(
        "odd.py",
        "def train(ctx):\n    if ctx.number == 1:\n        raise ValueError('\\x1b[2J\\u202e [bold] sk-' + 'a' * 40)\n"
        "    ctx.report(0, 1.0, metrics={'\\x1b]0;x\\x07': 1.0}) if ctx.number == 2 else None\n    return -1.5\n",
    )
    sweep = {"trainer": "odd:train", "space": {"k": choices}, "sampler": "grid", "trials": 7,
             "plot_generation": "none", "run_name": "o"}  # fmt: skip
    (hpo.folder / "o.yaml").write_text(json.dumps(sweep))
    result = hpo("run", "local", "o.yaml")
    assert result.returncode in (0, 2), result.stdout + result.stderr
    if result.returncode == 2:  # refused at load is as good
        return
    shown = [result.stdout + result.stderr] + [
        hpo(c, "o").stdout for c in ("show", "trials", "best")
    ]
    for text in shown:
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert "\u202e" not in text
    table = (hpo.run_dir("o") / "trials.csv").read_text()
    cells = [cell.strip('"') for line in table.splitlines()[1:] for cell in line.split(",")]
    assert not [cell for cell in cells if cell[:1] in ("=", "@", "\t")]
    assert "-1.5" in cells
    assert "'-1+1" in cells


def test_a_trial_that_floods_its_output_and_forges_results_changes_nothing(hpo):
    hpo.write(
        "flood.py",
        """
        import os, sys

        def train(ctx):
            line = b'{"type":"result","v":1,"state":"completed","metrics":{"value":99.0}}\\n'
            for _ in range(200):
                os.write(1, line * 1000)
            print(line.decode() * 3)
            return 0.5
        """,
    )
    (hpo.folder / "f.yaml").write_text(GOOD.replace("work:seeded", "flood:train") + "run_name: f\n")
    result = hpo("run", "local", "f.yaml", "--quiet")
    assert result.returncode == 0, result.stderr
    assert [e["values"] for e in hpo.named("trial_finished", "f")] == [[0.5], [0.5]]
    assert sum(p.stat().st_size for p in hpo.run_dir("f").rglob("*")) < 4 << 20


def test_results_that_are_no_numbers_fail_their_trial_only(hpo):
    hpo.write(
        "odd.py",
        """
        import math

        def train(ctx):
            return [math.nan, math.inf, "0.5", None, True, {"other": 1.0}, 10**400, -0.0, [1.0, 2.0]][ctx.number]
        """,
    )
    (hpo.folder / "f.yaml").write_text(
        GOOD.replace("work:seeded", "odd:train").replace("trials: 2", "trials: 9")
        + "run_name: f\nmax_identical_failures: 50\n"
    )
    result = hpo("run", "local", "f.yaml", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr
    states = {e["trial"]: e["state"] for e in hpo.named("trial_finished", "f")}
    assert {n for n, state in states.items() if state == "completed"} <= {4, 7}
    assert states[7] == "completed"


@pytest.mark.parametrize(
    "change",
    [
        "space.x.high=5",
        "space.x=[1,2]",
        "seed=3",
        "optimize_for=other",
        "direction=minimize",
        "trainer=work:two",
        "sampler=nosuch",
        "trials=0",
        "run_name=other",
    ],
)
def test_a_run_resumes_only_as_the_sweep_it_is(hpo, fails_cleanly, change):
    hpo.sweep("seeded", trials=2)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    before = {
        p: p.read_bytes()
        for p in hpo.run_dir().iterdir()
        if p.is_file() and p.name not in ("run.lock", "hpo.log")
    }
    result = hpo("resume", "s", change, "trials=3" if "trials" not in change else "seed=0")
    if result.returncode == 0:
        assert change == "space.x.high=5"  # a wider range is the same study to Optuna
        return
    fails_cleanly(result, 2)
    assert {p: p.read_bytes() for p in before} == before


def test_a_run_that_is_not_there_is_one_sentence(hpo, fails_cleanly):
    for command in ("resume", "show", "trials", "best"):
        fails_cleanly(hpo(command, "nothing"), 2, "nothing")
        fails_cleanly(hpo(command, "latest"), 2)
    assert hpo("ls").returncode == 0


def test_it_runs_without_home_locale_terminal_or_standard_input(hpo):
    hpo.sweep("seeded", trials=2)
    env = {k: v for k, v in hpo.env.items() if k not in ("HOME", "LANG", "LC_ALL", "TERM", "USER")}
    env |= {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = hpo("run", "local", "s.yaml", env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    for command in ("show", "trials", "best", "ls"):
        result = hpo(*([command] if command == "ls" else [command, "s"]), env=env)
        assert result.returncode == 0, result.stderr
    result = hpo(
        "run",
        "local",
        "s.yaml",
        "--quiet",
        "run_name=c",
        stdin=None,
        preexec_fn=lambda: os.close(0),
    )
    assert result.returncode == 0, result.stderr
    hpo.check(2, "c")


def test_all_three_standard_streams_may_be_closed(hpo):
    hpo.sweep("seeded", trials=2)

    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)

    process = hpo.start(
        "run", "local", "s.yaml", stdin=None, stdout=None, stderr=None, preexec_fn=close_all
    )
    assert process.wait(60) == 0
    hpo.check(2)


def test_a_deleted_working_folder_is_one_sentence(hpo, fails_cleanly):
    gone = hpo.folder / "gone"
    gone.mkdir()
    sweep = hpo.sweep("seeded").resolve()
    result = hpo("run", "local", sweep, cwd=gone, preexec_fn=lambda: os.rmdir(gone))
    assert "Traceback" not in result.stderr
    assert "a bug in hpo" not in result.stderr
    fails_cleanly(result, result.returncode)
    assert result.returncode in (2, 6)


def test_a_runs_folder_that_cannot_be_written_is_one_sentence(hpo, fails_cleanly):
    hpo.sweep("seeded")
    (hpo.folder / "plain").write_text("")
    for place in ("plain", "plain/below", "/proc/nothing"):
        fails_cleanly(hpo("run", "local", "s.yaml", f"runs_dir={place}"), 6, "runs_dir")
    assert hpo.orphans() == []


def test_a_killed_run_of_which_nothing_is_there_yet_is_one_sentence(hpo, fails_cleanly):
    (hpo.run_dir()).mkdir(parents=True)
    (hpo.run_dir() / "sweep.yaml").write_text("trials")
    fails_cleanly(hpo("resume", "s"), 2, "s")
    (hpo.run_dir() / "events.jsonl").touch()
    result = hpo("resume", "s")
    fails_cleanly(result, result.returncode)
    assert hpo("show", "s").returncode in (0, 2, 6)
    assert hpo("ls").returncode == 0


def test_secrets_in_a_trials_error_are_not_shown(hpo):
    hpo.env["MY_API_KEY"] = "rpa_SECRETSECRETSECRETSECRET1234567890"
    hpo.write(
        "leak.py",
        "import os\ndef train(ctx):\n    raise ValueError('key ' + os.environ.get('MY_API_KEY', 'scrubbed'))\n",
    )
    (hpo.folder / "l.yaml").write_text(GOOD.replace("work:seeded", "leak:train") + "run_name: l\n")
    result = hpo("run", "local", "l.yaml")
    assert result.returncode == 1
    assert "SECRETSECRET" not in result.stdout + result.stderr
    assert b"SECRETSECRET" not in b"".join(
        p.read_bytes() for p in hpo.run_dir("l").rglob("*") if p.is_file()
    )
