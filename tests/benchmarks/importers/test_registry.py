"""What holds for every importer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from merit_interp.benchmarks.importers import NAMES, benchmark_named
from merit_interp.benchmarks.roles import SHIPPED
from merit_interp.errors import SettingError

ROLES = json.loads(SHIPPED.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_is_what_its_file_is_called_and_has_roles(name: str) -> None:
    benchmark = benchmark_named(name)
    assert benchmark.name == name
    assert benchmark.title
    assert benchmark.annotations
    assert benchmark.source
    assert set(ROLES[name].values()) <= {"reasoning", "perception"}
    assert len(set(benchmark.subsets)) == len(benchmark.subsets)


def test_the_roles_are_of_benchmarks() -> None:
    assert set(ROLES) == set(NAMES)


def test_the_issues_twenty_are_there() -> None:
    assert len(NAMES) == 20


def test_names_are_taken_with_hyphens_and_unknown_ones_refused() -> None:
    assert benchmark_named("Next-GQA").name == "next_gqa"
    with pytest.raises(SettingError, match=r"there is no importer for 'nextqa2'; valid: .*next_qa"):
        benchmark_named("nextqa2")


def test_naming_them_on_the_command_line_loads_none() -> None:
    code = (
        "import sys, merit_interp.cli.main\n"
        "loaded = [name for name in sys.modules if 'importers.' in name or 'importing' in name]\n"
        "assert not loaded, loaded\n"
        "assert not set(sys.modules) & {'av', 'numpy', 'pyarrow'}"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_importers_load_no_torch() -> None:
    code = (
        "import sys\n"
        "from merit_interp.benchmarks.importers import NAMES, benchmark_named\n"
        "for name in NAMES: benchmark_named(name)\n"
        "assert not set(sys.modules) & {'torch', 'transformers', 'decord', 'pandas'}"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
