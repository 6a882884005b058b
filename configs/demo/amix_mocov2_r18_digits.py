# The same with AMix-I, its masks to be watched: about four minutes on two cores. tools/visualize/mixtures.py
# --checkpoints draws the masks of its checkpoints, the hook below writes them into the work directory.
_base_ = ["./mocov2_r18_digits.py"]

data_preprocessor = dict(mixer=dict(type="mixssl.AMix", alpha=2.0, per_sample=True))
model = dict(
    mix_block=dict(
        type="mixssl.MixBlockPlus",
        in_channels=64,
        # A narrow network's queries and keys are next to zero: unnormalised, attention and mask stay flat.
        attention_norm_cfg=dict(type="BN"),
    ),
    mix_head=dict(type="mixssl.AMixHead"),
)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            "mix_block": dict(lr_mult=3.0),
            "mix_block.encoding.lam_gamma": dict(lr_mult=3.0, decay_mult=0.0),
        }
    )
)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=-1),
    mixture_grid=dict(type="mixssl.MixtureGrid", interval=5),
)
