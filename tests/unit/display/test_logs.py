"""The controller's log: JSON lines without secrets, from any thread."""

import json
import logging
import threading
import warnings

import pytest

from hpocli import logs

CANARY = "canary-value-93847"


@pytest.fixture
def log(tmp_path, monkeypatch):
    import structlog

    monkeypatch.setenv("MADE_UP_API_KEY", CANARY)
    path = tmp_path / "hpo.log"
    logs.configure(path, "debug")
    yield path
    logs.close()
    structlog.reset_defaults()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_message_is_one_json_line_with_its_fields(log):
    import structlog

    structlog.get_logger().info("trial_submitted", trial=3, value=float("nan"))
    (line,) = lines(log)
    assert (line["event"], line["trial"], line["value"], line["level"]) == (
        "trial_submitted",
        3,
        "nan",
        "info",
    )


def test_no_secret_reaches_the_log(log):
    import structlog

    logger = structlog.get_logger()
    text = f"key {CANARY}"
    logger.info(text, nested={"url": "https://me:pw12345@host/x", CANARY: [CANARY]})
    logger.warning("rpa_ABCDEFGHIJKL", header="Authorization: Bearer abcdefghijkl")
    password = CANARY
    try:
        raise ValueError(f"bad {password}")
    except ValueError:
        logger.exception("failed")
    text = log.read_text()
    for secret in (CANARY, "pw12345", "rpa_ABCDEFGHIJKL", "abcdefghijkl"):
        assert secret not in text
    assert "Traceback" in text


def test_a_secret_that_came_from_a_file_can_be_hidden(log):
    logs.hide("from-a-file-1")
    assert logs.redact("x from-a-file-1 y") == "x [redacted] y"


def test_threads_never_mix_their_lines(log):
    import structlog

    def write(name):
        for number in range(100):
            structlog.get_logger().info("x" * 500, name=name, number=number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(log)) == 400


def test_warnings_of_libraries_land_in_the_log_and_not_on_the_screen(log, capsys):
    logging.getLogger("some.library").warning("careful with %s", CANARY)
    assert lines(log)[0]["event"] == "careful with [redacted]"
    assert capsys.readouterr().err == ""


def test_messages_after_the_end_go_nowhere(log):
    import structlog

    logs.close()
    structlog.get_logger().info("late")
    assert log.read_text() == ""


def test_the_log_is_private(log):
    assert log.stat().st_mode & 0o077 == 0


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert logs.redact("plain") == "plain"
