"""What the loaded plugins offer; the configuration is checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpocli.spi import ExecutorSpec, TrainerSpec


@dataclass(frozen=True, slots=True)
class Catalog:
    """Executors and trainers by name."""

    executors: Mapping[str, ExecutorSpec]
    trainers: Mapping[str, TrainerSpec]
