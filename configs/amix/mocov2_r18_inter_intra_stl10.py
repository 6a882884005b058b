# What AMix-C is compared with: MixUp within clusters and CutMix between them, MoCo v2, ResNet-18, STL-10 as in
# mocov2_r18_stl10.py. The paper names neither α nor how partners are found; the mixer's docstring says what stands
# for it.
# Paper (AMix, Table 4), linear evaluation, top-1: MoCo v2 81.50, with Inter-Intra 84.89; after 800 epochs 85.64 and
# 87.85.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/stl10_96px.py',
    '../_base_/protocols/amix.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.InterIntra'))
model = dict(
    clusters=dict(type='mixssl.ODC', num_images=105000, feat_dim=128, num_clusters=200),
    mix_head=dict(type='mixssl.UnMixHead'))
default_hooks = dict(odc=dict(type='mixssl.ODCHook'))
