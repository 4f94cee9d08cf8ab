"""Models and tokenizers read from the folder that `sources.locate` found; LoRA adapters are merged into their base."""

from __future__ import annotations

import functools
from typing import Any
from warnings import catch_warnings, simplefilter

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.files import ADAPTER_CONFIG
from stance_suite.models.sources import Weights
from stance_suite.models.transformers_settings import LOADING, quiet_transformers


def load(weights: Weights) -> tuple[Any, Any]:
    """Load a model as `load_model` does, and its tokenizer."""
    return load_model(weights), load_tokenizer(weights)


def load_tokenizer(weights: Weights) -> Any:
    """Load a model's tokenizer, with a padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.folder, **LOADING)
    except (ValueError, KeyError, OSError) as error:
        raise _not_loadable(weights, error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(weights: Weights) -> Any:
    """Load a causal language model in float32, on the CPU and in evaluation mode."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            weights.folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **LOADING
        )
    except (ValueError, KeyError, OSError, SafetensorError, ImportError) as error:
        # ImportError: quantized by a library that is not here
        raise _not_loadable(weights, error) from error
    absent = sorted({*loading["missing_keys"], *(entry[0] for entry in loading["mismatched_keys"])})
    if absent:  # transformers fills them with random numbers
        raise _refused(weights, f"lacks weights of the model in its config.json, such as {absent[0]}")
    damaged = [name for name, parameter in model.named_parameters() if not bool(torch.isfinite(parameter).all())]
    if damaged:
        raise _refused(weights, f"holds weights that are NaN or infinite, such as {damaged[0]}")
    return model.eval()


@functools.cache
def empty_model(weights: Weights) -> Any:
    """Build a model as its config describes it, on PyTorch's device ``meta``: names and shapes, no values."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    quiet_transformers()
    try:
        config = AutoConfig.from_pretrained(weights.folder, **LOADING)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, OSError) as error:
        raise _not_loadable(weights, error) from error


def loaded_names(weights: Weights) -> tuple[str, ...]:
    """Tell what a loaded model calls its modules and parameters, by long names, without loading its weights."""
    model = empty_model(weights)
    return (*(name for name, _ in model.named_modules()), *(name for name, _ in model.named_parameters()))


def load_derivative(derivative: Weights, base: Weights) -> tuple[Any, Any]:
    """Load a model or adapter that was trained elsewhere, with its base's tokenizer: both must read the same tokens."""
    untouched, tokenizer = load(base)
    expected = _shapes(untouched)
    if (derivative.folder / ADAPTER_CONFIG).is_file():
        model = _merge_adapter(untouched, derivative, base)
    else:
        del untouched  # there may be room for one of the two only
        model = load_model(derivative)
    # refused now: noise and spectra would stumble over it after minutes of measuring
    found, absent = _shapes(model), "absent or tied to another"
    for name in {**expected, **found}:
        if found.get(name) != expected.get(name):
            raise WeightsUnavailableError(
                f"{derivative.folder} cannot be compared with {base.name}: {name} is {found.get(name, absent)} in the "
                f"first and {expected.get(name, absent)} in the second"
            )
    return model, tokenizer


def _merge_adapter(untouched: Any, derivative: Weights, base: Weights) -> Any:
    from peft import PeftModel
    from safetensors import SafetensorError

    folder = str(derivative.folder)
    loading: dict[str, Any] = {"local_files_only": True, "torch_device": "cpu"}
    try:
        with catch_warnings():  # what peft warns of is refused here and by the caller
            simplefilter("ignore")
            adapted = PeftModel.from_pretrained(untouched, folder, **loading)
            if not hasattr(adapted, "merge_and_unload"):
                raise _no_adapter(derivative, base, "it changes the input and no weights")
            # read once more, for what that tells: peft leaves out what does not fit, and goes on
            read = adapted.load_adapter(folder, "default", **loading)
            left_out = [*read.missing_keys, *read.unexpected_keys]
            if left_out:
                raise _no_adapter(derivative, base, f"{left_out[0]} is in one of the two only")
            return adapted.merge_and_unload().eval()
    except (ValueError, RuntimeError, KeyError, OSError, TypeError, SafetensorError) as error:
        raise _no_adapter(derivative, base, str(error) or type(error).__name__) from error


def _no_adapter(derivative: Weights, base: Weights, why: str) -> WeightsUnavailableError:
    return WeightsUnavailableError(
        f"{derivative.folder} is no adapter that fits {base.name}: {why.splitlines()[0]}; option before must be the "
        "model that it was trained on"
    )


def _shapes(model: Any) -> dict[str, str]:
    return {name: " x ".join(map(str, parameter.shape)) for name, parameter in model.named_parameters()}


def _not_loadable(weights: Weights, error: Exception) -> WeightsUnavailableError:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return _refused(weights, f"cannot be loaded: {first_line}")


def _refused(weights: Weights, why: str) -> WeightsUnavailableError:
    return WeightsUnavailableError(f"{weights.name}: {weights.folder} {why}")
