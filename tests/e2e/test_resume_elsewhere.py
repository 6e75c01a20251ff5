"""Going on from another folder, without the study's file, or with fewer trials than there are."""

import pytest

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def done(hpo):
    """A finished run of four trials whose study is in `x.db` beside the sweep file."""
    hpo.sweep("seeded", storage="sqlite:///x.db")
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    return hpo


def test_a_run_goes_on_from_another_folder_with_its_own_database(done):
    other = done.folder / "other"
    other.mkdir()
    result = done("resume", "s", "trials=5", "--runs-dir", "../runs", "--quiet", cwd=other)
    assert result.returncode == 0, result.stderr
    assert len(done.named("trial_finished")) == 5
    assert not (other / "x.db").exists()


def test_a_missing_database_is_named_and_no_other_is_begun(done):
    (done.folder / "x.db").unlink()
    result = done("resume", "s", "trials=5")
    assert result.returncode == 6
    assert "x.db is missing" in result.stderr
    assert not (done.folder / "x.db").exists()


def test_fewer_trials_than_there_are_is_refused(done):
    result = done("resume", "s", "trials=2")
    assert result.returncode == 2
    assert "trials=2 is fewer than the 4 that the run has" in result.stderr
