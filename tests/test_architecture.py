"""The house: imports go one way, and light commands import nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wellposed

ROOT = Path(wellposed.__file__).parent
# From the ground up; a package may import those before it, and itself.
FLOORS = """
errors atomic operators dynamics control integrators backward network learning stability laws
seismic interpretation project data experiments cli demo
""".split()
NETWORKS = set("operators dynamics control integrators backward network stability laws".split())
# What a part may not know though it lies below: the seismic no networks, the image sets labels only.
STRANGERS = {"seismic": NETWORKS | {"learning"}, "data": NETWORKS | {"seismic", "interpretation", "project"}}


def imports(file):
    """Packages of this library that a file imports, and the lines on which it does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wellposed."):
            yield node.module.split(".")[1], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "wellposed":
            for name in node.names:
                if name.name in FLOORS:
                    yield name.name, node.lineno
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("wellposed."):
                    yield name.name.split(".")[1], node.lineno


def upward(files, root=ROOT):
    """Edges that point up, or to a stranger."""
    out = []
    for file in files:
        part = file.relative_to(root).parts[0].removesuffix(".py")
        if part not in FLOORS:
            continue
        for other, line in imports(file):
            up = FLOORS.index(other) > FLOORS.index(part)
            if up or other in STRANGERS.get(part, ()):
                out.append(f"{file.relative_to(root)}:{line} imports {other}")
    return out


def test_imports_never_point_up():
    assert upward(sorted(ROOT.rglob("*.py"))) == []


def test_every_part_has_its_floor():
    parts = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert parts - {"__init__"} == set(FLOORS)


def test_an_upward_import_is_seen(tmp_path):
    wrong = tmp_path / "operators" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("from wellposed.seismic import Volume\n")
    assert upward([wrong], tmp_path)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import wellposed", "torch numpy segyio matplotlib"),
        ("import wellposed.cli", "torch numpy segyio matplotlib numba pandas xarray zarr"),
        ("import wellposed.seismic", "torch segyio matplotlib numba zarr"),
        ("import wellposed.project", "torch segyio matplotlib numba zarr"),
        ("import wellposed.network", "segyio matplotlib numba zarr pandas"),
    ],
)
def test_light_imports_stay_light(code, heavy):
    found = f"found = {set(heavy.split())} & set(sys.modules)"
    check = f"{code}; import sys; {found}; sys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_files_are_short_or_have_a_reason():
    long = {f.name: n for f in ROOT.rglob("*.py") if (n := len(f.read_text().splitlines())) > 300}
    assert set(long) <= {"messages.py"}  # compiled inner loops that belong together
