# The same with Un-Mix: all it takes are a mixer and a head that reads its mixtures.
_base_ = ["./mocov2_r18_digits.py"]

data_preprocessor = dict(
    # Global and regional mixtures by turns, as the paper does on small images.
    mixer=dict(type="mixssl.UnMix", alpha=1.0, p_global=0.5)
)
model = dict(mix_head=dict(type="mixssl.UnMixHead"))
