"""How a prompt and a response become the exact text that a model reads.

Training and measuring must agree on this to the letter, so both take it from here: the text holds every special token,
and is tokenized without adding any.
"""

from __future__ import annotations

from typing import Any, Literal

PromptFormat = Literal["plain", "chat"]


def render_prompt(tokenizer: Any, prompt_format: PromptFormat, prompt: str) -> str:
    """Render a prompt up to the point where the model speaks.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        The model's tokenizer.
    prompt_format : {'plain', 'chat'}
        ``plain``: ``Question: … Answer:``; ``chat``: the tokenizer's chat template.
    prompt : str
        The prompt as declared.

    Returns
    -------
    str
        The text; a response is appended to it without anything between.
    """
    if prompt_format == "plain":
        return f"{beginning_of_text(tokenizer)}Question: {prompt}\nAnswer:"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


def render_response(prompt_format: PromptFormat, response: str) -> str:
    """Render a response as it follows `render_prompt`.

    Parameters
    ----------
    prompt_format : {'plain', 'chat'}
        See `render_prompt`.
    response : str
        The response as declared.

    Returns
    -------
    str
        The text to append.
    """
    return f" {response}" if prompt_format == "plain" else response


def render_example(tokenizer: Any, prompt_format: PromptFormat, prompt: str, response: str) -> str:
    """Render a training example: prompt, response and end-of-text.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        The model's tokenizer.
    prompt_format : {'plain', 'chat'}
        See `render_prompt`.
    prompt : str
        The prompt as declared.
    response : str
        The response as declared.

    Returns
    -------
    str
        The whole text.
    """
    opening = render_prompt(tokenizer, prompt_format, prompt)
    return opening + render_response(prompt_format, response) + str(tokenizer.eos_token or "")


def beginning_of_text(tokenizer: Any) -> str:
    """Find the token that a tokenizer puts before every text.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        The tokenizer.

    Returns
    -------
    str
        The token as text; empty if it puts none.
    """
    first = tokenizer("a")["input_ids"][:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id] else ""
