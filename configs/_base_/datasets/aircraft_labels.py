# FGVC-Aircraft with its 100 variants as labels, as cub200_labels.py. AIRCRAFT_ROOT moves the unpacked archive.
_base_ = ['./cub200_labels.py']

data_root = '{{$AIRCRAFT_ROOT:data/fgvc-aircraft-2013b}}'
dataset_type = 'FGVCAircraft'
data_preprocessor = dict(num_classes=100)

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, split='trainval'))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
