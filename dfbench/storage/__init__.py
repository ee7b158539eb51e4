"""Object stores: paths that are URLs (``s3://``, ``gs://``, any that fsspec opens), and staging of what they hold.

Everything that knows fsspec is in this package. Elsewhere a path from a user is made by :func:`as_path`; where the path
is a URL it is a :class:`StoredPath`, which is read, listed and written whole as a local path would be. Whatever needs a
local file raises an error that names the URL.
"""

from __future__ import annotations

from dfbench.storage.path import StoredPath, as_path, is_url
from dfbench.storage.staging import StagedFiles, StagedTree, staging_home, working_path
from dfbench.storage.tree import StoredTree

# fmt: off
__all__ = [
    "StagedFiles", "StagedTree", "StoredPath", "StoredTree", "as_path", "is_url", "staging_home", "working_path",
]
# fmt: on
