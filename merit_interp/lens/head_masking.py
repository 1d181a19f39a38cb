"""Every head of some layers masked alone, in one model: option scores of every item, as records.

    mask_heads(evaluation, "merged", layers, write=masks.append)

The model is transformers' own, with the attention that it is scored with. This file must not know
recipes, nor where records go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence

from merit_interp.lens.heads import masked_head, n_heads_of
from merit_interp.records import MaskedScores
from merit_interp.scoring.evaluation import Evaluation

Key = tuple[str, tuple[int, ...], tuple[int, ...], int]
"""Model, layers, heads and batch: what one record is of."""


def mask_heads(
    evaluation: Evaluation,
    name: str,
    layers: Sequence[int],
    *,
    write: Callable[[MaskedScores], None],
    done: Collection[Key] = (),
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Score the items with no head masked, then with each head of the layers.

    Args:
        evaluation: The items, prepared for the model as it is now.
        name: The model's name.
        layers: Whose heads are masked.
        write: Given each new record.
        done: What is known already, and not done again.
        progress: Told how many batches and heads are done, and of how many.

    Raises:
        SettingError: A masked model gave NaN.
    """
    heads = range(n_heads_of(evaluation.model))
    sets = [(), *((layer, head) for layer in layers for head in heads)]
    count, total = 0, len(sets) * len(evaluation.batches)
    for masked in sets:
        for number in range(len(evaluation.batches)):
            count += 1
            key = (name, masked[:1], masked[1:], number)
            if key in done:
                continue
            with contextlib.ExitStack() as stack:
                if masked:
                    layer, head = masked
                    stack.enter_context(masked_head(evaluation.model, layer=layer, head=head))
                scores = evaluation.score_batch(number)
            named = {evaluation.items[index].id: values for index, values in scores}
            write(MaskedScores(*key, named))
            if progress is not None:
                progress(count, total)
