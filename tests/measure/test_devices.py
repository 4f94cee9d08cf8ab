"""No GPU is needed: memory of GPUs is made up, and accelerate's hooks work on the CPU, too."""

from functools import partial

import accelerate
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stance_suite.errors import StanceSuiteError
from stance_suite.measure import cell as measurement
from stance_suite.measure.devices import map_devices, place, spread
from stance_suite.measure.training import fine_tune
from stance_suite.schema.recipes import Adapter, Recipe
from tests.measure.conftest import same_weights
from tests.measuring import measure as measure_cell
from tests.measuring import open_session
from tests.sweeping import lasting

PARTS = ("model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm", "model.rotary_emb", "lm_head")


@pytest.fixture
def pair(fresh, monkeypatch):
    """A model as it is loaded, the same one hooked part by part as on several devices, and their tokenizer."""
    # all parts are on the CPU here, where accelerate would see no need for hooks
    monkeypatch.setattr(accelerate, "dispatch_model", partial(accelerate.dispatch_model, force_hooks=True))
    (whole, tokenizer), (parts, _) = fresh(), fresh()
    return whole, spread(parts, dict.fromkeys(PARTS, "cpu")), tokenizer


@pytest.fixture
def large(tiny_model):
    """Sixteen blocks, and no weights."""
    config = AutoConfig.from_pretrained(tiny_model, num_hidden_layers=16)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def test_blocks_are_dealt_out_whole_in_order_and_what_does_not_fit_is_refused_with_its_size(large):
    total = sum(parameter.nbytes for parameter in large.parameters())
    devices = map_devices(large, {0: total // 2, 1: total // 2, 2: total // 2})
    assert set(devices.values()) == {0, 1, 2}
    blocks = [devices[f"model.layers.{block}"] for block in range(16)]
    assert blocks == sorted(blocks)
    assert devices["model.embed_tokens"] == 0
    of_device = dict.fromkeys((0, 1, 2), 0)
    for name, device in devices.items():
        of_device[device] += sum(parameter.nbytes for parameter in large.get_submodule(name).parameters())
    assert all(held <= total // 2 for held in of_device.values())
    with pytest.raises(StanceSuiteError, match=r"weights \(0\.0 GB\) do not fit on the GPUs .*CUDA_VISIBLE_DEVICES"):
        map_devices(large, {0: total // 4, 1: total // 4})


def test_a_model_that_is_spread_is_hooked_part_by_part_and_on_one_device_it_is_not_spread(pair):
    whole, parts, _ = pair
    assert place(whole, "cpu") is whole
    assert not hasattr(whole, "hf_device_map")
    assert set(parts.hf_device_map) == set(PARTS)
    for model, hooked in ((whole, False), (parts, True)):
        assert all(hasattr(model.get_submodule(name), "_hf_hook") == hooked for name in PARTS)
    assert parts._hf_hook.io_same_device, "outputs come back to where inputs are"
    assert "past_key_values" in parts.model.layers[0]._hf_hook.skip_keys


@pytest.mark.parametrize("adapter", [None, Adapter()])
@pytest.mark.parametrize("lean", [False, True])
def test_a_model_that_is_spread_is_trained_and_looked_at_as_before(pair, stance, adapter, lean):
    whole, parts, tokenizer = pair
    recipe = Recipe(name="r", epochs=2, adapter=adapter, gradient_checkpointing=lean)
    seen: list[dict[str, torch.Tensor]] = []

    def look(_, model):
        logits = model(**tokenizer("Why?", return_tensors="pt")).logits.detach()
        seen.append({"logits": logits, **{name: weight.clone() for name, weight in model.state_dict().items()}})

    trainings = [
        fine_tune(model, tokenizer, "plain", [stance.examples], recipe, 0, lambda *_: None, look)
        for model in (whole, parts)
    ]
    assert trainings[0].losses == trainings[1].losses
    assert same_weights(whole, parts)
    assert len(seen) == 4
    for ours, theirs in zip(seen[:2], seen[2:], strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_cell_of_a_model_that_is_spread_has_the_same_figures(tiny_model, cells, monkeypatch, tmp_path):
    def measure(cache, threads=None):
        session = open_session(tmp_path, tiny_model, threads, trajectory=True, cache=str(cache), device="cpu")
        return measure_cell(session.cell_runner, "stance", tiny_model)

    whole, placed = measure(cells), []

    def spread_out(model, device):
        placed.append(device)
        return spread(model, dict.fromkeys(PARTS, device))

    monkeypatch.setattr(accelerate, "dispatch_model", partial(accelerate.dispatch_model, force_hooks=True))
    monkeypatch.setattr(measurement, "place", spread_out)
    parts = measure(tmp_path / "parts", whole.provenance.threads)
    assert lasting(parts.model_dump(exclude={"provenance"})) == lasting(whole.model_dump(exclude={"provenance"}))
    assert placed == ["cpu", "cpu"], "the trained model, and the untouched one beside it"
