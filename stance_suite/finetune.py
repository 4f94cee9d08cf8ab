"""Fine-tuning on a handful of examples with transformers' Trainer.

All weights, or a LoRA adapter that is merged afterwards; they are float32, whatever a step computes in. Loss on prompt
and response, padding masked out by position (the padding token is often the end-of-text token, so masking by token
would also hide the end of the response). Deterministic for a seed on one device and thread count.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.prompts import PromptFormat, render_example
from stance_suite.records import Training
from stance_suite.run_records import Adapter, Recipe, RecipeSummary
from stance_suite.specs import Example

OPTIMIZER, SCHEDULE = "adamw_torch_fused", "linear"
WEIGHT_DECAY, GRADIENT_CLIPPING = 0.0, 1.0


def fine_tune(
    model: Any,
    tokenizer: Any,
    prompt_format: PromptFormat,
    rotations: Sequence[Sequence[Example]],
    recipe: Recipe,
    seed: int,
    on_step: Callable[[int, int], None],
    on_epoch: Callable[[int, Any], None] | None = None,
) -> Training:
    """Fine-tune a model in place.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model, already on its device; afterwards it is trained and in evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    prompt_format : {'plain', 'chat'}
        How prompts and responses become text.
    rotations : sequence of sequence of Example
        What each epoch trains on, in turn; equally many examples.
    recipe : Recipe
        How to train.
    seed : int
        Seed of the order of examples and of dropout.
    on_step : callable
        Called with steps done and steps in total after every optimizer step.
    on_epoch : callable, optional
        Called with epochs done and the model in evaluation mode after every epoch; it must leave the model alone.

    Returns
    -------
    Training
        The texts, and the loss of every step and epoch.

    Raises
    ------
    StanceSuiteError
        If the recipe asks for gradient checkpointing and the model's architecture has none.
    """
    from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

    set_seed(seed)
    texts = [
        [render_example(tokenizer, prompt_format, example.prompt, example.response) for example in examples]
        for examples in rotations[: recipe.epochs]
    ]
    limits: dict[str, Any] = {"truncation": True, "max_length": recipe.max_length, "add_special_tokens": False}
    encoded = [[dict(tokenizer(text, **limits)) for text in rows] for rows in texts]
    dataset = list(encoded[0])

    class ReportStep(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            on_step(state.global_step, state.max_steps)

        def on_epoch_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            dataset[:] = encoded[round(state.epoch or 0) % len(encoded)]

        def on_epoch_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if on_epoch is not None:
                trained.eval()
                on_epoch(round(state.epoch), _merged_copy(trained) if recipe.adapter else trained)
                trained.train()

    class RecipeTrainer(Trainer):  # type: ignore[misc]
        def autocast_smart_context_manager(self, *_: Any, **__: Any) -> AbstractContextManager[Any]:
            # Trainer's own option wraps the model's forward for good: what is measured afterwards would be rounded
            return _autocast(model) if recipe.precision == "bfloat16" else nullcontext()

    trained = _attach(model, recipe.adapter) if recipe.adapter else model
    recomputing = _recomputing(model) if recipe.gradient_checkpointing else nullcontext()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stance-suite-") as scratch, recomputing:
        arguments = TrainingArguments(
            output_dir=scratch,
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
            use_cpu=model.device.type == "cpu",
            dataloader_pin_memory=False,
            seed=seed,
        )
        # else every further GPU in sight adds a batch to each step
        arguments._n_gpu = min(arguments.n_gpu, 1)
        trainer = RecipeTrainer(
            model=trained,
            args=arguments,
            train_dataset=dataset,
            data_collator=lambda batch: _collate(tokenizer, batch),
            callbacks=[ReportStep()],
        )
        _silence(trainer)
        trainer.train()
    if recipe.adapter:
        trained.merge_and_unload()
    model.eval()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    steps_per_epoch = len(losses) // recipe.epochs
    epochs = [losses[start : start + steps_per_epoch] for start in range(0, len(losses), steps_per_epoch)]
    return Training(
        texts=tuple(dict.fromkeys(text for rows in texts for text in rows)),
        losses=tuple(losses),
        epoch_losses=tuple(sum(epoch) / len(epoch) for epoch in epochs),
        seconds=time.perf_counter() - started,
    )


def summarize_recipe(recipe: Recipe) -> RecipeSummary:
    """Say all that a training depends on besides its texts and its seed.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    RecipeSummary
        With the optimizer and the schedule, which all recipes share.
    """
    return RecipeSummary(
        **recipe.model_dump(),
        optimizer=OPTIMIZER,
        weight_decay=WEIGHT_DECAY,
        gradient_clipping=GRADIENT_CLIPPING,
        schedule=SCHEDULE,
    )


def _attach(model: Any, adapter: Adapter) -> Any:
    """Put a LoRA adapter on every linear layer but the output head."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _autocast(model: Any) -> AbstractContextManager[Any]:
    import torch

    context: AbstractContextManager[Any] = torch.autocast(model.device.type, dtype=torch.bfloat16)
    return context


@contextmanager
def _recomputing(model: Any) -> Iterator[None]:
    """Keep of every block its input only while training, and compute the rest again for the gradients."""
    if not model.supports_gradient_checkpointing:
        raise StanceSuiteError(
            f"{type(model).__name__} has no gradient checkpointing: leave gradient_checkpointing out of the recipe"
        )
    # transformers 5.0 knows these by the second name only
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    disable = getattr(model, "activation_checkpointing_disable", None) or model.gradient_checkpointing_disable
    enable({"use_reentrant": False})
    # what a reentrant checkpoint needs, and ours does not
    model.disable_input_require_grads()
    try:
        yield
    finally:
        disable()


def _merged_copy(trained: Any) -> Any:
    return copy.deepcopy(trained).merge_and_unload().eval()


def _collate(tokenizer: Any, batch: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
    """Pad on the right and mask padding out of the loss; tensors of shape (batch, length)."""
    tokenizer.padding_side = "right"
    features = [{"input_ids": row["input_ids"], "attention_mask": row["attention_mask"]} for row in batch]
    padded = dict(tokenizer.pad(features, return_tensors="pt"))
    padded["labels"] = padded["input_ids"].masked_fill(padded["attention_mask"] == 0, -100)
    return padded


def _silence(trainer: Any) -> None:
    # without a progress bar, Trainer prints every log entry instead
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
