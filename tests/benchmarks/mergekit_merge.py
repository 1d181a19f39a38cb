"""Runs mergekit on a YAML file, with its own interpreter: python mergekit_merge.py CONFIG OUT.

With the VLM's architecture whatever the other models say: mergekit takes that of the first model of
a set, so that one run may take the VLM's and the next the backbone's.
"""

import sys
from pathlib import Path

import yaml
from mergekit import merge
from mergekit.architecture.json_definitions import NAME_TO_ARCH
from mergekit.config import MergeConfiguration
from mergekit.options import MergeOptions

architecture = NAME_TO_ARCH["Qwen2_5_VLForConditionalGeneration"][0]
merge.get_architecture_info = lambda config, options: architecture
content = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
configuration = MergeConfiguration.model_validate(content)
# shards as large as ours, since mergekit holds one in memory
options = MergeOptions(allow_crimes=True, quiet=True, out_shard_size=10**9)
merge.run_merge(configuration, sys.argv[2], options)
