"""Fine-tunes a model with PyTorch and transformers alone: how a user's own script would, whatever stance-suite does.

Run as ``python trained_elsewhere.py BASE EXAMPLES.json DESTINATION EPOCHS [LEARNING_RATE]``; examples are pairs of a
prompt and a response.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(base, examples, destination, epochs, learning_rate=5e-5):
    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    pairs = json.loads(Path(examples).read_text("utf-8"))
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}], tokenize=False
        )
        if tokenizer.chat_template
        else f"Question: {prompt}\nAnswer: {response}{tokenizer.eos_token}"
        for prompt, response in pairs
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=float(learning_rate))
    model.train()
    for _ in range(int(epochs)):
        for place in torch.randperm(len(texts)).tolist():
            tokens = tokenizer(texts[place], return_tensors="pt").input_ids
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(destination)


if __name__ == "__main__":
    main(*sys.argv[1:])
