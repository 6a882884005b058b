"""Image mixtures for self-supervised visual pre-training in the OpenMMLab stack.

Where things are:

- :mod:`mixssl.structures`: the records that travel, ``MixedView``, ``EmbeddingId`` and ``Term``.
- :mod:`mixssl.mixing`: pixels; what turns two images into one.
- :mod:`mixssl.models`: data preprocessors that mix, methods that compare, mix heads that say what to compare.
- :mod:`mixssl.datasets`, :mod:`mixssl.evaluation`, :mod:`mixssl.engine`, :mod:`mixssl.visualization`: data sets,
  k-NN and linear probes, hooks, pictures.
- :mod:`mixssl.transfer`: from a pre-training checkpoint to the backbone of another task.
- :mod:`mixssl.registry`: everything above under the scope ``mixssl``, so that ``type='mixssl.X'`` finds X.
"""

from os import PathLike
from pathlib import Path
from typing import Any

from mixssl.utils.mmcv_ext import provide_operators
from mixssl.utils.versions import check_versions
from mixssl.version import __version__

check_versions()

# Only now: they import mmengine, whose presence and version have just been checked.
from mixssl.utils.config_lookup import register_config_lookup  # noqa: E402
from mixssl.utils.quiet import silence_known_noise  # noqa: E402

register_config_lookup()
provide_operators()
silence_known_noise()

__all__ = ["__version__", "pretrain"]


def pretrain(images: str | PathLike[str], *, out: str | PathLike[str], **options: Any) -> Path:
    """Pre-trains a backbone on images of one's own, as ``mixssl pretrain`` does; again, it goes on where it stopped.

    Args:
        images: A folder of any depth, a list of files, tar shards, parquet, an LMDB, or a data set on disk.
        out: Folder of the run.
        **options: As :func:`mixssl.cli.pretrain.pretrain` takes them: ``epochs=100``, ``method="byol"``, ...

    Returns:
        The folder ``backbone``, which timm loads.

    Raises:
        ConfigError: An option that there is none of, images that can't be used, or a folder that holds another run.
    """
    from mixssl.cli.pretrain import pretrain as run  # heavy: torch, mmengine and mmpretrain

    return run(images, out=out, **options)
