# FGVC-Aircraft as AMix fine-tunes on it.
_base_ = ['../datasets/aircraft_labels.py', './supervised_fine.py']
