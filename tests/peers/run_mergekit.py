"""Runs mergekit's own files, with its own interpreter: python run_mergekit.py CONFIG OUT [...]."""

import sys
from pathlib import Path

import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions

for config, out in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    content = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    options = MergeOptions(quiet=True, copy_tokenizer=False, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(content), out, options)
