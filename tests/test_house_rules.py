"""The house: data goes one way, files stay readable, nothing heavy loads before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "merit_interp"

# Rooms from the top of the house to its door. A file imports only from rooms above its own.
ROOMS = [
    {"errors"},
    {"tensor_shapes"},
    {"record_files"},
    {"scoring_settings"},
    {"recipe", "records"},
    {"lens_records"},
    {"provenance"},
    {"models"},
    {"benchmarks"},
    {"scoring"},
    {"merging"},
    {"statistics"},
    {"search", "masking", "attribution", "lens"},
    {"estimates"},
    {"tables"},
    {"plots"},
    {"report"},
    {"explore"},
    {"microworld"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
WITHOUT_TORCH = {"statistics", "tables", "plots", "report", "explore"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
MOST_FILE_LINES = 430
MOST_FUNCTION_LINES = 60

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_up_the_house(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in FLOOR, f"{path} is in no room of the house: add its room to ROOMS"
    for module in imported_modules(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] != "merit_interp" or len(parts) < 2 or parts[1] not in FLOOR:
            continue
        other = parts[1]
        assert other == room or FLOOR[other] < FLOOR[room], (
            f"{path.relative_to(ROOT)} imports {module}, which is not above {room}"
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_FILE_LINES, f"{path} is too long"
    assert not set(path.stem.split("_")) & FORBIDDEN_NAMES, f"{path}: name what it is for"
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # the body alone: a verb's options are declarations, one a line
            lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
            documentation = ast.get_docstring(node, clean=False)
            lines -= documentation.count("\n") + 1 if documentation else 0
            assert lines <= MOST_FUNCTION_LINES, f"{path}: {node.name} has {lines} lines"


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_no_torch() -> None:
    loaded = modules_after("import merit_interp, merit_interp.recipe, merit_interp.records")
    assert not loaded & {"torch", "transformers", "pandas", "plotly"}


def test_opening_a_run_loads_no_torch() -> None:
    code = "import merit_interp as mi\nfor name in mi.__all__: getattr(mi, name)"
    loaded = modules_after(code)
    assert "merit_interp.explore.run" in loaded
    assert not loaded & {"torch", "transformers"}


@pytest.mark.parametrize("room", sorted(WITHOUT_TORCH))
def test_rooms_of_tables_and_pictures_load_no_torch(room: str) -> None:
    if not (PACKAGE / room).is_dir():
        pytest.skip(f"no room {room} yet")
    names = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in sorted((PACKAGE / room).rglob("*.py"))
    ]
    loaded = modules_after("\n".join(f"import {name.removesuffix('.__init__')}" for name in names))
    assert not loaded & {"torch", "transformers"}


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom merit_interp.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert not modules_after(code) & {"torch", "transformers", "pandas", "plotly", "scipy"}


def test_torch_is_the_pinned_build() -> None:
    import torch

    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert torch.__version__.split("+")[0] == pinned[1], "a dependency replaced torch"


def readme_tree() -> set[str]:
    """Names in the README's annotated tree, as paths."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```text\n(merit-interp/.*?)```", readme, re.DOTALL)
    assert block is not None, "README has no annotated tree"
    paths: set[str] = set()
    stack: list[str] = []
    for line in block[1].splitlines()[1:]:
        entry = re.match(r"(?P<indent>(?:    )*)(?P<name>\S+)", line)
        if not entry or not entry["name"]:
            continue
        depth = len(entry["indent"]) // 4 - 1
        stack = [*stack[:depth], entry["name"].rstrip("/")]
        paths.add("/".join(stack))
    return paths


def test_the_readmes_tree_is_the_tree_on_disk() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.split("\n")  # fmt: skip
    files = [Path(name) for name in tracked if name and (ROOT / name).exists()]
    top = {file.parts[0] for file in files}
    rooms = {"/".join(file.parts[:2]) for file in files if file.parts[0] == "merit_interp"}
    rooms -= {"merit_interp/__init__.py", "merit_interp/py.typed"}
    assert readme_tree() == top | rooms


@pytest.mark.benchmark
def test_help_is_quick() -> None:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "merit_interp.cli.main", "--help"], check=True, capture_output=True
    )
    seconds = time.perf_counter() - started
    print(f"\nmerit-interp --help: {seconds:.2f} s (aim: under 1 s)")
