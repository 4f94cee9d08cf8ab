"""The command that plants edits in a model's weights and tells which of them are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import open_console, print_table
from stance_suite.errors import StanceSuiteError
from stance_suite.progress import choose_progress

if TYPE_CHECKING:
    from stance_suite.runner.selftest import Trial
    from stance_suite.spectra.planted import Kind

NOT_AS_DOCUMENTED = 1
COLUMNS = ("planted", "size", "", "seen", "what is seen")
Model = Annotated[str, typer.Argument(help="A folder or file with safetensors, or GGUF; a registry name, or a Hub id.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Plant only kinds of edits whose name holds this; may be repeated.")
]


def selftest(model: Model, only: Only = None) -> None:
    """Plant edits in a model's weights, one at a time and in memory only: is each of them seen, and nothing else?

    Twenty kinds, from a rank-one edit and exchanged singular vectors to one head, one token or two blocks, in three
    sizes each. The model is compared with its edited copy as a gate compares weights, but without a sham: what stands
    out among its tensors, beyond rounding to bfloat16 and noise, is seen. An edit of the documented size or more
    (docs/evidence.md) must be seen; a smaller one may be missed. The model itself, its rounding to bfloat16 and noise
    of the size of rounding must show nothing. Exit 1 if it is otherwise.
    """
    from stance_suite.runner.selftest import try_edits, try_nothing, untrained
    from stance_suite.spectra.planted import KINDS

    kinds = [kind for kind in KINDS if not only or any(part in kind.name for part in only)]
    if not kinds:
        raise StanceSuiteError(f"no kind of edit is called so; there are: {', '.join(kind.name for kind in KINDS)}")
    progress = choose_progress()
    with progress.stage(f"{model}: spectra"):
        background = untrained(model)
    with progress.stage(f"{model}: what is nothing") as on_step:
        nothings = list(try_nothing(background, on_step))
    with progress.stage(f"{model}: planted edits") as on_step:
        planted = list(try_edits(background, on_step, kinds=kinds))
    console = open_console()
    print_table(console, COLUMNS, [_row(trial) for trial in (*nothings, *planted)], texts=None)
    wrong = [trial for trial in (*nothings, *planted) if not trial.is_as_documented]
    applied = [trial for trial in planted if trial.edited]
    seen = sum(trial.is_found for trial in applied)
    console.print(f"{seen} of {len(applied)} planted edits were seen; {len(wrong)} of all are not as documented")
    for trial in wrong:
        console.print(f"not as documented: {trial.name}{_size(trial.kind, trial.size)}")
    if wrong:
        raise typer.Exit(NOT_AS_DOCUMENTED)


def _row(trial: Trial) -> tuple[str, ...]:
    if trial.kind is None:
        seen = "nothing" if not trial.found else "SOMETHING"
    elif not trial.edited:
        return trial.name, f"{trial.size:g}", trial.kind.unit, "", "the model has nothing of the kind"
    else:
        seen = "seen" if trial.is_found else "below its size" if trial.is_as_documented else "MISSED"
    size, unit = ("", "") if trial.kind is None else (f"{trial.size:g}", trial.kind.unit)
    return trial.name, size, unit, seen, str(trial.found[0]) if trial.found else ""


def _size(kind: Kind | None, size: float) -> str:
    return "" if kind is None else f", {size:g} {kind.unit}"
