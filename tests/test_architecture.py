"""Imports run one way, files stay short, and what is unwelcome in the package is not in it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "mixssl").rglob("*.py"))
FILES = PACKAGE + sorted((ROOT / "tools").rglob("*.py"))
LONGEST = 450

EVERYWHERE = {"registry", "structures", "utils", "version"}
ALLOWED = {
    "__init__": {"cli", "utils", "version"},  # cli when it is called
    "__main__": {"cli"},
    "version": set(),
    "utils": set(),
    "structures": set(),
    "registry": set(),
    "mixing": EVERYWHERE,
    "augmentation": EVERYWHERE | {"mixing"},
    "models": EVERYWHERE | {"mixing", "augmentation"},
    "datasets": EVERYWHERE | {"mixing"},
    "evaluation": EVERYWHERE | {"mixing", "datasets"},
    "visualization": EVERYWHERE | {"mixing", "datasets"},
    "transfer": EVERYWHERE | {"models"},
    "engine": EVERYWHERE
    | {"mixing", "augmentation", "models", "datasets", "evaluation", "visualization"},
}
"""Which parts of mixssl a part may import, besides itself."""
ALLOWED["cli"] = set(ALLOWED)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _part(path: Path) -> str:
    """``mixssl/models/heads/x.py`` belongs to the part ``models``."""
    return path.relative_to(ROOT / "mixssl").parts[0].removesuffix(".py")


def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _parts_imported(tree: ast.AST) -> set[str]:
    split = (name.split(".") for name in _imports(tree))
    return {names[1] for names in split if names[0] == "mixssl" and len(names) > 1}


def _unwelcome(tree: ast.AST) -> Iterator[str]:
    """Random numbers from NumPy or Python, a device written down, code from a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if dotted.startswith(("np.random.", "numpy.random.")) and not dotted.endswith(
                ("get_state", "set_state")  # a checkpoint keeps the state that others draw from
            ):
                yield f"line {node.lineno}: {dotted}"
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr == "cuda":
                yield f"line {node.lineno}: .cuda()"
            if isinstance(function, ast.Name) and function.id in {"eval", "exec"}:
                yield f"line {node.lineno}: {function.id}()"


def test_imports_run_one_way() -> None:
    forbidden = {
        _name(path): parts
        for path in PACKAGE
        if (parts := _parts_imported(_tree(path)) - ALLOWED[_part(path)] - {_part(path)})
    }
    assert PACKAGE and not forbidden


def test_files_stay_short() -> None:
    lengths = {_name(path): len(path.read_text().splitlines()) for path in FILES}
    assert lengths and not {name: length for name, length in lengths.items() if length >= LONGEST}


def test_nothing_unwelcome() -> None:
    found = {_name(path): lines for path in FILES if (lines := list(_unwelcome(_tree(path))))}
    assert FILES and not found


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE}
    assert not [_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("np.random.rand(3)", ["line 1: np.random.rand"]),
        ("state = np.random.get_state()", []),
        ("x.cuda()", ["line 1: .cuda()"]),
        ("torch.cuda.is_available()", []),
        ("eval('1')", ["line 1: eval()"]),
        ("model.eval()", []),
    ],
)
def test_what_counts_as_unwelcome(code: str, found: list[str]) -> None:
    assert list(_unwelcome(ast.parse(code))) == found


def test_what_counts_as_an_import() -> None:
    code = "import mixssl\nimport mixssl.models.x\nfrom mixssl import utils\nfrom torch import nn"
    assert _parts_imported(ast.parse(code)) == {"models", "utils"}
