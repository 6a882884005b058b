"""Where images come from: one record, and a reader for each way in which people keep them."""

from mixssl.datasets.sources.base import Names, Source, needs, open_source
from mixssl.datasets.sources.decode import Picture, decode

__all__ = ["Names", "Picture", "Source", "decode", "needs", "open_source"]
