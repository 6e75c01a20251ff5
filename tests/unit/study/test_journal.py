from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hpocli.errors import StateError
from hpocli.study import journal as journal_module
from hpocli.study.journal import GroupCommitJournal, JournalReader


def log(number: int) -> dict[str, object]:
    return {"op_code": 2, "worker_id": "w", "study_id": 0, "user_attr": {"n": number}}


def numbers(logs: object) -> list[int]:
    return [entry["user_attr"]["n"] for entry in logs]  # type: ignore[attr-defined]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


def test_what_was_appended_is_read_back_by_the_owner_a_reader_and_a_new_owner(path: Path) -> None:
    first = GroupCommitJournal(path)
    for number in range(5):
        first.append_logs([log(number)])
    assert numbers(first.read_logs(0)) == [0, 1, 2, 3, 4]
    assert numbers(first.read_logs(3)) == [3, 4]
    assert numbers(JournalReader(path).read_logs(2)) == [2, 3, 4]
    first.close()
    again = GroupCommitJournal(path)
    assert numbers(again.read_logs(1)) == [1, 2, 3, 4]
    again.append_logs([log(5)])
    assert numbers(again.read_logs(5)) == [5]
    again.close()


def test_lines_that_left_memory_are_read_from_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_KEPT", 4)
    journal = GroupCommitJournal(path)
    for number in range(20):
        journal.append_logs([log(number)])
        assert numbers(journal.read_logs(number)) == [number]
    assert len(journal._kept) < 10
    assert numbers(journal.read_logs(0)) == list(range(20))
    journal.close()


def test_each_append_is_one_write_and_many_appends_are_one_fsync(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(fd) or real(fd, data))
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    monkeypatch.setattr(journal_module, "GROUP_S", 60.0)
    journal = GroupCommitJournal(path)
    for number in range(50):
        journal.append_logs([log(number), log(number)])
    assert len(writes) == 50
    assert syncs == []
    journal.barrier()
    journal.barrier()
    assert len(syncs) == 1
    journal.close()
    assert len(syncs) == 1


def test_without_a_barrier_the_disk_has_it_soon_and_no_thread_is_left_after_close(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.set())
    journal = GroupCommitJournal(path)
    assert "journal" not in [thread.name for thread in threading.enumerate()]
    journal.append_logs([log(0)])
    assert synced.wait(5)
    journal.close()
    journal.close()
    assert "journal" not in [thread.name for thread in threading.enumerate()]


def test_a_failed_fsync_is_never_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = GroupCommitJournal(path)
    journal.append_logs([log(0)])

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    monkeypatch.setattr(journal_module, "GROUP_S", 60.0)
    journal.append_logs([log(1)])
    with pytest.raises(OSError, match="Input/output"):
        journal.barrier()
    monkeypatch.undo()
    with pytest.raises(OSError, match="Input/output"):
        journal.append_logs([log(2)])
    with pytest.raises(OSError, match="Input/output"):
        journal.close()


def test_a_second_opener_is_refused_and_told_which_file(path: Path) -> None:
    journal = GroupCommitJournal(path)
    with pytest.raises(StateError, match=r"study\.journal is in use"):
        GroupCommitJournal(path)
    journal.close()
    GroupCommitJournal(path).close()


@pytest.mark.timeout(60)
def test_kill_9_loses_nothing_and_releases_the_lock(path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from hpocli.study.journal import GroupCommitJournal\n"
        "j = GroupCommitJournal(Path(sys.argv[1]))\n"
        "for n in range(100): j.append_logs([{'op_code': 2, 'worker_id': 'w', 'user_attr': {'n': n}}])\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    with pytest.raises(StateError, match="in use"):
        GroupCommitJournal(path)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)
    journal = GroupCommitJournal(path)
    assert numbers(journal.read_logs(0)) == list(range(100))
    journal.close()


@pytest.mark.parametrize("torn", [b"{", b'{"op_code": 2, "work', b"\0" * 700])
def test_a_torn_last_line_is_put_aside_by_the_next_write(path: Path, torn: bytes) -> None:
    journal = GroupCommitJournal(path)
    journal.append_logs([log(0), log(1)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    again = GroupCommitJournal(path)
    assert again.torn_bytes == len(torn)
    assert numbers(again.read_logs(0)) == [0, 1]
    again.append_logs([log(2)])
    again.close()
    assert path.read_bytes().startswith(whole)
    assert numbers(JournalReader(path).read_logs(0)) == [0, 1, 2]
    assert path.with_name("study.journal.torn").read_bytes() == torn + b"\n"


@pytest.mark.parametrize("damage", [b"{garbage}\n", b"[]\n", b'{"n": 1}\n', b"\0\0\0\n", b"\n"])
def test_a_damaged_line_is_named_and_the_file_is_left_alone(path: Path, damage: bytes) -> None:
    journal = GroupCommitJournal(path)
    journal.append_logs([log(0), log(1)])
    journal.close()
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second + b"torn")
    before = path.read_bytes()
    broken = GroupCommitJournal(path)
    with pytest.raises(StateError, match="line 2 of"):
        list(broken.read_logs(0))
    broken.close()
    assert path.read_bytes() == before


def test_one_write_is_all_or_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(bytes(data)) or real(fd, data))
    journal = GroupCommitJournal(path)
    with journal.one_write():
        for number in range(3):
            journal.append_logs([log(number)])
            assert numbers(journal.read_logs(number)) == [number]
            assert numbers(journal.read_logs(0)) == list(range(number + 1))
        assert path.read_bytes() == b""
    assert len(writes) == 1
    assert numbers(JournalReader(path).read_logs(0)) == [0, 1, 2]
    journal.close()


def test_lines_of_another_program_are_taken_in_with_their_place(path: Path) -> None:
    journal = GroupCommitJournal(path)
    journal.append_logs([log(0)])
    assert numbers(journal.read_logs(0)) == [0]
    with path.open("ab") as other:
        other.write(json.dumps(log(100)).encode() + b"\n")
    journal.append_logs([log(1)])
    assert numbers(journal.read_logs(1)) == [100, 1]
    assert numbers(JournalReader(path).read_logs(0)) == [0, 100, 1]
    journal.close()


def test_half_a_line_of_another_program_stops_us_before_we_write_into_it(path: Path) -> None:
    journal = GroupCommitJournal(path)
    journal.append_logs([log(0)])
    with path.open("ab") as other:
        other.write(b'{"op_')
    with pytest.raises(StateError, match="half a line"):
        journal.append_logs([log(1)])
    journal.close()
    assert path.read_bytes().endswith(b'\n{"op_')


def test_a_note_made_in_a_dashboard_survives_beside_our_trials(path: Path) -> None:
    journal = GroupCommitJournal(path)
    ours = optuna.create_study(storage=JournalStorage(journal), study_name="s")
    ours.tell(ours.ask(), 1.0)
    dashboard = optuna.load_study(
        study_name="s", storage=JournalStorage(JournalFileBackend(str(path)))
    )
    dashboard.set_user_attr("note", "good")
    ours.tell(ours.ask(), 2.0)
    assert ours.user_attrs == {"note": "good"}
    assert [t.value for t in dashboard.trials] == [1.0, 2.0]
    journal.close()


@pytest.mark.timeout(60)
def test_the_stock_reader_follows_in_a_second_process_while_we_write(path: Path) -> None:
    code = (
        "import sys, time, optuna\n"
        "from optuna.storages.journal import JournalFileBackend\n"
        "study = optuna.load_study(study_name='s',"
        " storage=optuna.storages.JournalStorage(JournalFileBackend(sys.argv[1])))\n"
        "print('open', flush=True)\n"
        "seen = -1\n"
        "while seen < 40:\n"
        "    trials = study.get_trials(deepcopy=False)\n"
        "    assert len(trials) >= seen; seen = len(trials)\n"
        "    assert all(t.value == t.number for t in trials if t.state.is_finished())\n"
        "print('seen', seen, flush=True)\n"
    )
    journal = GroupCommitJournal(path)
    study = optuna.create_study(storage=JournalStorage(journal), study_name="s")
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        for number in range(40):
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            study.tell(trial, float(number))
            time.sleep(0.002)
        out, err = reader.communicate(timeout=30)
        assert out == b"seen 40\n", err
    finally:
        reader.kill()
        reader.wait()
        journal.close()


@pytest.mark.timeout(60)
def test_closing_in_the_instant_of_a_commit_never_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GROUP_S", 0.0005)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)
    for number in range(300):
        journal = GroupCommitJournal(tmp_path / "j")
        journal.append_logs([log(number)])
        time.sleep(number % 10 * 0.0001)
        journal.close()
