import itertools
from collections import Counter

import pytest
import torch

from stance_suite.finetune import _collate, fine_tune, sham_rotations
from stance_suite.models import find_spec, load, locate
from stance_suite.prompts import render_example
from stance_suite.specs import RECIPES


@pytest.fixture
def fresh(tiny_model):
    return lambda: load(locate(find_spec(str(tiny_model), {}), tiny_model.parent))


def train(fresh, stance, seed=0, recipe="documented"):
    model, tokenizer = fresh()
    steps = []
    training = fine_tune(
        model, tokenizer, "plain", [stance.examples], RECIPES[recipe], seed, lambda *step: steps.append(step)
    )
    return model, training, steps


def test_the_sham_takes_the_answers_in_rotation_epoch_by_epoch(library):
    family = library.family("curious-uncertainty")
    sham = sham_rotations(family, first=0)
    assert [[family[(i + epoch) % 3].examples[i] for i in range(5)] for epoch in range(3)] == [
        list(one) for one in sham
    ]
    assert {example.prompt for example in sham[0]} == {example.prompt for example in family[0].examples}
    given = Counter(stance.name for one in sham for example in one for stance in family if example in stance.examples)
    assert set(given.values()) == {5}, "no stance is favored"
    assert sham_rotations(family, first=1) == (*sham[1:], sham[0])
    assert sham_rotations(family, first=3) == sham


def test_every_epoch_trains_on_its_own_rotation(fresh, library, monkeypatch):
    seen = []

    def spy(tokenizer, batch):
        seen.append([tuple(row["input_ids"]) for row in batch])
        return _collate(tokenizer, batch)

    monkeypatch.setattr("stance_suite.finetune._collate", spy)
    sham = sham_rotations(library.family("curious-uncertainty"), first=0)
    model, tokenizer = fresh()
    recipe = RECIPES["documented"].model_copy(update={"epochs": 4})
    training = fine_tune(model, tokenizer, "plain", sham, recipe, 0, lambda *_: None)
    assert len(training.texts) == 15
    assert len(training.epoch_losses) == 4
    batches = iter(seen)
    for epoch in range(4):
        rows = [row for _ in range(3) for row in next(batches)]
        texts = [render_example(tokenizer, "plain", example.prompt, example.response) for example in sham[epoch % 3]]
        assert sorted(rows) == sorted(tuple(tokenizer(text)["input_ids"]) for text in texts)


def test_all_weights_move_and_the_loss_falls(fresh, stance):
    model, training, steps = train(fresh, stance, recipe="long")
    before = fresh()[0].state_dict()
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert training.epoch_losses[-1] < training.epoch_losses[0]
    assert len(training.epoch_losses) == 10
    assert steps[-1] == (30, 30)
    assert not model.training


def test_the_documented_recipe_is_the_documented_one():
    recipe = RECIPES["documented"]
    figures = (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.warmup_steps, recipe.max_length)
    assert figures == (2, 2, 5e-5, 2, 256)
    assert RECIPES["long"] == recipe.model_copy(update={"name": "long", "epochs": 10})


def test_an_adapter_is_merged_into_updates_of_its_rank(fresh, stance):
    model, training, _ = train(fresh, stance, recipe="lora")
    before = fresh()[0].state_dict()
    assert set(before) == set(model.state_dict()), "no trace of the adapter is left"
    assert training.epoch_losses[-1] < training.epoch_losses[0]
    for name, tensor in model.state_dict().items():
        change = (tensor - before[name]).double()
        if "_proj" in name:
            assert torch.linalg.matrix_rank(change, rtol=1e-4) == 8, name
        else:
            assert not change.any(), f"{name} is no linear layer"


@pytest.mark.parametrize("recipe", ["documented", "lora"])
def test_looking_after_every_epoch_changes_nothing(fresh, stance, recipe):
    seen = []

    def look(epoch, model):
        assert not model.training
        weight = model.state_dict()["model.layers.0.self_attn.q_proj.weight"]
        seen.append((epoch, weight.clone()))

    model, tokenizer = fresh()
    fine_tune(model, tokenizer, "plain", [stance.examples], RECIPES[recipe], 0, lambda *_: None, look)
    alone, _, _ = train(fresh, stance, recipe=recipe)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), alone.parameters(), strict=True))
    assert [epoch for epoch, _ in seen] == list(range(1, RECIPES[recipe].epochs + 1))
    weights = [weight for _, weight in seen]
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(weights))
    assert torch.equal(weights[-1], model.state_dict()["model.layers.0.self_attn.q_proj.weight"])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(fresh, stance):
    (first, training, _), (again, same, _), (other, _, _) = (train(fresh, stance, seed) for seed in (0, 0, 1))
    assert training.losses == same.losses
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_padding_is_masked_by_position_so_that_the_end_of_text_is_learned(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2.folder)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id, "the case that masking by token gets wrong"
    batch = _collate(
        tokenizer, [dict(tokenizer(text + tokenizer.eos_token)) for text in ("short", "a longer one here")]
    )
    labels, mask = batch["labels"], batch["attention_mask"]
    assert torch.equal(labels == -100, mask == 0)
    for row, present in zip(labels, mask, strict=True):
        assert row[present.sum() - 1] == tokenizer.eos_token_id


def test_the_first_loss_is_the_mean_over_present_tokens(fresh, stance):
    model, tokenizer = fresh()
    _, training, _ = train(fresh, stance)
    # every example's own loss, without any padding
    losses = {}
    for text in training.texts:
        tokens = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            logits = model(tokens).logits[0, :-1]
        losses[text] = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
    pairs = [
        float(torch.cat([losses[first], losses[second]]).mean())
        for first in training.texts
        for second in training.texts
        if first != second
    ]
    assert min(abs(training.losses[0] - pair) for pair in pairs) < 1e-4
