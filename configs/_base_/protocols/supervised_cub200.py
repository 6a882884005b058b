# CUB-200 as AMix fine-tunes on it.
_base_ = ['../datasets/cub200_labels.py', './supervised_fine.py']
