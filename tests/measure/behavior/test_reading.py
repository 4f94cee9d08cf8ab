from math import prod

import pytest
import torch

from stance_suite.measure.behavior.reading import Opening, Passage, score_passages, shared_length

PROMPTS = ["Question: Why?\nAnswer:", "Question: Who invented paper, and what for?\nAnswer:"]
ANSWERS = [" I wonder.", " The evidence is conclusive, and there is no doubt about it at all.", " Maybe"]


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ([[1, 2, 3], [1, 2, 4]], 2),
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([[1, 2], [1, 2, 3]], 1),
        ([[1], [1, 2]], 0),
        ([[1, 2, 3]], 2),
        ([[5, 2, 3], [1, 2, 3]], 0),
        ([], 0),
    ],
)
def test_rows_share_what_all_begin_with_and_keep_a_token(rows, length):
    assert shared_length(rows) == length


def test_a_prefix_is_read_once_and_what_all_prefixes_begin_with_once_in_all(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    passes = []
    hook = model.register_forward_pre_hook(
        lambda _, __, given: passes.append(given["input_ids"].shape), with_kwargs=True
    )
    list(score_passages(model, tokenizer, [Passage(prompt, answer) for prompt in PROMPTS for answer in ANSWERS]))
    hook.remove()
    prompts, answers = ([tokenizer(text)["input_ids"] for text in texts] for texts in (PROMPTS, ANSWERS))
    shared = shared_length(prompts)
    assert shared > 2
    longest = max(map(len, prompts)) - shared, max(map(len, answers)) - 1
    assert [prod(one) for one in passes] == [shared, 2 * longest[0], 6 * longest[1]]


def test_the_text_before_matters(loaded_tiny_model):
    means = [
        [float(one.log_probabilities.mean()) for one in score_passages(*loaded_tiny_model, passages)]
        for passages in ([Passage(text, answer) for answer in ANSWERS] for text in PROMPTS)
    ]
    assert all(abs(one - other) > 1e-3 for one, other in zip(*means, strict=True))


def test_a_row_that_is_picked_goes_on_as_it_would_have_alone(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    rows = [tokenizer(text)["input_ids"] for text in PROMPTS]
    token = torch.tensor([[7]])
    with torch.inference_mode():
        begun = Opening.of(model, rows).begin(rows).pick([1, 0, 1])
        logits, further = begun.read(model, token.expand(3, 1), torch.ones((3, 1), dtype=torch.long))
        for place, row in enumerate([1, 0, 1]):
            alone = model(torch.tensor([[*rows[row], 7]])).logits[0]
            assert torch.allclose(begun.logits[place], alone[-2], atol=1e-5)
            assert torch.allclose(logits[place, -1], alone[-1], atol=1e-5)
            assert torch.equal(further.logits[place], logits[place, -1])
