"""Shape annotations of the package are checked while the suite runs."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# before nnsight, which gives every object a `save` that the import of beartype does not survive
import beartype  # noqa: F401
from jaxtyping import install_import_hook

install_import_hook("merit_interp", "beartype.beartype")
