from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from stance_suite.measure.cell import CellMeasurer
from stance_suite.progress import SilentProgress
from stance_suite.runner.estimates.memory import SINGLE, estimate_memory
from stance_suite.runner.estimates.workload import shapes_of
from stance_suite.runner.plan import control_cell, tuned_cell
from stance_suite.schema.controls import BASE
from tests.conftest import REPOSITORY
from tests.measuring import STANCE, open_session
from tests.programs import forks
from tests.runner.estimates.conftest import LARGE
from tests.twins import build_sibling


@pytest.fixture
def of(spec_of):
    def memory(kind, folder=None, device="cpu", **changes):
        spec = spec_of(kind, folder) if folder else spec_of(kind)
        if spec.recipe is not None:
            spec = replace(spec, recipe=spec.recipe.model_copy(update=changes))
        return estimate_memory(spec, device)

    return memory


def test_as_many_copies_of_the_weights_as_are_alive_together(of, spec_of, large, resized):
    single = SINGLE * shapes_of(spec_of("base", large).weights).parameters
    assert single > 8e8
    copies = {kind: of(kind, large).weights / single for kind in ("base", "documented", "lora", "elsewhere")}
    assert copies == {"base": 1, "documented": 3, "lora": 3, "elsewhere": 4}
    trained = of("documented", large)
    assert (trained.gradients, trained.optimizer) == (single, 2 * single)
    wide = of("documented", resized(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16))
    assert 3.9 < wide.weights / trained.weights < 4
    assert wide.total > trained.total


def test_an_adapter_needs_hardly_anything_more_unless_a_copy_is_merged_after_every_epoch(of, spec_of, large):
    full, adapter = of("documented", large), of("lora", large)
    assert adapter.gradients + adapter.optimizer < 0.05 * (full.gradients + full.optimizer)
    assert of("base", large).total < adapter.total < 0.8 * full.total
    spec = spec_of("lora", large)
    merged = estimate_memory(replace(spec, trajectory=True), "cpu").total - estimate_memory(spec, "cpu").total
    assert merged > SINGLE * shapes_of(spec.weights).parameters / 2


def test_activations_grow_with_the_batch_and_the_vocabulary(of, large, resized):
    few, many = of("documented", large), of("documented", large, batch_size=5)
    assert many.working > 1.5 * few.working
    assert (many.weights, many.gradients) == (few.weights, few.gradients)
    vocabulary = resized(**LARGE, vocab_size=200_000)
    more = of("documented", vocabulary, batch_size=5).working - of("documented", vocabulary).working
    # logits, their softmax and the gradients of both, of three examples more, each of 20 tokens or more
    assert more - (many.working - few.working) > 4 * SINGLE * 190_000 * 3 * 20


def test_on_a_gpu_the_training_takes_no_memory_elsewhere(of, large):
    on_cpu, on_gpu = of("documented", large), of("documented", large, "cuda")
    assert on_gpu.gpu > on_cpu.weights / 3 + on_cpu.gradients + on_cpu.optimizer
    assert on_gpu.weights + on_gpu.gradients + on_gpu.optimizer == on_cpu.weights * 2 / 3
    assert on_cpu.gpu == 0


def estimated_and_measured(model, recipe):
    """Bytes that a cell should need, and the peak of this process once it is measured."""
    cell = tuned_cell(model, STANCE, recipe, 0) if recipe else control_cell(BASE, model, None, 0, STANCE)
    spec = open_session(REPOSITORY, model, cache=None).cell_runner.plan(cell, STANCE)
    CellMeasurer("cpu", SilentProgress(), 1).measure(spec)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return estimate_memory(spec, "cpu").total, 1024 * int(status["VmHWM"].split()[0])


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("tiny", None),
        ("tiny", "documented"),
        pytest.param("shallow", "documented", marks=pytest.mark.slow),
        pytest.param("smollm2-135m", "documented", marks=pytest.mark.exhaustive),
        pytest.param("smollm2-135m", "lora", marks=pytest.mark.exhaustive),
    ],
)
def test_a_process_that_measures_a_cell_needs_what_is_estimated(tiny_model, smollm2, tmp_path, model, recipe):
    """The shallow one is as wide as SmolLM2: with two of its thirty layers it outweighs the libraries."""
    folder = tiny_model if model == "tiny" else tmp_path / model
    if model == "shallow":
        build_sibling(folder, smollm2.folder, num_hidden_layers=2)
    with ProcessPoolExecutor(1, forks) as pool:
        asked = str(folder) if folder.is_dir() else model
        estimated, measured = pool.submit(estimated_and_measured, asked, recipe).result()
    assert 0.5 < estimated / measured < 2
