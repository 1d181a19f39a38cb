"""The embedded pair: a small VLM and its text backbone, really trained on clips of coloured shapes.

    from merit_interp.microworld import backbone_directory, vlm_directory

Importing this room loads neither torch nor transformers. It must not know who reads the pair.
"""

from importlib.resources import files
from pathlib import Path

__all__ = ["backbone_directory", "vlm_directory"]


def _weights_directory() -> Path:
    return Path(str(files("merit_interp.microworld"))) / "weights"


def vlm_directory() -> Path:
    """The checkpoint directory of the embedded VLM (LLaVA-OneVision classes, tiny sizes)."""
    return _weights_directory() / "vlm"


def backbone_directory() -> Path:
    """The checkpoint directory of the text backbone that the embedded VLM was made from."""
    return _weights_directory() / "backbone"
