# AMix-I on MoCo v2, ResNet-18, STL-10 at 96 pixels, 400 epochs, batch 256. The paper names neither pixels nor stem;
# these are the data set's and the backbone's own.
# Two projections in the block, as in the authors' code; eq. 5 prints one on both sides,
# model.mix_block.shared_projection=True. Both images come from the query's view (§3.1); the code takes image j's from
# the key's. Table 7 has this 85.37 for infoNCE alone, and 85.44 with BCE, which AMix-I is by §3.3.
# Paper (AMix, Table 4), linear evaluation, top-1: MoCo v2 81.50, with AMix-I 85.37; after 800 epochs 85.64 and 88.58.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/stl10_96px.py',
    '../_base_/protocols/amix.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.AMix', alpha=2.0))
model = dict(
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=256),
    mix_head=dict(type='mixssl.AMixHead'))
