"""A catalog of real descriptions, and a folder in which sweep files are written and resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from hpocli.catalog import Catalog
from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.resolve import load_config
from hpocli.spi import ExecutorSpec, ObjectiveSpec, TrainerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NearOptions:
    threads: Annotated[int, typer.Option(min=0, max=64, help="Threads.")] = 0
    grace_s: Annotated[float, typer.Option(min=0.0, help="Grace.")] = 5.0
    gpu: Annotated[bool, typer.Option(help="A GPU.")] = False
    cache: Annotated[Path, typer.Option(help="A folder.")] = Path("cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class FarOptions:
    endpoint: Annotated[str, typer.Option(help="Where.")] = ""


def _never(*_: object) -> Any:
    raise AssertionError("resolving a configuration builds no executor")


IMAGE = TrainerSpec(
    name="keras-image",
    help="images",
    space={
        "layers": {"type": "int", "low": 1, "high": 3},
        "units_1": {"type": "int", "low": 16, "high": 64, "step": 16},
        "units_2": {"type": "int", "low": 16, "high": 64, "step": 16, "when": {"layers": [2, 3]}},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "optimizer": ["adam", "sgd"],
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        "flag": [True, False],
    },
    settings={"patience": 5, "scale": 1.0, "augment": False, "note": ""},
    objectives=(
        ObjectiveSpec(name="val_accuracy", direction="maximize"),
        ObjectiveSpec(name="val_loss", direction="minimize"),
        ObjectiveSpec(name="overall_health", direction="maximize", kind="health"),
    ),
    datasets=("digits", "mnist"),
)
CATALOG = Catalog(
    executors={
        "local": ExecutorSpec(name="local", help="near", options=NearOptions, build=_never),
        "far": ExecutorSpec(name="far", help="far", options=FarOptions, build=_never),
    },
    trainers={"keras-image": IMAGE},
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Writes sweep files to `folder` and resolves them from a working folder beside it."""

    folder: Path

    def load(
        self,
        text: str | bytes | None,
        *assignments: str,
        environ: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        executor: str = "local",
    ) -> SweepConfig:
        file = None
        if text is not None:
            file = self.folder / "sweep.yaml"
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        cwd = self.folder / "elsewhere"
        cwd.mkdir(exist_ok=True)
        return load_config(
            executor=executor,
            sweep_file=file,
            assignments=assignments,
            environ=environ or {},
            options=options or {},
            catalog=CATALOG,
            cwd=cwd,
        )

    def problem(self, text: str | bytes | None, *assignments: str, **more: Any) -> str:
        """Return message and hint of the refusal."""
        with pytest.raises(ConfigError) as caught:
            self.load(text, *assignments, **more)
        assert "\n" not in caught.value.message
        return f"{caught.value.message} | {caught.value.hint}"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


@pytest.fixture
def catalog() -> Catalog:
    return CATALOG
