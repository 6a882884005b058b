"""Metadata of mixssl, and the build step that lets mim and mmengine find its configs.

They look for configs, tools and the model index in ``<package>/.mim``. A wheel gets copies there; an editable
installation gets links, so that an edited config is at once the installed one. Either gets what makes
``_base_ = 'mixssl::...'`` known to programs that don't import mixssl: see mixssl/utils/early_bases.py.
"""

import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_CONTENT = ("configs", "tools", "model-index.yml")
BESIDE = ("_mixssl_bases.py", "mixssl.pth")
REQUIRED = runpy.run_path(str(ROOT / "mixssl/utils/versions.py"))["REQUIRED"]


def replace(target):
    """Makes room for ``target``: its folder exists, itself does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)


class BuildWithConfigs(build_py):
    """Adds ``mixssl/.mim``, links in place when editable and copies else, and the two files of :data:`BESIDE`."""

    def run(self):
        super().run()
        for source, target in self._mim_pairs():
            replace(target)
            if self.editable_mode:
                target.symlink_to(os.path.relpath(source, target.parent))
            elif source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        module, pth = (self._beside() / name for name in BESIDE)
        module.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "mixssl/utils/early_bases.py", module)
        pth.write_text(f"import {module.stem}; {module.stem}.wait_for_mmengine()\n")

    def get_outputs(self, include_bytecode=True):
        """Lists the copies too, so that installing and uninstalling know them."""
        outputs = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        for source, target in self._mim_pairs():
            found = [source] if source.is_file() else source.rglob("*")
            outputs += [
                str(target / path.relative_to(source))
                for path in found
                if path.is_file() and "__pycache__" not in path.parts
            ]
        return outputs + [str(self._beside() / name) for name in BESIDE]

    def _mim_pairs(self):
        parent = ROOT if self.editable_mode else Path(self.build_lib)
        return [
            (ROOT / name, parent / "mixssl" / ".mim" / name)
            for name in MIM_CONTENT
            if (ROOT / name).exists()
        ]

    def _beside(self):
        """Where what lies beside the package goes; an editable installation leaves all else where it is."""
        if self.editable_mode:
            return Path(self.get_finalized_command("install").install_lib)
        return Path(self.build_lib)


setup(
    name="mixssl",
    version=runpy.run_path(str(ROOT / "mixssl/version.py"))["__version__"],
    description="Image mixtures for self-supervised visual pre-training in the OpenMMLab stack",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["mixssl", "mixssl.*"]),
    package_data={"mixssl.cli": ["page.html"]},
    entry_points={"console_scripts": ["mixssl = mixssl.cli.commands:main"]},
    install_requires=[
        *(f"{package.distributions[0]}{package.bounds}" for package in REQUIRED),
        "Jinja2>=3.1",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "rich>=13",
        "safetensors>=0.4",
        "scikit-learn>=1.5",
    ],
    extras_require={
        "det": ["onedl-mmdetection>=3.5.1,<3.6", "pycocotools>=2.0.8"],
        "docs": ["furo>=2025", "myst-parser>=4", "sphinx>=8"],
        "images": ["lmdb>=1.5", "pyarrow>=18", "tifffile>=2024.8.10"],
        "test": ["pytest>=8.2", "pytest-xdist>=3.6", "tensorboard>=2.18"],
        "timm": ["timm>=1.0.28"],  # before that it can't read safetensors from a folder
    },
    cmdclass={"build_py": BuildWithConfigs},
    zip_safe=False,
)
