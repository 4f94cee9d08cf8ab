from stance_suite.prompts import render_example, render_prompt, render_response


def test_plain_text_reads_as_question_and_answer(loaded_tiny_model):
    _, tokenizer = loaded_tiny_model
    assert render_prompt(tokenizer, "plain", "Why?") == "Question: Why?\nAnswer:"
    assert render_example(tokenizer, "plain", "Why?", "So.") == "Question: Why?\nAnswer: So.<end>"


def test_an_example_begins_with_what_the_model_is_measured_on(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2.folder)
    for prompt_format in ("plain", "chat"):
        measured = render_prompt(tokenizer, prompt_format, "Why?") + render_response(prompt_format, "So.")
        assert render_example(tokenizer, prompt_format, "Why?", "So.") == measured + tokenizer.eos_token


def test_the_chat_format_is_the_tokenizers_own_template(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2.folder)
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    template = tokenizer.apply_chat_template(turns, tokenize=False)
    assert render_example(tokenizer, "chat", "Why?", "So.") == template.rstrip("\n")
