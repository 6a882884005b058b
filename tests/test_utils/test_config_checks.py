import copy

import pytest
from mmengine.config import Config

from mixssl.cli.launch import set_data_root
from mixssl.utils.config_checks import check_config, dataset_dicts, forbid_silent_download
from mixssl.utils.errors import ConfigError

DEFAULT_COLLATE = {"type": "default_collate"}


def _config(**changes):
    """A config with nothing wrong, and changes by dotted name."""
    cfg = Config(
        {
            "default_scope": "mmpretrain",
            "model": {
                "type": "mixssl.MixMoCo",
                "queue_len": 512,
                "data_preprocessor": {
                    "type": "mixssl.InstanceMixDataPreprocessor",
                    "mixer": {"type": "mixssl.UnMix"},
                },
                "mix_head": {"type": "mixssl.UnMixHead"},
            },
            "train_dataloader": {
                "batch_size": 64,
                "drop_last": True,
                "collate_fn": dict(DEFAULT_COLLATE),
                "dataset": {"type": "mixssl.Digits"},
            },
        }
    )
    cfg.merge_from_dict({name.replace("__", "."): value for name, value in changes.items()})
    return cfg


def test_a_good_config_passes_and_is_not_changed():
    cfg = _config()
    before = copy.deepcopy(cfg.to_dict())
    check_config(cfg)
    check_config(cfg, world_size=8)
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    ("changes", "world", "message"),
    [
        (
            {"train_dataloader__collate_fn___scope_": "mmpretrain"},
            1,
            "_scope_.*_delete_=True, type='default_coll",
        ),
        ({"train_dataloader__collate_fn__type": "pseudo_collate"}, 1, "pseudo_collate.*stacked"),
        ({"model__queue_len": 500}, 1, "queue_len is 500 .*total batch of 64 .*queue_len=512"),
        (
            {},
            3,
            r"queue_len is 512 .*192 images \(train_dataloader.batch_size=64 on 3 processes\).*queue_len=576",
        ),
        ({"model__queue_len": 10}, 1, "queue_len=64"),
        ({"train_dataloader__batch_size": 1}, 1, "batch_size is 1.*at least 2"),
        ({"train_dataloader__drop_last": False}, 1, "drop_last is False.*drop_last=True"),
        ({"model__mix_head": None}, 1, "mixer is UnMix and model.mix_head is not set"),
        ({"model__clusters": {"type": "mixssl.ODC"}}, 1, "no ODCHook.*add .*mixssl.ODCHook"),
        (
            {"train_dataloader__dataset__data_root": "data/none"},
            1,
            "train_dataloader.dataset.data_root is 'data/none'.*Digits.*--data-root DIR",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes, world, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_config(_config(**changes), world)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "model__data_preprocessor__mixer": None,
            "model__mix_head": None,
            "train_dataloader__batch_size": 1,
        },
        {"model__queue_len": None, "train_dataloader__drop_last": False},
        {"train_dataloader__dataset__data_root": "s3://bucket/none"},
        {"train_dataloader": None},
    ],
)
def test_what_is_allowed_passes(changes):
    check_config(_config(**changes))


def test_a_missing_collate_fn_is_mmengines_default():
    cfg = _config()
    del cfg.train_dataloader["collate_fn"]
    with pytest.raises(ConfigError, match="pseudo_collate"):
        check_config(cfg)
    cfg.model.data_preprocessor = {"type": "ClsDataPreprocessor"}  # takes unstacked batches
    check_config(cfg)


def test_a_preprocessor_beside_the_model_is_seen():
    cfg = _config(model__mix_head=None)
    cfg.data_preprocessor = cfg.model.pop("data_preprocessor")
    with pytest.raises(ConfigError, match="mix_head is not set"):
        check_config(cfg)


def test_a_folder_below_the_root_must_exist(tmp_path):
    (tmp_path / "train").mkdir()
    dataset = {"type": "CustomDataset", "data_root": str(tmp_path), "data_prefix": "train"}
    check_config(_config(train_dataloader__dataset=dataset))
    dataset["data_prefix"] = {"img_path": "val"}
    with pytest.raises(ConfigError, match="val' *, which does not exist"):
        check_config(_config(train_dataloader__dataset=dataset))


@pytest.mark.parametrize("kind", ["CIFAR10", "CIFAR100", "mmpretrain.CIFAR10"])
def test_a_data_set_that_downloads_must_be_told_to(tmp_path, kind):
    cfg = _config(train_dataloader__dataset={"type": kind, "data_root": str(tmp_path)})
    with pytest.raises(ConfigError, match="cifar-10.*dataset.download=True"):
        check_config(cfg)
    forbid_silent_download(cfg)
    assert cfg.train_dataloader.dataset.download is False
    with pytest.raises(ConfigError, match="cifar-10"):
        check_config(cfg)
    cfg.train_dataloader.dataset.download = True
    forbid_silent_download(cfg)
    check_config(cfg)
    assert cfg.train_dataloader.dataset.download is True


def test_a_data_set_that_asks_itself_is_left_to_it(tmp_path):
    """Ours reads two forms and never downloads unasked."""
    cfg = _config(train_dataloader__dataset={"type": "mixssl.CIFAR10", "data_root": str(tmp_path)})
    forbid_silent_download(cfg)
    check_config(cfg)
    assert "download" not in cfg.train_dataloader.dataset


def test_the_split_of_imagenet_is_a_folder(tmp_path):
    dataset = {"type": "ImageNet", "data_root": str(tmp_path), "split": "train"}
    with pytest.raises(
        ConfigError, match="ImageNet.* reads the folder .*/train', which does not exist"
    ):
        check_config(_config(train_dataloader__dataset=dataset))


def test_files_that_are_there_need_no_download(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    check_config(_config(train_dataloader__dataset={"type": "CIFAR10", "data_root": str(tmp_path)}))


def test_data_sets_without_downloads_gain_no_key():
    cfg = _config()
    forbid_silent_download(cfg)
    assert "download" not in cfg.train_dataloader.dataset


def test_data_sets_are_found_in_wrappers_and_hooks():
    leaf = {"type": "ImageNet", "data_root": "a"}
    loader = {
        "dataset": {
            "type": "ConcatDataset",
            "datasets": [leaf, {"type": "RepeatDataset", "dataset": leaf}],
        }
    }
    cfg = {
        "train_dataloader": loader,
        "val_dataloader": None,
        "default_hooks": {"timer": None, "probe": {"type": "X", "query": {"dataset": leaf}}},
        "custom_hooks": [
            {"type": "mixssl.X"},
            {"type": "mixssl.KNNMonitorHook", "bank": {"dataset": leaf}},
        ],
    }
    assert [path for path, _ in dataset_dicts(cfg)] == [
        "train_dataloader.dataset.datasets.0",
        "train_dataloader.dataset.datasets.1.dataset",
        "default_hooks.probe.query.dataset",
        "custom_hooks.1.bank.dataset",
    ]
    assert all(dataset is leaf for _, dataset in dataset_dicts(cfg))


def _monitored(hook, root="data/none"):
    cfg = _config()
    cfg.knn_bank = {"dataset": {"type": "ImageNet", "data_root": root}}
    cfg.knn_query = {"dataset": {"type": "ImageNet", "data_root": root}}
    cfg.default_hooks = {"monitor": hook}
    return cfg


@pytest.mark.parametrize(
    ("hook", "paths"),
    [
        ({"type": "mixssl.KNNMonitorHook"}, ["knn_bank.dataset", "knn_query.dataset"]),
        ({"type": "KNNMonitorHook", "bank": None, "query": {}}, ["knn_bank.dataset"]),
        ({"type": "mixssl.KNNMonitorHook", "bank": {}, "query": {}}, []),
        ({"type": "mixssl.LinearProbeHook"}, ["knn_query.dataset"]),
        ({"type": "mixssl.LinearProbeHook", "query": {}}, []),
        ({"type": "mixssl.ProgressHook"}, []),
    ],
)
def test_the_loaders_of_a_k_nn_count_where_a_hook_takes_them(hook, paths):
    cfg = _monitored(hook)
    assert [path for path, _ in dataset_dicts(cfg)] == ["train_dataloader.dataset", *paths]
    if paths:
        with pytest.raises(ConfigError, match=f"{paths[0]}.data_root is 'data/none'"):
            check_config(cfg)
    else:
        check_config(cfg)


def test_two_hooks_that_share_a_loader_name_it_once():
    cfg = _monitored({"type": "mixssl.KNNMonitorHook"})
    cfg.custom_hooks = [{"type": "mixssl.KNNMonitorHook", "query": {}}]
    assert len(list(dataset_dicts(cfg))) == 3


def test_the_collate_function_of_a_k_nn_is_looked_at_too(tmp_path):
    cfg = _monitored({"type": "mixssl.KNNMonitorHook"}, root=str(tmp_path))
    check_config(cfg)
    cfg.knn_query.collate_fn = {"type": "default_collate", "_scope_": "mmpretrain"}
    with pytest.raises(ConfigError, match="knn_query.collate_fn holds the key _scope_"):
        check_config(cfg)


def test_a_root_from_the_command_line_reaches_the_loaders_of_a_k_nn():
    cfg = _monitored({"type": "mixssl.KNNMonitorHook"})
    set_data_root(cfg, "elsewhere")
    assert cfg.knn_bank.dataset.data_root == cfg.knn_query.dataset.data_root == "elsewhere"
    unused = _monitored({"type": "mixssl.ProgressHook"})
    with pytest.raises(ConfigError, match="no data set of the config has a data_root"):
        set_data_root(unused, "elsewhere")


@pytest.mark.parametrize(
    ("outer", "lost"),
    [
        ({"mean": [1.0], "mixer": {"type": "mixssl.MixCo"}}, "mean of the"),
        ({"mean": [1.0], "std": [2.0]}, "mean, std of the"),
        ({"type": "SelfSupDataPreprocessor", "mixer": None}, None),
        (None, None),
    ],
)
def test_what_a_preprocessor_in_the_model_hides_is_named(outer, lost):
    cfg = _config(data_preprocessor=outer)
    if lost is None:
        check_config(cfg)
    else:
        with pytest.raises(ConfigError, match=lost):
            check_config(cfg)
