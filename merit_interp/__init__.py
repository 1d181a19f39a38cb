"""Find, apply and explain layer-selective merges in video-language models.

import merit_interp as mi

Importing the package loads neither torch nor transformers.
"""

from __future__ import annotations

__version__ = "0.1.0"
