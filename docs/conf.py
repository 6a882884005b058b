"""Builds docs/en into a site: ``make docs``; the reference has every name that a config can say."""

from __future__ import annotations

import importlib.metadata
import warnings
from pathlib import Path
from typing import Any

# Read from the root of the repository, so that links from pages to configs and tools are links to files of the source.
ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs/en/reference"

project = "mixssl"
author = "the authors of mixssl"
release = importlib.metadata.version("mixssl")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/en/index"
include_patterns = ["docs/en/**/*.md", "docs/en/*.md", "configs/*/README.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_build", "**/.*"]
html_theme = "furo"
html_title = f"mixssl {release}"
html_copy_source = False

myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
suppress_warnings = [
    "ref.python",  # a name that is exported from two places is one thing
    "autodoc.import_object",
]

REGISTRIES = {
    "MIXERS": ("Mixers", "`data_preprocessor.mixer`"),
    "MODELS": (
        "Models",
        "methods (`model`), heads (`model.mix_head`), necks, blocks, data preprocessors, backbones",
    ),
    "DATASETS": ("Data sets", "`train_dataloader.dataset` and the like"),
    "TRANSFORMS": ("Transforms", "steps of a pipeline"),
    "AUGMENTATIONS": ("Views on the device", "steps of `data_preprocessor.views`"),
    "HOOKS": ("Hooks", "`custom_hooks` and `default_hooks`"),
    "OPTIMIZERS": ("Optimizers", "`optim_wrapper.optimizer`"),
    "OPTIM_WRAPPERS": ("Optimizer wrappers", "`optim_wrapper`"),
    "METRICS": ("Metrics", "`val_evaluator`, `test_evaluator`"),
    "LOOPS": ("Loops", "`train_cfg`, `val_cfg`, `test_cfg`"),
    "VISUALIZERS": ("Visualizers", "`visualizer`"),
    "WEIGHT_INITIALIZERS": ("Initialisation", "`init_cfg`"),
}
"""Registry to its heading and to where a config names what is in it."""
MODULES = {
    "structures": "Records of a step",
    "models.methods.base": "The shared step",
    "models.parts": "Parts of a step",
    "models.momentum": "Momentum encoders",
    "models.memory": "Banks",
    "models.losses": "Losses",
    "mixing.ops": "Rendering of mixtures",
    "mixing.sampling": "Draws",
    "evaluation": "Evaluation",
    "transfer": "Transfer",
    "visualization": "Figures",
}
"""Modules that code of one's own would import, below ``mixssl``."""


def registered(name: str) -> dict[str, type]:
    """What a registry of ours holds, by the name that a config says after ``mixssl.``."""
    from mixssl import registry

    found = getattr(registry, name)
    found.import_from_location()
    return dict(sorted(found.module_dict.items()))


def registry_page(name: str) -> str:
    """A page of the reference for a registry."""
    title, where = REGISTRIES[name]
    lines = [f"# {title}", "", f"Where a config names them: {where}.", ""]
    for key, kind in registered(name).items():
        said = key if name == "AUGMENTATIONS" else f"mixssl.{key}"
        lines += [f"## {said}", "", "```{eval-rst}"]
        directive = "autoclass" if isinstance(kind, type) else "autofunction"
        lines += [f".. {directive}:: {kind.__module__}.{kind.__qualname__}", "```", ""]
    return "\n".join(lines)


def module_page(name: str) -> str:
    """A page of the reference for a module."""
    path = f"mixssl.{name}"
    return f"# {MODULES[name]}\n\n```{{eval-rst}}\n.. automodule:: {path}\n   :no-index:\n```\n"


def write_reference(app: Any = None) -> None:
    """Writes the pages of the reference, which git does not hold."""
    REFERENCE.mkdir(exist_ok=True)
    pages = {name.lower(): registry_page(name) for name in REGISTRIES if registered(name)}
    pages |= {name.replace(".", "_"): module_page(name) for name in MODULES}
    for name, text in pages.items():
        path = REFERENCE / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> None:
    """Has the reference written before the pages are read."""
    warnings.filterwarnings("ignore")  # of what is imported; Sphinx's own are errors
    app.connect("builder-inited", write_reference)
