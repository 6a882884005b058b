"""A study of digits that takes seconds, and one that takes none."""

import copy
from pathlib import Path
from typing import Any

import yaml
from support.tools import ROOT

PLAN: dict[str, Any] = {
    "classes": 10,
    "amp": None,
    "device_views": False,
    "protocols": ["knn5", "logistic"],
    "options": {
        "model.queue_len": 32,
        "model.feat_dim": 8,
        "model.backbone.stem_channels": 4,
        "model.backbone.base_channels": 4,
        "model.neck.in_channels": 32,
        "model.neck.hid_channels": 8,
        "model.neck.out_channels": 8,
        "train_dataloader.batch_size": 16,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
        "knn_query.dataset.indices": 60,
        "param_scheduler": [],
        "default_hooks.checkpoint": {"interval": 1, "max_keep_ckpts": 2},
    },
    "methods": {
        "MoCo": {
            "config": str(ROOT / "configs/demo/unmix_mocov2_r18_digits.py"),
            "search": {"optim_wrapper.optimizer.lr": [0.01, 0.1]},
            "mixtures": {
                "none": {"units": 4},
                "Un-Mix": {"units": 8},
                "MixCo": {
                    "units": 8,
                    "options": {
                        "data_preprocessor.mixer": {"_delete_": True, "type": "mixssl.MixCo"}
                    },
                },
            },
        }
    },
    "search": {"images": 40, "held_out": 30, "epochs": [1, 2], "seed": 9, "by": "knn5"},
    "work": [
        {
            "methods": ["MoCo"],
            "mixtures": ["none", "Un-Mix"],
            "images": 40,
            "seeds": [0],
            "epochs": [1],
        }
    ],
}


def write_plan(folder: Path, **changes: Any) -> Path:
    """Writes the plan, with other values for some of its keys."""
    path = folder / "plan.yml"
    path.write_text(yaml.safe_dump(copy.deepcopy(PLAN) | changes))
    return path
