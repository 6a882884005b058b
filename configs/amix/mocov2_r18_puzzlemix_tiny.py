# As mocov2_r18_puzzlemix_stl10.py, on Tiny ImageNet as in amixc_mocov2_r18_tiny.py.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 38.29, with PuzzleMix (C) 41.86.
_base_ = ['./amixc_mocov2_r18_tiny.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.ClusterPuzzleMix'))
model = dict(mix_block=None, mix_head=dict(_delete_=True, type='mixssl.UnMixHead'))
