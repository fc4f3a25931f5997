"""The house: layers, names, files, start-up time, and what the wheel holds."""

import ast
import importlib.util
import re
import statistics
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
COMPONENTS = ("data", "index", "retriever", "ranker", "eval")
START_UP = 2.0
"""Seconds allowed for `aisle --help`: four times the aim of 0.5, because machines that test are shared."""


def sources() -> Iterator[Path]:
    for folder in (*COMPONENTS, "src/aisle", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(
                part in COMPONENTS for part in path.relative_to(ROOT / folder).parts if folder == "src/aisle"
            ):
                yield path


def imported(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, relative ones with their dots."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_components_are_linked_under_one_namespace() -> None:
    for name in COMPONENTS:
        assert (ROOT / "src" / "aisle" / name).resolve() == ROOT / name


def test_code_imports_absolutely() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        for name in imported(path)
        if name.startswith(".") or name.partition(".")[0] in COMPONENTS
    }
    assert wrong == set(), "write `from aisle.data...`"


def test_benchmarks_find_what_they_import() -> None:
    """No test runs them, so that a name that has moved would break them unseen."""
    lost = {
        f"{path.name}: {node.module}.{alias.name}"
        for path in (ROOT / "benchmarks").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aisle")
        for alias in node.names
        if not has(importlib.import_module(str(node.module)), alias.name)
    }
    assert lost == set()


def has(module: ModuleType, name: str) -> bool:
    """Whether a module has a name, or a module of this name below it."""
    below = hasattr(module, "__path__") and importlib.util.find_spec(f"{module.__name__}.{name}") is not None
    return hasattr(module, name) or below


def test_only_the_towers_import_torch() -> None:
    allowed = (ROOT / "retriever", ROOT / "ranker", ROOT / "tests", ROOT / "benchmarks")
    allowed += (ROOT / "index" / "products.py",)  # products of bytes, which numpy has no quick way for
    wrong = {
        str(path.relative_to(ROOT))
        for path in sources()
        if not any(path.is_relative_to(place) for place in allowed)
        and {"torch", "transformers"} & {name.partition(".")[0] for name in imported(path)}
    }
    assert wrong == set()


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    names = {path for path in sources() if drawers & {path.stem, *path.relative_to(ROOT).parts}}
    assert names == set()


def test_the_architecture_names_every_file_or_its_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    folder, named = "", set()
    for line in text.partition("## Files")[2].splitlines():
        if re.fullmatch(r"[a-z/]+/", line.strip()):
            folder = line.strip()
        if line.startswith("- "):
            named |= {folder + name for name in re.findall(r"`([^`]+)`", line)}
    missing = []
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("tests/", "benchmarks/")) or path.name == "__init__.py":
            continue
        packages = {
            parent.relative_to(ROOT).as_posix() + "/"
            for parent in path.parents
            if parent.is_relative_to(ROOT)
        }
        if name not in named and not packages & named:
            missing.append(name)
    assert missing == []
    files = {name for name in named if name.endswith(".py")}
    assert {name for name in files if not (ROOT / name).is_file()} == set(), "named, but not there"


def test_dependencies_are_what_the_code_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=;\[ ]", line)[0].lower().replace("-", "_") for line in project["dependencies"]}
    shipped = [path for path in sources() if path.relative_to(ROOT).parts[0] in (*COMPONENTS, "src")]
    used = {name.partition(".")[0] for path in shipped for name in imported(path)}
    extras = {"adbc_driver_postgresql": "sql", "openvino": "openvino", "ray": "ray"}  # aisle[sql]
    for module, extra in extras.items():
        (line,) = project["optional-dependencies"][extra]
        assert re.split(r"[<>=\[]", line)[0].replace("-", "_") == module
    used -= {*sys.stdlib_module_names, "aisle", *extras}
    carried = {"markupsafe": "jinja2", "pydantic_core": "pydantic"}
    carried |= {"sklearn": "scikit_learn"}  # one thing, two spellings
    behind_the_scenes = {"accelerate"}  # the Trainer of transformers needs it
    assert {carried.get(name, name) for name in used} - {"faiss"} == declared - {"faiss_cpu", "faiss_gpu"} - (
        behind_the_scenes
    )


def test_every_package_has_an_init() -> None:
    folders = {
        path.parent for path in sources() if path.is_relative_to(ROOT / path.relative_to(ROOT).parts[0])
    }
    packages = {path for path in folders if path.relative_to(ROOT).parts[0] in COMPONENTS}
    assert {path for path in packages if not (path / "__init__.py").is_file()} == set()


@pytest.mark.parametrize(
    "heavy", ["torch", "transformers", "polars", "numpy", "faiss", "implicit", "rich.progress"]
)
def test_the_start_imports_nothing_heavy(heavy: str) -> None:
    program = f"import sys, aisle, aisle.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("module", ["aisle.settings", "aisle.data.settings", "aisle.retriever.settings"])
def test_settings_do_not_import_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    "command",
    [["-c", "import aisle"], ["-c", "from aisle.cli import main; main()", "--help"]],
    ids=["import aisle", "aisle --help"],
)
def test_the_start_is_quick(command: list[str]) -> None:
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    assert statistics.median(seconds) < START_UP


def test_the_wheel_holds_all_components_and_their_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_file():
            target.write_bytes(source.read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(tree)], check=True)
    (wheel,) = tmp_path.glob("aisle-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    patterns = ("*.py", "*.toml", "*.jinja", "*.css", "*.json", "py.typed")
    wanted = {
        f"aisle/{path.relative_to(ROOT).as_posix()}"
        for component in COMPONENTS
        for pattern in patterns
        for path in (ROOT / component).rglob(pattern)
    }
    face = ROOT / "src" / "aisle"
    wanted |= {
        f"aisle/{path.relative_to(face).as_posix()}" for path in (*face.glob("*.py"), *face.glob("*/*.py"))
    }
    wanted |= {"aisle/py.typed"}
    assert wanted - held == set()
    assert {name for name in held if name.startswith("aisle/") and name.endswith(".py")} - wanted == set()
