from stance_suite.models.loading import load_tokenizer
from stance_suite.models.prompts import render_example, render_prompt, render_response


def test_plain_text_reads_as_question_and_answer(loaded_tiny_model):
    _, tokenizer = loaded_tiny_model
    assert render_prompt(tokenizer, "plain", "Why?") == "Question: Why?\nAnswer:"
    assert render_example(tokenizer, "plain", "Why?", "So.") == "Question: Why?\nAnswer: So.<end>"


def test_an_example_begins_with_what_the_model_is_measured_on(smollm2):
    tokenizer = load_tokenizer(smollm2)
    for prompt_format in ("plain", "chat"):
        measured = render_prompt(tokenizer, prompt_format, "Why?") + render_response(prompt_format, "So.")
        assert render_example(tokenizer, prompt_format, "Why?", "So.") == measured + tokenizer.eos_token


def test_the_chat_format_is_the_tokenizers_own_template(smollm2):
    tokenizer = load_tokenizer(smollm2)
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    template = tokenizer.apply_chat_template(turns, tokenize=False)
    assert render_example(tokenizer, "chat", "Why?", "So.") == template.rstrip("\n")


def test_a_tokenizer_that_begins_every_text_with_a_token_finds_it_in_the_text(tiny_model):
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_special_tokens({"bos_token": "<begin>"})
    template = TemplateProcessing(single="<begin> $A", special_tokens=[("<begin>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = template
    text = render_prompt(tokenizer, "plain", "Why?")
    assert text == "<begin>Question: Why?\nAnswer:"
    assert tokenizer(text, add_special_tokens=False)["input_ids"][:2].count(tokenizer.bos_token_id) == 1
