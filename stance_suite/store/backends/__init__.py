"""Where the bytes of records are kept: in a folder, or wherever fsspec reaches (``s3://``, ``gs://``).

What is kept is written whole or not at all, and never written over. A claim keeps others from making what one process
makes already: by a lock that the operating system frees when its process dies, and so on one machine only, or on those
whose shared folder locks between them. Machines that share a remote place have none, because a lease would trust their
clocks: two may make the same record, and the first one wins.
"""

from __future__ import annotations

from pathlib import Path

from stance_suite.store.backends.folder import FolderBackend
from stance_suite.store.backends.protocol import Backend


def open_backend(location: str) -> Backend:
    """Open a folder, or a URL that fsspec knows; nothing is made before something is written."""
    protocol, separator, rest = location.partition("://")
    if not separator or protocol in ("file", "local"):
        return FolderBackend(Path(rest if separator else location))
    from stance_suite.store.backends.remote import RemoteBackend

    return RemoteBackend(location)
