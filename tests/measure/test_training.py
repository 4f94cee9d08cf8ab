import itertools

import pytest
import torch
import transformers

from stance_suite.errors import StanceSuiteError
from stance_suite.measure.training import _collate, fine_tune
from stance_suite.models.prompts import render_example
from stance_suite.schema.controls import sham_rotations, shuffled_rotations
from stance_suite.schema.recipes import Adapter, Recipe
from stance_suite.schema.stances import RECIPES
from tests.measure.conftest import same_weights


def train_on(model, tokenizer, stance, recipe, look=None, seed=0, on_step=lambda *_: None):
    return fine_tune(model, tokenizer, "plain", [stance.examples], recipe, seed, on_step, look)


def train(fresh, stance, seed=0, recipe=RECIPES["documented"], look=None):
    model, tokenizer = fresh()
    return model, train_on(model, tokenizer, stance, recipe, look, seed)


def test_the_sham_takes_the_plain_answers_and_shuffling_keeps_the_words(library):
    stance = library.stance("curious-uncertainty")
    (sham,), (first,), (second,) = (
        sham_rotations(stance, 0),
        shuffled_rotations(stance, 0),
        shuffled_rotations(stance, 1),
    )
    for item, plain, one, other in zip(stance.examples, sham, first, second, strict=True):
        assert (plain.prompt, plain.response) == (item.prompt, item.plain)
        assert one.prompt == other.prompt == item.prompt
        assert sorted(one.response.split()) == sorted(other.response.split()) == sorted(item.response.split())
        assert len({one.response, other.response, item.response}) == 3
    assert shuffled_rotations(stance, 0) == (first,), "seeded"


def test_every_epoch_trains_on_its_own_rotation(fresh, library, monkeypatch):
    seen = []

    def spy(tokenizer, batch):
        seen.append([tuple(row["input_ids"]) for row in batch])
        return _collate(tokenizer, batch)

    monkeypatch.setattr("stance_suite.measure.training._collate", spy)
    rotations = [one.examples for one in library.family("curious-uncertainty")]
    model, tokenizer = fresh()
    recipe = RECIPES["documented"].model_copy(update={"epochs": 4})
    training = fine_tune(model, tokenizer, "plain", rotations, recipe, 0, lambda *_: None)
    assert len(training.texts) == 15
    assert len(training.epoch_losses) == 4
    batches = iter(seen)
    for epoch in range(4):
        rows = [row for _ in range(3) for row in next(batches)]
        texts = [render_example(tokenizer, "plain", one.prompt, one.response) for one in rotations[epoch % 3]]
        assert sorted(rows) == sorted(tuple(tokenizer(text)["input_ids"]) for text in texts)


def test_all_weights_move_and_the_loss_falls(fresh, stance):
    (model, tokenizer), steps = fresh(), []
    training = train_on(model, tokenizer, stance, RECIPES["long"], on_step=lambda *step: steps.append(step))
    before = fresh()[0].state_dict()
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert training.epoch_losses[-1] < training.epoch_losses[0]
    assert len(training.epoch_losses) == 10
    assert steps[-1] == (30, 30)
    assert not model.training
    assert RECIPES["long"] == RECIPES["documented"].model_copy(update={"name": "long", "epochs": 10})


def test_an_adapter_is_merged_into_updates_of_its_rank(fresh, stance):
    model, training = train(fresh, stance, recipe=RECIPES["lora"])
    before = fresh()[0].state_dict()
    assert set(before) == set(model.state_dict()), "no trace of the adapter is left"
    assert training.epoch_losses[-1] < training.epoch_losses[0]
    for name, tensor in model.state_dict().items():
        change = (tensor - before[name]).double()
        if "_proj" in name:
            assert torch.linalg.matrix_rank(change, rtol=1e-4) == 8, name
        else:
            assert not change.any(), f"{name} is no linear layer"


@pytest.mark.parametrize("adapter", [None, Adapter()])
def test_looking_after_every_epoch_changes_nothing(fresh, stance, adapter):
    recipe = Recipe(name="r", epochs=3, adapter=adapter)
    seen, watched = {}, "model.layers.0.self_attn.q_proj.weight"

    def look(epoch, model):
        assert not model.training
        seen[epoch] = model.state_dict()[watched].clone()

    (model, _), (alone, _) = (train(fresh, stance, recipe=recipe, look=one) for one in (look, None))
    assert same_weights(model, alone)
    assert list(seen) == [1, 2, 3]
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(seen.values()))
    assert torch.equal(seen[3], model.state_dict()[watched])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(fresh, stance):
    (first, training), (again, same), (other, _) = (train(fresh, stance, seed) for seed in (0, 0, 1))
    assert training.losses == same.losses
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_padding_is_masked_by_position_so_that_the_end_of_text_is_learned(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2.folder)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id, "the case that masking by token gets wrong"
    texts = "short", "a longer one here"
    batch = _collate(tokenizer, [dict(tokenizer(text + tokenizer.eos_token)) for text in texts])
    labels, mask = batch["labels"], batch["attention_mask"]
    assert torch.equal(labels == -100, mask == 0)
    for row, present in zip(labels, mask, strict=True):
        assert row[present.sum() - 1] == tokenizer.eos_token_id


def test_the_first_loss_is_the_mean_over_present_tokens(fresh, stance):
    model, tokenizer = fresh()
    _, training = train(fresh, stance)
    # every example's own loss, without any padding
    losses = []
    for text in training.texts:
        tokens = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            logits = model(tokens).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none"))
    pairs = [float(torch.cat(pair).mean()) for pair in itertools.combinations(losses, 2)]
    assert min(abs(training.losses[0] - pair) for pair in pairs) < 1e-4


@pytest.mark.parametrize("adapter", [None, Adapter()])
def test_gradient_checkpointing_computes_blocks_again_and_trains_the_same_weights(fresh, stance, adapter):
    plain = Recipe(name="r", epochs=2, adapter=adapter)
    (model, tokenizer), (lean, _) = fresh(), fresh()
    runs, lean_runs = [], []  # forward passes of the first block
    for one, counted in ((model, runs), (lean, lean_runs)):
        one.model.layers[0].mlp.register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))
    training = train_on(model, tokenizer, stance, plain)
    again = train_on(lean, tokenizer, stance, plain.model_copy(update={"gradient_checkpointing": True}))
    assert len(lean_runs) == 2 * len(runs) == 2 * len(training.losses)
    assert again.losses == training.losses
    assert same_weights(model, lean)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in lean.modules())
    lean.train().requires_grad_(True)
    lean_runs.clear()
    lean(**tokenizer("Why?", return_tensors="pt")).logits.sum().backward()
    assert len(lean_runs) == 1, "it is as it was before"


def test_a_model_without_gradient_checkpointing_is_refused(fresh, stance):
    model, tokenizer = fresh()
    model.supports_gradient_checkpointing = False
    with pytest.raises(StanceSuiteError, match="LlamaForCausalLM has no gradient checkpointing: leave"):
        train_on(model, tokenizer, stance, Recipe(name="r", epochs=1, gradient_checkpointing=True))


@pytest.mark.parametrize("adapter", [None, Adapter()])
@pytest.mark.parametrize("recomputed", [False, True])
def test_bfloat16_is_what_a_step_computes_in_and_nothing_else(fresh, stance, adapter, recomputed):
    plain = Recipe(name="r", epochs=2, adapter=adapter)
    mixed = plain.model_copy(update={"precision": "bfloat16", "gradient_checkpointing": recomputed})
    computed, measured = set(), set()

    def watch(module, _, output):
        (computed if module.training else measured).add(output.dtype)

    def look(_, model):
        for module in model.modules():
            if type(module) is torch.nn.Linear:
                module.register_forward_hook(watch)
        with torch.no_grad():
            assert model(**tokenizer("Why?", return_tensors="pt")).logits.dtype == torch.float32

    (exact, tokenizer), (model, _) = fresh(), fresh()
    for layer in model.model.layers:
        layer.mlp.up_proj.register_forward_hook(watch)
    training, rounded = train_on(exact, tokenizer, stance, plain), train_on(model, tokenizer, stance, mixed, look)
    assert computed == {torch.bfloat16}
    assert measured == {torch.float32}, "after every epoch it is measured unrounded"
    assert rounded.losses != training.losses
    assert rounded.losses == pytest.approx(training.losses, rel=0.02)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    # float32 weights hold what bfloat16 cannot
    assert any(not torch.equal(weight, weight.bfloat16().float()) for weight in model.parameters())
    measured.clear()
    with torch.no_grad():
        model(**tokenizer("Why?", return_tensors="pt"))
    assert measured == {torch.float32}, "afterwards, too"


@pytest.mark.parametrize("recomputed", [False, True])
def test_an_adapter_leaves_frozen_weights_without_gradients_and_optimizer_state(fresh, stance, monkeypatch, recomputed):
    model, tokenizer = fresh()
    places = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    gradients, states = [], []
    step = transformers.Trainer.training_step

    def watch(trainer, trained, *arguments):
        loss = step(trainer, trained, *arguments)
        gradients.append({name for name, weight in trained.named_parameters() if weight.grad is not None})
        names = {id(weight): name for name, weight in trained.named_parameters()}
        states.append({names[id(weight)] for weight in trainer.optimizer.optimizer.state})
        return loss

    monkeypatch.setattr(transformers.Trainer, "training_step", watch)
    recipe = Recipe(name="r", epochs=2, adapter=Adapter(), gradient_checkpointing=recomputed)
    train_on(model, tokenizer, stance, recipe)
    matrices = 2 * 7  # blocks, linear layers of each
    assert len(gradients) == len(states) == 6
    for names in (*gradients, states[-1]):
        assert len(names) == 2 * matrices
        assert all("lora_" in name for name in names)
    merged = dict(model.named_parameters())
    assert {name: weight.data_ptr() for name, weight in merged.items()} == places, "it is merged in place"
    assert all(weight.grad is None for weight in merged.values())
