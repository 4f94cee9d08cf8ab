"""How transformers is called: from local files, running no code of theirs, quietly."""

from __future__ import annotations

from typing import Any

LOADING: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def quiet_transformers() -> None:
    """Silence progress bars and advice that transformers prints while loading."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
