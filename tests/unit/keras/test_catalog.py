import subprocess
import sys

from hpo_handler.catalog import IMAGE_OBJECTIVES, IMAGE_SETTINGS, IMAGE_SPACE, TRAINERS
from hpo_handler.health import WEIGHTS
from hpocli.spacefile import build_space


def test_the_catalog_imports_no_heavy_module():
    code = (
        "import sys, hpo_handler.catalog; "
        "print([m for m in ('numpy', 'tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_space_passes_the_checks_of_the_sweep_file():
    space = build_space({}, IMAGE_SPACE)
    assert {p.name for p in space.params} == set(IMAGE_SPACE)


def test_per_layer_parameters_exist_only_where_the_layer_does():
    space = build_space({"conv_layers": 2}, IMAGE_SPACE)
    names = {p.name for p in space.params}
    assert {"filters_1", "filters_2"} <= names
    assert not {"filters_3", "filters_4"} & names


def test_momentum_belongs_to_sgd_alone():
    space = build_space({}, IMAGE_SPACE)
    momentum = next(p for p in space.params if p.name == "momentum")
    assert space.is_active(momentum, {"optimizer": "sgd"})
    assert not space.is_active(momentum, {"optimizer": "adam"})


def test_every_objective_has_a_name_of_its_own():
    names = [objective["name"] for objective in IMAGE_OBJECTIVES]
    assert len(names) == len(set(names))
    assert {"val_accuracy", "training_time", "inference_speed", "overall_health"} <= set(names)


def test_every_health_number_is_an_objective_and_their_weights_sum_to_one():
    names = {objective["name"] for objective in IMAGE_OBJECTIVES}
    assert set(WEIGHTS) <= names
    assert abs(sum(WEIGHTS.values()) - 1) < 1e-12


def test_settings_are_plain_defaults():
    assert all(isinstance(value, bool | int | float | str) for value in IMAGE_SETTINGS.values())
    assert list(TRAINERS) == ["keras-image"]
