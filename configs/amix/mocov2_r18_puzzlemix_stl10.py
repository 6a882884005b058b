# As mocov2_r18_inter_intra_stl10.py with PuzzleMix, which keeps what matters to the images' clusters.
# Paper (AMix, Table 4), linear evaluation, top-1: MoCo v2 81.50, with PuzzleMix (C) 84.98; after 800 epochs 85.64 and
# 88.07.
_base_ = ['./mocov2_r18_inter_intra_stl10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.ClusterPuzzleMix'))
