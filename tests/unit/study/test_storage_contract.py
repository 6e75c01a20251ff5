"""Optuna's own contract for storages, over the one that a sweep uses by default.

Nothing is skipped. `test_pickle_storage` expects a pickled copy to read: ours does, and refuses
to write, because a journal has one owner.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from hpocli.study.storage import open_storage


class TestOurStorageKeepsOptunasContract(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        opened = open_storage(None, tmp_path / "study.journal")
        yield opened.optuna
        opened.close()
