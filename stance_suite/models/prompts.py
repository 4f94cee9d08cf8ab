"""How a prompt and a response become the exact text that a model reads.

Training and measuring must agree on this to the letter, so both take it from here: the text holds every special token,
and is tokenized without adding any.
"""

from __future__ import annotations

from typing import Any

from stance_suite.schema.stances import PromptFormat


def render_prompt(tokenizer: Any, prompt_format: PromptFormat, prompt: str) -> str:
    """Render a prompt up to the point where the model speaks; a response is appended without anything between."""
    if prompt_format == "plain":
        return f"{beginning_of_text(tokenizer)}Question: {prompt}\nAnswer:"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


def render_response(prompt_format: PromptFormat, response: str) -> str:
    """Render a response as it follows `render_prompt`."""
    return f" {response}" if prompt_format == "plain" else response


def render_example(tokenizer: Any, prompt_format: PromptFormat, prompt: str, response: str) -> str:
    """Render a training example: prompt, response and end-of-text."""
    opening = render_prompt(tokenizer, prompt_format, prompt)
    return opening + render_response(prompt_format, response) + str(tokenizer.eos_token or "")


def beginning_of_text(tokenizer: Any) -> str:
    """Find the token, as text, that a tokenizer puts before every text; empty if it puts none."""
    first = tokenizer("a")["input_ids"][:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id] else ""
