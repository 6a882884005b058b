# MoCo v2 on scikit-learn's digits: what `make demo` trains first. About a minute on two cores.
_base_ = ["../_base_/datasets/digits.py", "../_base_/default_runtime.py"]

# The pipeline is light: a worker would take more from the model than it gives.
train_dataloader = dict(num_workers=0, persistent_workers=False)

model = dict(
    type="mixssl.MixMoCo",
    queue_len=512,  # 40 % of the images: a longer one would hold an image's own older keys as negatives
    feat_dim=64,
    momentum=0.01,  # 1,000 steps are too few for the paper's 0.001 to leave the initial weights
    backbone=dict(
        type="ResNet_CIFAR",  # 3x3 stem without pooling: 16 pixels are 2x2 in the last stage already
        depth=18,
        stem_channels=16,  # a quarter of the usual width: a minute instead of ten, and enough for digits
        base_channels=16,
        norm_cfg=dict(type="BN"),
        zero_init_residual=False,
    ),
    neck=dict(
        type="MoCoV2Neck", in_channels=128, hid_channels=128, out_channels=64, with_avg_pool=True
    ),
    head=dict(type="ContrastiveHead", loss=dict(type="CrossEntropyLoss"), temperature=0.2),
)

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=50)
optim_wrapper = dict(
    type="OptimWrapper",
    # At 0.06 Un-Mix hardly left, and at 0.12 neither left, log(513): the loss where all keys look alike.
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    # The queue begins as noise; full steps against it would be spent on unlearning them.
    dict(
        type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=8, convert_to_iter_based=True
    ),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=8, end=50, convert_to_iter_based=True),
]

default_hooks = dict(checkpoint=dict(interval=50, max_keep_ckpts=1))
randomness = dict(seed=0)
