"""MoCHi: negatives mixed from the hardest ones in the queue, and from them and the query."""

from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import StepRandom
from mixssl.models.heads.base import epochs_done
from mixssl.registry import MODELS
from mixssl.utils.errors import require


class MoCHiDraw(NamedTuple):
    """What is random about a step's synthetic negatives; ranks count from 0, the hardest.

    Attributes:
        first: Ranks of the first negative of each pair, (M, s), int64.
        second: Ranks of the second, never the first, (M, s), int64.
        alpha: Weight of the first, (M, s), float32, in [0, 1).
        single: Ranks of the negatives that the query is mixed into, (M, s'), int64.
        beta: Weight of the query, (M, s'), float32, in [0, 0.5).
    """

    first: Tensor
    second: Tensor
    alpha: Tensor
    single: Tensor
    beta: Tensor


@MODELS.register_module()
class MoCHiHead(BaseModule):
    """Makes more and harder negatives for each query (Kalantidis et al. 2020, §4).

    Among the ``hardest`` keys of the queue by similarity to the query, ``pairs`` random pairs are mixed by α ~ U(0, 1)
    (§4.1), and ``with_query`` random ones are mixed with the query by β ~ U(0, 0.5), so that the query's share is the
    smaller (§4.2). All are normalised and join the negatives of the clean comparisons; those of mixtures stay as they
    are. Like the queue's keys the synthetic ones carry no gradient. No pixels are mixed: no mixer is needed, and any
    may run beside it.

    Set as ``hard_negatives`` of :class:`~mixssl.models.methods.MixMoCo`. It takes M x (pairs + with_query) x D numbers
    of fp32 for M queries of size D.

    Args:
        hardest: How many of the queue's keys count as hard, in [2, K].
        pairs: Synthetic negatives per query of two keys each (s in the paper), >= 0.
        with_query: Synthetic negatives per query of a key and the query (s'), >= 0.
        warmup_epochs: Epochs, or a fraction of one, >= 0, before the first are made; the paper waits 10 to 15. Without
            mmengine's runner there are no epochs to wait for, and they are made from the start.
        seed: Of the draws, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        hardest: int = 1024,
        pairs: int = 1024,
        with_query: int = 128,
        warmup_epochs: float = 10.0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        require(">= 2", self, "pairs are made of them", hardest=hardest)
        require(">= 0", self, pairs=pairs, with_query=with_query, warmup_epochs=warmup_epochs)
        self.hardest = hardest
        self.pairs = pairs
        self.with_query = with_query
        self.warmup_epochs = warmup_epochs
        self.random = StepRandom(seed)

    def check_queue_len(self, length: int) -> None:
        """Raises a ValueError where the queue holds fewer keys than are to count as hard."""
        if self.hardest > length:
            raise ValueError(
                f"hardest of MoCHiHead is {self.hardest} and must lie in [2, {length}], the queue's length: "
                "lower hardest or raise queue_len"
            )

    def active(self) -> bool:
        """Whether negatives are made at this step: in training, after the warm-up."""
        done = epochs_done()
        return self.training and (done is None or done >= self.warmup_epochs)

    def draw(self, rows: int, generator: torch.Generator) -> MoCHiDraw:
        """Draws ranks and weights for each of ``rows`` queries, on the CPU."""

        def ranks(count: int, high: int) -> Tensor:
            return torch.randint(high, (rows, count), generator=generator)

        first = ranks(self.pairs, self.hardest)
        return MoCHiDraw(
            first=first,
            second=(first + 1 + ranks(self.pairs, self.hardest - 1)) % self.hardest,
            alpha=torch.rand(rows, self.pairs, generator=generator),
            single=ranks(self.with_query, self.hardest),
            beta=torch.rand(rows, self.with_query, generator=generator) / 2,
        )

    def forward(self, query: Tensor, queue: Tensor, similarity: Tensor) -> Tensor:
        """Extends the similarities of queries with negatives.

        Args:
            query: Normalised, (M, D), float32.
            queue: Normalised keys, (D, K).
            similarity: Of the queries with the queue's keys, (M, K), float32.

        Returns:
            (M, K + pairs + with_query); ``similarity`` itself while there is nothing to add.
        """
        if not self.active():
            return similarity
        drawn = self.draw(len(query), self.random())
        draw = MoCHiDraw(*(part.to(query.device, non_blocking=True) for part in drawn))
        with torch.no_grad():
            hardest = similarity.topk(self.hardest, dim=1).indices
            synthetic = synthesize(query, queue, hardest, draw)
        return torch.cat([similarity, torch.einsum("md,msd->ms", query, synthetic)], dim=1)


def synthesize(query: Tensor, queue: Tensor, hardest: Tensor, draw: MoCHiDraw) -> Tensor:
    """Mixes hard negatives with each other and with the query (Kalantidis et al. 2020, §4.1 and 4.2).

    Args:
        query: Normalised, (M, D).
        queue: Normalised keys, (D, K).
        hardest: Columns of the queue, hardest first, (M, N), int64.
        draw: On the queries' device.

    Returns:
        Normalised, (M, s + s', D): pairs first.
    """
    keys = queue.t()
    one, two, single = (
        keys[hardest.gather(1, ranks)] for ranks in (draw.first, draw.second, draw.single)
    )
    pairs = torch.lerp(two, one, draw.alpha[..., None])
    with_query = torch.lerp(single, query[:, None].expand_as(single), draw.beta[..., None])
    return F.normalize(torch.cat([pairs, with_query], dim=1), dim=2)
