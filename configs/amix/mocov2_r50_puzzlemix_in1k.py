# As mocov2_r18_puzzlemix_stl10.py, with a ResNet-50 on ImageNet as in amixc_mocov2_r50_in1k.py.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 67.66, with PuzzleMix (C) 68.48.
_base_ = ['./amixc_mocov2_r50_in1k.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.ClusterPuzzleMix'))
model = dict(mix_block=None, mix_head=dict(_delete_=True, type='mixssl.UnMixHead'))
