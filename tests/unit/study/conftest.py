from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpocli.config import PrunerConfig, SamplerConfig, SweepConfig
from hpocli.space import CategoricalParam, Condition, FloatParam, IntParam, SearchSpace
from hpocli.spi import TrainerRef
from hpocli.study import SweepStudy

FLAT = SearchSpace(
    (
        FloatParam(name="lr", low=1e-5, high=0.1, log=True),
        FloatParam(name="dropout", low=0.0, high=0.6, step=0.1),
        IntParam(name="units", low=16, high=512, log=True),
        IntParam(name="layers", low=1, high=9, step=2),
        CategoricalParam(name="norm", choices=(True, False)),
    ),
    (("dataset", "digits"),),
)
BRANCHING = SearchSpace(
    (
        CategoricalParam(name="optimizer", choices=("adam", "sgd")),
        FloatParam(
            name="momentum",
            low=0.0,
            high=0.9,
            step=0.3,
            when=(Condition(parent="optimizer", values=("sgd",)),),
        ),
        CategoricalParam(
            name="nesterov",
            choices=(True, False),
            when=(Condition(parent="momentum", values=(0.3, 0.6)),),
        ),
    )
)

ConfigMaker = Callable[..., SweepConfig]
StudyOpener = Callable[..., SweepStudy]


@pytest.fixture
def make_config() -> ConfigMaker:
    def make(
        sampler: str = "random",
        pruner: str = "none",
        *,
        options: dict[str, Any] | None = None,
        pruner_options: dict[str, Any] | None = None,
        **keys: Any,
    ) -> SweepConfig:
        keys.setdefault("space", FLAT)
        keys.setdefault("run_name", "run")
        keys.setdefault("trainer", TrainerRef(kind="builtin", name="some"))
        return SweepConfig(
            sampler=SamplerConfig(name=sampler, options=options or {}),
            pruner=PrunerConfig(name=pruner, options=pruner_options or {}),
            **keys,
        )

    return make


@pytest.fixture
def open_study(tmp_path: Path) -> Iterator[StudyOpener]:
    opened: list[SweepStudy] = []

    def open_it(config: SweepConfig, *, create: bool = True, file: str = "j") -> SweepStudy:
        study = SweepStudy.open(
            config, journal=tmp_path / file, name=config.run_name, create=create
        )
        opened.append(study)
        return study

    yield open_it
    for study in opened:
        study.close()


@pytest.fixture
def branching() -> SearchSpace:
    return BRANCHING
