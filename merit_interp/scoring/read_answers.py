"""Item scores with what was found in each order of options and in each generated text.

    scores = with_answers(scores, asked, letter_log_probs, texts)

This file must not know models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from merit_interp.records import ItemScore
from merit_interp.scoring.answer_parser import parse_answer
from merit_interp.scoring.option_orders import Asked, by_rotation


def with_answers(
    scores: Sequence[ItemScore],
    asked: Sequence[Asked],
    log_probs: Mapping[int, tuple[float, ...]],
    texts: Mapping[int, str],
) -> list[ItemScore]:
    """The scores with rotations and generated answers; each as it is where there are none.

    Args:
        scores: One for each item, in order.
        asked: The items and their orders of options.
        log_probs: Log-probability of each letter in nats, by place in `asked`; empty if the items
            were asked in their own order only.
        texts: What the model said, by place in `asked`; empty if it was not asked to speak.
    """
    rotations, said = by_rotation(asked, log_probs), by_rotation(asked, texts)
    orders: dict[int, list[Asked]] = by_rotation(asked, dict(enumerate(asked)))
    found = []
    for index, score in enumerate(scores):
        if index in rotations:
            score = dataclasses.replace(score, rotations=tuple(rotations[index]))
        if index in said:
            score = _read(score, orders[index], said[index])
        found.append(score)
    return found


def _read(score: ItemScore, orders: Sequence[Asked], texts: Sequence[str]) -> ItemScore:
    parsed = [
        (asked, parse_answer(text, asked.item.options))
        for asked, text in zip(orders, texts, strict=True)
    ]
    n_options = len(score.log_probs)
    read = tuple(
        None if answer.option is None else (answer.option + asked.rotation) % n_options
        for asked, answer in parsed
    )
    return dataclasses.replace(
        score,
        texts=tuple(texts),
        parses=tuple(answer.rule for _, answer in parsed),
        read=read,
        status="unparsed" if set(read) == {None} else score.status,
    )
