"""Runs a model over many items and returns answer distributions.

Where the time goes is saved: the trunk below the adapter is computed once for all samples, the prefix that all
prompts share once per sample, items are sorted by length and batched by a token budget, and only the answer's
positions are projected, in the one-token case only onto the answer tokens.

Letters: N items, K samples, C answers, B batch, P prefix tokens, T tokens, D features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import DynamicCache

from activelora.campaign.records import Item
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import Encoder
from activelora.modeling.rows import Rows, project
from activelora.modeling.sampling import Sampler
from activelora.modeling.split import Layout, SplitDecoder
from activelora.modeling.trunk_states import TrunkStates
from activelora.progress import track
from activelora.scoring.batch_size import Halving
from activelora.scoring.branching import can_branch, layout_of
from activelora.scoring.layout import Chunk, Listing, Row
from activelora.scoring.trunk import Trunk, for_batch

CHUNK_ITEMS = 512
"""Items whose trunk states are held at once."""
CHUNKS_WITHOUT_TRUNK = 64
"""So many times more items where only token ids are held: a sample's weights are merged once a chunk."""


Read = Callable[[int, list[Row], torch.Tensor, int], None]
"""Sample's place among the samples, rows of a batch, their final states (B, T, D) after the prefix, its length."""


class Engine:
    """Computes log-probabilities of answers.

    Args:
        base: The base model (an adapter may be attached).
        encoder: Turns items into token ids.
        first_top_layer: L0, below which all samples agree.
        batch_tokens: Token budget of a batch, padding included.
        kept: Where the trunk's states are kept across runs, if anywhere.
    """

    def __init__(
        self,
        base: BaseModel,
        encoder: Encoder,
        first_top_layer: int,
        batch_tokens: int,
        kept: TrunkStates | None = None,
    ) -> None:
        self.base = base
        self.encoder = encoder
        self._split = SplitDecoder(base.model, first_top_layer)
        self._halving = Halving()
        self._like = torch.empty(0, dtype=base.model.dtype, device=base.device)
        self._trunk = Trunk(self._split, self._like, kept)
        chooses = encoder.scoring == "text" and encoder.task.form != "text"
        self._branching = chooses and can_branch(self._split, self._like)
        self._roster: Sequence[Item] | None = None
        self.batch_tokens = batch_tokens

    def among(self, roster: Sequence[Item]) -> Engine:
        """Return an engine for items that are some of these, fewer every round.

        What the trunk makes of an item then does not depend, to the last bit, on which others are left.
        """
        engine = copy(self)
        engine._roster = roster
        return engine

    def log_probs(
        self, items: Sequence[Item], sampler: Sampler, samples: Sequence[int | None], description: str
    ) -> NDArray[np.float64]:
        """Return log p(answer | item, sample).

        Args:
            items: N items.
            sampler: Puts a sample into effect.
            samples: K sample numbers; None is the model without dropout.
            description: For the progress display.

        Returns:
            Shape (N, K, C), natural logarithms; −inf where an item has fewer than C answers. N counts what the encoder
            makes of the items: several rows an item where it asks several questions.
        """
        return self._run(items, sampler, samples, description, None)

    def log_probs_and_embeddings(
        self, items: Sequence[Item], sampler: Sampler, samples: Sequence[int | None], description: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what :meth:`log_probs` returns and, from the same pass, the items' embeddings.

        An embedding is the mean of the last hidden state (after the final norm) over all tokens of the prompt, and over
        the K samples. Answers are never part of it.

        Returns:
            Shapes (N, K, C) and (N, D).
        """
        width = self.base.model.get_output_embeddings().weight.shape[1]
        embeddings_ND = np.zeros((len(items) * self.encoder.rows_per_item, width), dtype=np.float32)
        log_probs_NKC = self._run(items, sampler, samples, description, embeddings_ND)
        embeddings_ND /= len(samples)
        return log_probs_NKC, embeddings_ND

    def _run(
        self,
        items: Sequence[Item],
        sampler: Sampler,
        samples: Sequence[int | None],
        description: str,
        embeddings_ND: NDArray[np.float32] | None,
    ) -> NDArray[np.float64]:
        listing = self._listing(items)
        wanted = listing.wanted
        num_answers = max((len(item.answer_ids) for item in wanted), default=0)
        result = np.full((len(wanted), len(samples), num_answers), -np.inf)

        def read(index: int, rows: list[Row], final_BTD: torch.Tensor, prefix_length: int) -> None:
            self._read(result[:, index], rows, final_BTD, prefix_length)

        self.run(listing, sampler, samples, description, read, embeddings_ND)
        return result - _log_sum_exp(result)

    def _listing(self, items: Sequence[Item]) -> Listing:
        """Return the items with the company that they are to be run in."""
        if self._roster is None or self._split.first_top_layer == 0:
            encoded = self.encoder.encode(items)
            return Listing(encoded, range(len(encoded)), keep=True)
        roster, width = self._roster, self.encoder.rows_per_item
        first = {item.item_id: index * width for index, item in enumerate(items)}
        if missing := set(first).difference(item.item_id for item in roster):
            raise ValueError(f"{len(missing)} items are none of those that the engine was told of: {min(missing)}")
        places = [first[item.item_id] + row if item.item_id in first else -1 for item in roster for row in range(width)]
        return Listing(self.encoder.encode(roster), places, keep=True)

    def run(
        self,
        listing: Listing,
        sampler: Sampler,
        samples: Sequence[int | None],
        description: str,
        read: Read,
        embeddings_ND: NDArray[np.float32] | None,
    ) -> None:
        """Run all items under all samples, and let their final states be read.

        Args:
            listing: N items.
            sampler: Puts a sample into effect.
            samples: K sample numbers.
            description: For the progress display.
            read: Is given every batch, once a sample.
            embeddings_ND: The sums over the samples are added to it; None leaves them out.
        """
        size = CHUNK_ITEMS if self._split.first_top_layer else CHUNK_ITEMS * CHUNKS_WITHOUT_TRUNK
        starts = range(0, len(listing.encoded), size)
        shape = (self.encoder.scoring, self.batch_tokens, self._branching)
        found = (listing.chunk(at, at + size, *shape) for at in starts)
        chunks = [chunk for chunk in found if chunk is not None]
        passes = (
            done for chunk in chunks for done in self._score(chunk, listing.keep, sampler, samples, read, embeddings_ND)
        )
        trunk_passes = sum(len(chunk.company) for chunk in chunks) if self._split.first_top_layer else 0
        total = trunk_passes + sum(len(chunk.batches) for chunk in chunks) * len(samples)
        for _ in track(passes, description, total):
            pass

    def _score(
        self,
        chunk: Chunk,
        keep: bool,
        sampler: Sampler,
        samples: Sequence[int | None],
        read: Read,
        embeddings_ND: NDArray[np.float32] | None,
    ) -> Iterator[None]:
        """Let the chunk's final states be read, and add to the embeddings, if they are wanted.

        Yields after every batch.
        """
        with torch.no_grad():
            prefix, states = yield from self._trunk.states(chunk, keep)
        for index, sample in enumerate(samples):
            with sampler.activate(sample), torch.no_grad():
                top_cache = DynamicCache() if chunk.prefix_length else None
                prefix_BTD = None if prefix is None else self._split.top(prefix, top_cache)
                for batch, hidden in zip(chunk.batches, states, strict=True):
                    rows = [chunk.rows[i] for i in batch]
                    final_BTD = self._top(hidden, top_cache, layout_of(rows, chunk.prefix_length, self._like))
                    read(index, rows, final_BTD, chunk.prefix_length)
                    if embeddings_ND is not None:
                        _pool_hidden(embeddings_ND, rows, final_BTD, prefix_BTD)
                    yield

    def _top(self, hidden: torch.Tensor, cache: DynamicCache | None, layout: Layout | None) -> torch.Tensor:
        def some(rows: slice) -> torch.Tensor:
            part = None if layout is None else layout.rows(rows)
            return self._split.top(hidden[rows], for_batch(cache, len(hidden[rows])), part)

        return self._halving.run(some, hidden.shape[0], hidden.shape[1])

    def _read(
        self, scores_NC: NDArray[np.float64], rows: list[Row], final_BTD: torch.Tensor, prefix_length: int
    ) -> None:
        """Project the answer's positions and write the rows' scores."""
        head = self.base.model.get_output_embeddings()
        last = torch.tensor([len(row.ids) - prefix_length - 1 for row in rows], device=final_BTD.device)
        if rows[0].answer is None and not rows[0].branches:
            hidden_BD = final_BTD[torch.arange(len(rows), device=final_BTD.device), last]
            width = max(len(row.targets) for row in rows)
            targets = torch.tensor([row.targets + row.targets[:1] * (width - len(row.targets)) for row in rows])
            where = Rows(torch.arange(len(rows), device=last.device), last + prefix_length)
            logits_BC = _project_onto(head, hidden_BD, targets.to(final_BTD.device), where)
            for row, values in zip(rows, logits_BC.cpu().numpy(), strict=True):
                scores_NC[row.item, : len(row.targets)] = values[: len(row.targets)]
            return
        for row, end, hidden_TD in zip(rows, last.tolist(), final_BTD, strict=True):
            begin = end + 1 - row.num_read
            positions = torch.tensor(row.positions_read, device=hidden_TD.device)
            where = Rows(torch.zeros_like(positions), positions)
            log_probs_TV = torch.log_softmax(project(head, hidden_TD[begin : end + 1], where).float(), dim=-1)
            if row.branches:
                _read_branches(scores_NC[row.item], row, log_probs_TV)
                continue
            if row.paths:
                _read_paths(scores_NC[row.item], row, log_probs_TV)
                continue
            targets = torch.tensor(row.targets, device=log_probs_TV.device)
            scores_NC[row.item, row.answer] = log_probs_TV.gather(1, targets[:, None]).mean().item()


def _project_onto(head: Any, hidden_BD: torch.Tensor, targets_BC: torch.Tensor, where: Rows) -> torch.Tensor:
    """Return the logits of the targets alone, shape (B, C); an adapted head has to be run whole."""
    if isinstance(head, BaseTunerLayer):
        return project(head, hidden_BD, where).float().gather(1, targets_BC)
    return torch.einsum("bd,bcd->bc", hidden_BD.float(), head.weight[targets_BC].float())


def _read_paths(scores_C: NDArray[np.float64], row: Row, log_probs_TV: torch.Tensor) -> None:
    """Write log p(answer) = Σ_t log p(token t | tokens before) of the answers that the row leads to."""
    places = [place for _, ids in row.paths for place in range(len(ids))]
    tokens = [token for _, ids in row.paths for token in ids]
    steps = log_probs_TV[places, tokens].cpu().numpy().astype(np.float64)
    begins = np.cumsum([0, *(len(ids) for _, ids in row.paths[:-1])])
    scores_C[[answer for answer, _ in row.paths]] = np.add.reduceat(steps, begins)


def _read_branches(scores_C: NDArray[np.float64], row: Row, log_probs_TV: torch.Tensor) -> None:
    """Write the mean log p of each answer's tokens: the first is read off the prompt's end, the others off its own."""
    at = 1
    for answer, ids in row.branches:
        places = [0, *range(at, at + len(ids) - 1)]
        scores_C[answer] = log_probs_TV[places, list(ids)].mean().item()
        at += len(ids) - 1


def _pool_hidden(
    embeddings_ND: NDArray[np.float32], rows: list[Row], final_BTD: torch.Tensor, prefix_BTD: torch.Tensor | None
) -> None:
    """Add the mean hidden state of each item's prompt; of an item with several rows, the first row's."""
    firsts = [index for index, row in enumerate(rows) if not row.answer]
    if not firsts:
        return
    device, num_prefix = final_BTD.device, 0 if prefix_BTD is None else prefix_BTD.shape[1]
    lengths_B = torch.tensor([rows[index].num_prompt for index in firsts], device=device)
    counts_BT = torch.arange(final_BTD.shape[1], device=device) < (lengths_B - num_prefix)[:, None]
    total_BD = torch.einsum("btd,bt->bd", final_BTD[firsts].float(), counts_BT.float())
    if prefix_BTD is not None:
        total_BD = total_BD + prefix_BTD[0].float().sum(dim=0)
    embeddings_ND[[rows[index].item for index in firsts]] += (total_BD / lengths_B[:, None]).cpu().numpy()


def _log_sum_exp(scores_NKC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log Σ_c exp, shape (N, K, 1), in float64."""
    if scores_NKC.size == 0:
        return np.zeros((*scores_NKC.shape[:2], 1))
    highest = scores_NKC.max(axis=2, keepdims=True)
    total: NDArray[np.float64] = highest + np.log(np.exp(scores_NKC - highest).sum(axis=2, keepdims=True))
    return total
