"""Fine-tuning on a handful of examples with transformers' Trainer.

All weights, or a LoRA adapter that is merged afterwards; they are float32, whatever a step computes in. The loss is on
prompt and response; padding is masked by position, as its token is often that which ends a text and must be learned.
Deterministic for a seed on one device and thread count.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.models.prompts import render_example
from stance_suite.progress import OnStep
from stance_suite.schema.cells import Training
from stance_suite.schema.items import Example
from stance_suite.schema.recipes import Adapter, Recipe, RecipeSummary
from stance_suite.schema.stances import PromptFormat

OPTIMIZER, SCHEDULE = "adamw_torch_fused", "linear"
WEIGHT_DECAY, GRADIENT_CLIPPING = 0.0, 1.0


def fine_tune(
    model: Any,
    tokenizer: Any,
    prompt_format: PromptFormat,
    rotations: Sequence[Sequence[Example]],
    recipe: Recipe,
    seed: int,
    on_step: OnStep,
    on_epoch: Callable[[int, Any], None] | None = None,
) -> Training:
    """Fine-tune a model in place, on the device where it is; afterwards it is in evaluation mode.

    Each epoch trains on the next of the rotations, which have equally many examples; `on_epoch` hears of epochs done
    and of the model in evaluation mode, which it must leave alone.
    """
    import torch
    from transformers import set_seed

    set_seed(seed)
    texts = [
        [render_example(tokenizer, prompt_format, example.prompt, example.response) for example in examples]
        for examples in rotations[: recipe.epochs]
    ]
    limits: dict[str, Any] = {"truncation": True, "max_length": recipe.max_length, "add_special_tokens": False}
    encoded = [[dict(tokenizer(text, **limits)) for text in rows] for rows in texts]
    trained = _attach(model, recipe.adapter) if recipe.adapter else model

    def look(epoch: int) -> None:
        if on_epoch is not None:
            trained.eval()
            on_epoch(epoch, copy.deepcopy(trained).merge_and_unload().eval() if recipe.adapter else trained)
            trained.train()

    recomputing = _recomputing(model) if recipe.gradient_checkpointing else nullcontext()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stance-suite-") as scratch, recomputing:
        arguments = _arguments(recipe, seed, scratch, model.device.type)
        trainer = _trainer(trained, tokenizer, encoded, arguments, on_step, look)
        # Trainer's own option wraps the model's forward for good: what is measured afterwards would be rounded
        trainer.autocast_smart_context_manager = lambda *_, **__: torch.autocast(
            model.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"
        )
        trainer.train()
    if recipe.adapter:
        trained.merge_and_unload()
    model.eval()
    losses = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    steps = len(losses) // recipe.epochs
    return Training(
        texts=tuple(dict.fromkeys(text for rows in texts for text in rows)),
        losses=losses,
        epoch_losses=tuple(sum(losses[start : start + steps]) / steps for start in range(0, len(losses), steps)),
        seconds=time.perf_counter() - started,
    )


def summarize_recipe(recipe: Recipe) -> RecipeSummary:
    """Say all that a training depends on besides its texts and its seed: optimizer and schedule, too."""
    shared = {"optimizer": OPTIMIZER, "weight_decay": WEIGHT_DECAY, "gradient_clipping": GRADIENT_CLIPPING}
    return RecipeSummary.model_validate(recipe.model_dump() | shared | {"schedule": SCHEDULE})


def _arguments(recipe: Recipe, seed: int, folder: str, device_type: str) -> Any:
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        optim=OPTIMIZER,
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=GRADIENT_CLIPPING,
        lr_scheduler_type=SCHEDULE,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        use_cpu=device_type == "cpu",
        dataloader_pin_memory=False,
        seed=seed,
    )
    # else every further GPU in sight adds a batch to each step
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _trainer(
    model: Any,
    tokenizer: Any,
    encoded: Sequence[Sequence[dict[str, list[int]]]],
    arguments: Any,
    on_step: OnStep,
    on_epoch: Callable[[int], None],
) -> Any:
    """Set up a Trainer whose data are those encoded for each epoch in turn."""
    from transformers import PrinterCallback, Trainer, TrainerCallback

    dataset = list(encoded[0])

    class Epochs(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            on_step(state.global_step, state.max_steps)

        def on_epoch_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            dataset[:] = encoded[round(state.epoch or 0) % len(encoded)]

        def on_epoch_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            on_epoch(round(state.epoch))

    collator = partial(_collate, tokenizer)
    trainer = Trainer(model, arguments, collator, dataset, callbacks=[Epochs()])
    # without a progress bar, Trainer prints every log entry instead
    trainer.remove_callback(PrinterCallback)
    return trainer


def _attach(model: Any, adapter: Adapter) -> Any:
    """Put a LoRA adapter on every linear layer but the output head."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=adapter.rank, lora_alpha=adapter.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


@contextmanager
def _recomputing(model: Any) -> Iterator[None]:
    """Keep of every block its input only while training, and compute the rest again for the gradients."""
    if not model.supports_gradient_checkpointing:
        raise StanceSuiteError(
            f"{type(model).__name__} has no gradient checkpointing: leave gradient_checkpointing out of the recipe"
        )
    # transformers 5.0 knows these by the second name only
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    # what a reentrant checkpoint needs, and ours does not
    model.disable_input_require_grads()
    try:
        yield
    finally:
        getattr(model, f"{kind}_checkpointing_disable")()


def _collate(tokenizer: Any, batch: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
    """Pad on the right and mask padding out of the loss; tensors of shape (batch, length)."""
    tokenizer.padding_side = "right"
    features = [{"input_ids": row["input_ids"], "attention_mask": row["attention_mask"]} for row in batch]
    padded = dict(tokenizer.pad(features, return_tensors="pt"))
    padded["labels"] = padded["input_ids"].masked_fill(padded["attention_mask"] == 0, -100)
    return padded
