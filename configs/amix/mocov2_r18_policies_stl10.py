# The policies that AMix is compared with, by its cross-view pipeline (§3.1), MoCo v2, ResNet-18, STL-10 as in
# mocov2_r18_stl10.py. CutMix; another by data_preprocessor.mixer.type=mixssl.MixUp, ManifoldMix, SaliencyMix, FMix or
# ResizeMix. The paper searches for each policy's α and does not say what it found; 1 is its default.
# Paper (AMix, Table 4), linear evaluation, top-1: MoCo v2 81.50, with CutMix 84.28; after 800 epochs 85.64 and 87.60.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/stl10_96px.py',
    '../_base_/protocols/amix.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.CutMix'))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
