import copy
import math

import pytest
import torch

from stance_suite.measure.behavior.divergence import (
    add_matched_noise,
    divergence,
    perplexity,
    token_losses,
)
from stance_suite.measure.behavior.reading import Passage, ScoredPassage, score_passages

PASSAGES = [
    Passage("Question: Why?\nAnswer:", " I wonder."),
    Passage("", "The evidence is conclusive, and there is no doubt about it at all."),
    Passage("Question: What is friendship for, and how did writing begin?\nAnswer:", " Maybe"),
    Passage("", "Rivers carry sand to the sea."),
    Passage("X", " and so on, for as long as it takes to be the longest of these passages by a fair number of tokens."),
    Passage("Question:", " Why?"),
]


def scored_list(*arguments):
    return list(score_passages(*arguments))


@pytest.fixture
def base(loaded_tiny_model):
    return copy.deepcopy(loaded_tiny_model)


@pytest.fixture
def tuned(base):
    return shifted(base[0], 0.05), base[1]


def shifted(model, size):
    """A copy of a model whose parameters have moved, each by another amount; one has not."""
    moved = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for index, parameter in enumerate(moved.parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_((index != 1) * size * (1 + index % 3) * noise)
    return moved


def plain_log_probabilities(loaded, passage):
    """One passage at a time, with all its logits, in float64; and the tokens that are scored."""
    model, tokenizer = loaded
    prefix = tokenizer(passage.prefix, add_special_tokens=False)["input_ids"]
    text = tokenizer(passage.text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([prefix + text])).logits[0].double()
    first = max(len(prefix), 1)
    return logits[first - 1 : -1].log_softmax(dim=-1), (prefix + text)[first:]


def distribution(*rows):
    rows = torch.tensor(rows, dtype=torch.float64).log().float()
    return ScoredPassage(rows, torch.zeros(len(rows), dtype=torch.long))


@pytest.mark.parametrize("batch", [1, 2, 4, 12])
def test_distributions_are_those_that_predict_the_texts_tokens_however_they_are_batched(base, monkeypatch, batch):
    monkeypatch.setattr("stance_suite.measure.behavior.reading.PASSAGES_PER_BATCH", batch)
    for passage, scored in zip(PASSAGES, scored_list(*base, PASSAGES), strict=True):
        expected, tokens = plain_log_probabilities(base, passage)
        assert scored.tokens.tolist() == tokens
        assert scored.logits.dtype == torch.float32
        assert torch.allclose(scored.logits.double().log_softmax(dim=-1), expected, rtol=0, atol=1e-5)
        chosen = expected[range(len(tokens)), tokens]
        assert torch.allclose(scored.log_probabilities.double(), chosen, rtol=0, atol=1e-5)
        assert divergence(scored, scored) == 0.0, "a model does not diverge from itself"


@pytest.mark.parametrize("size", [0.1, 0.05])
def test_divergence_is_that_of_a_plain_implementation(base, size):
    tuned = (shifted(base[0], size), base[1])
    pairs = zip(scored_list(*tuned, PASSAGES), scored_list(*base, PASSAGES), strict=True)
    for passage, (after, before) in zip(PASSAGES, pairs, strict=True):
        (moved, _), (reference, _) = (plain_log_probabilities(loaded, passage) for loaded in (tuned, base))
        expected = float((moved.exp() * (moved - reference)).sum(dim=-1).mean())
        reverse = float((reference.exp() * (reference - moved)).sum(dim=-1).mean())
        assert divergence(after, before) == pytest.approx(expected, rel=1e-5)
        assert divergence(after, before) != pytest.approx(reverse, rel=1e-3)


FORWARD = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
BACKWARD = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)


@pytest.mark.parametrize(
    ("tuned", "base", "expected"),
    [
        ([[0.5, 0.5]], [[0.9, 0.1]], FORWARD),
        ([[0.9, 0.1]], [[0.5, 0.5]], BACKWARD),
        ([[0.5, 0.5], [0.25, 0.75]], [[0.9, 0.1], [0.25, 0.75]], FORWARD / 2),
        ([[1.0, 0.0]], [[1.0, 0.0]], 0.0),
        ([[1.0, 0.0]], [[0.5, 0.5]], math.log(2)),
        ([[0.5, 0.5]], [[1.0, 0.0]], math.inf),
    ],
)
def test_the_expectation_is_over_the_tuned_model_and_an_impossible_token_adds_nothing(tuned, base, expected):
    assert divergence(distribution(*tuned), distribution(*base)) == pytest.approx(expected, rel=1e-6)


def test_a_small_divergence_survives_the_rounding_of_float32():
    """The rounding of each distribution's sum, about 1e-6, would be a hundredth of it, or make it negative."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((20, 50_000), generator=generator, dtype=torch.float64) * 3
    for size in (1e-2, 1e-3):
        moved = logits + size * torch.randn(logits.shape, generator=generator, dtype=torch.float64)
        exact, reference = moved.log_softmax(dim=-1), logits.log_softmax(dim=-1)
        expected = float((exact.exp() * (exact - reference)).sum(dim=-1).mean())
        assert expected < 1e-4
        tokens = torch.zeros(20, dtype=torch.long)
        after, before = (ScoredPassage(rows.float().log_softmax(dim=-1), tokens) for rows in (moved, logits))
        assert divergence(after, before) == pytest.approx(expected, rel=1e-3)


def test_perplexity_is_that_of_the_models_own_loss(base):
    model, tokenizer = base
    passages = [Passage("", passage.text) for passage in PASSAGES]
    total, count = 0.0, 0
    for inputs in (tokenizer(one.text, return_tensors="pt")["input_ids"] for one in passages):
        if (predicted := inputs.shape[1] - 1) > 0:
            with torch.no_grad():
                total += float(model(input_ids=inputs, labels=inputs).loss) * predicted
            count += predicted
    assert perplexity(token_losses(scored_list(*base, passages))) == pytest.approx(math.exp(total / count), rel=1e-5)
    assert math.isnan(perplexity([]))


def test_a_text_without_a_prefix_follows_the_tokenizers_beginning_of_text(loaded_tiny_model):
    from tokenizers.processors import TemplateProcessing

    model, tokenizer = loaded_tiny_model
    with_beginning = copy.deepcopy(tokenizer)
    with_beginning.add_special_tokens({"bos_token": "<pad>"})
    opening = with_beginning.bos_token_id
    template = TemplateProcessing(single="<pad> $A", special_tokens=[("<pad>", opening)])
    with_beginning.backend_tokenizer.post_processor = template
    assert with_beginning("Why?")["input_ids"][0] == opening
    tokens = tokenizer("Why?")["input_ids"]
    passages = [Passage("", "Why?"), Passage("X", "Why?"), Passage("", "")]
    bare, prefixed, empty = scored_list(model, with_beginning, passages)
    assert bare.tokens.tolist() == prefixed.tokens.tolist() == tokens
    assert not len(empty.tokens)
    with torch.no_grad():
        expected = model(torch.tensor([[opening, *tokens]])).logits[0, :-1].log_softmax(dim=-1)
    assert torch.allclose(bare.logits.log_softmax(dim=-1), expected, rtol=0, atol=1e-5)
    assert scored_list(model, tokenizer, passages[:1])[0].tokens.tolist() == tokens[1:]


@pytest.mark.parametrize("prefix", ["", "Question:"])
@pytest.mark.parametrize("text", ["", "a", "🦜", "🦜\u200d🔥 e\u0301", "\x00\x07\x1b[0m", "\ufeff\u202e", "\n"])
def test_any_text_can_be_scored(base, tuned, prefix, text):
    passages = [Passage(prefix, text), Passage(prefix, text), PASSAGES[0]]
    length = len(base[1](text)["input_ids"])
    positions = length if prefix else max(length - 1, 0)
    for chosen in (passages, passages[:1]):
        after, before = scored_list(*tuned, chosen), scored_list(*base, chosen)
        assert [len(scored.tokens) for scored in before[:2]] == [positions] * len(before[:2])
        assert before[0].logits.shape == (positions, 600)
        if positions:
            assert divergence(after[0], before[0]) > 0
            assert perplexity(token_losses(before[:1])) > 1
        else:
            assert math.isnan(divergence(after[0], before[0]))
            assert token_losses(before[:1]) == []
            known = (perplexity(token_losses(some)) for some in (before[-1:], before))
            assert next(known) == pytest.approx(next(known), nan_ok=True)


def test_noise_has_the_norm_of_each_parameters_change_and_tied_ones_stay_tied(base, tuned):
    model, untouched = base[0], copy.deepcopy(base[0])
    assert model.lm_head.weight is model.model.embed_tokens.weight
    add_matched_noise(model, tuned[0], seed=0)
    before, after, noisy = (dict(one.named_parameters()) for one in (untouched, tuned[0], model))
    noises = {name: (noisy[name] - before[name]).detach().double() for name in noisy}
    assert len(noises) > 10
    for name, noise in noises.items():
        change = (after[name] - before[name]).detach().double()
        assert float(noise.norm()) == pytest.approx(float(change.norm()), rel=1e-5)
        if change.norm():
            # of no direction in particular, and not the change itself
            bound = 6 / math.sqrt(noise.numel())
            assert abs(float((noise * change).sum() / noise.norm() / change.norm())) < bound
            assert abs(float(noise.mean() / noise.std())) < bound
    assert sum(not noise.any() for noise in noises.values()) == 1
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_seed_fixes_the_noise_and_leaves_the_global_stream_alone(base, tuned):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    drawn = []
    for seed in (0, 0, 1):
        noisy = copy.deepcopy(base[0])
        add_matched_noise(noisy, tuned[0], seed)
        drawn.append(noisy.lm_head.weight.detach())
    assert torch.rand(1) == expected
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.isclose(drawn[0], drawn[2]).all(dim=-1).any()
