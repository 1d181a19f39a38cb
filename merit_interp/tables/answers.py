"""How models answered: orders of options, generated texts that were read, and liked letters.

    answer_tables(run.scores, shown=True)["letter_prior"]    # letters chosen against letters right

`circular` is right in every order of options, `answers_read` which rule read the generated texts,
and how many none did.

Intervals are clustered by video. This file must not know how an answer was read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merit_interp.records import ItemScore
from merit_interp.statistics.intervals import Interval, clustered_mean, clustered_share
from merit_interp.statistics.paired import paired_difference
from merit_interp.tables.model_names import MERGED, VLM, in_listing_order, is_random_draw
from merit_interp.tables.skills import SKILLS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOTABLE = 0.1
"""A letter that is chosen so much more or less often than it is right is told of."""

CIRCULAR_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "skill": "str",
    "n_items": "int64",
    "n_videos": "int64",
    "chance": "float64",
    "accuracy": "float64",
    "mean_accuracy": "float64",
    "mean_accuracy_low": "float64",
    "mean_accuracy_high": "float64",
    "chance_always": "float64",
    "always_right": "float64",
    "always_right_low": "float64",
    "always_right_high": "float64",
    "n_pairs": "int64",
    "delta_always_right": "float64",
    "delta_always_right_low": "float64",
    "delta_always_right_high": "float64",
    "delta_always_right_p": "float64",
}
"""`accuracy` is by mean log-probability, `mean_accuracy` the mean over orders, `always_right` the
share of items that are right in every order; `chance_always` is what guessing anew gets of it."""

READING_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "skill": "str",
    "n_items": "int64",
    "n_texts": "int64",
    "cue": "int64",
    "letter": "int64",
    "parentheses": "int64",
    "text": "int64",
    "none": "int64",
    "unparsed": "float64",
}
"""`n_texts` generated texts by the rule that read them; `unparsed` is the share of items of which
no text was read, each of them wrong."""

LETTER_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "letter": "str",
    "n_items": "int64",
    "n_videos": "int64",
    "probability": "float64",
    "chosen": "float64",
    "right": "float64",
    "excess": "float64",
    "excess_low": "float64",
    "excess_high": "float64",
    "circular": "bool",
}
"""Of the items that have the letter: its mean `probability` among the letters, the share in which
it is `chosen` and is `right`, and the `excess` of the one over the other; over all orders of
options where they were asked, where each letter is right equally often. Generated texts that were
not read are left out."""

Cell = tuple[str, str, str]


def answer_tables(scores: Sequence[ItemScore], *, shown: bool) -> dict[str, pd.DataFrame]:
    """The tables of this file, by name; one without rows is of a run that it says nothing of.

    Args:
        scores: Scores of any models.
        shown: Whether options were shown with letters.
    """
    return {
        "letter_prior": letter_table(scores if shown else ()),
        "circular": circular_table(scores),
        "answers_read": reading_table(scores),
    }


def circular_table(scores: Iterable[ItemScore], *, seed: int = 0) -> pd.DataFrame:
    """One row for each item set, model and skill; no rows where options had one order.

    Source of `always_right`: CircularEval of MMBench (arXiv 2307.06281).

    Args:
        scores: Scores of any models; items that failed are left out.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `CIRCULAR_COLUMNS`.
    """
    cells = _cells(score for score in scores if score.rotations)
    rows = []
    for (item_set, skill, model), own in cells.items():
        vlm = cells.get((item_set, skill, VLM), []) if model != VLM else []
        rows.append(
            {"item_set": item_set, "model": model, "skill": skill, **_circular(own, vlm, seed)}
        )
    return pd.DataFrame(rows, columns=list(CIRCULAR_COLUMNS)).astype(CIRCULAR_COLUMNS)


def reading_table(scores: Iterable[ItemScore]) -> pd.DataFrame:
    """One row for each item set, model and skill; no rows where nothing was generated.

    Returns:
        A frame with `READING_COLUMNS`.
    """
    rows = []
    for (item_set, skill, model), own in _cells(s for s in scores if s.texts).items():
        parses = [parse for score in own for parse in score.parses]
        rules = ("cue", "letter", "parentheses", "text", "none")
        rows.append(
            {
                "item_set": item_set,
                "model": model,
                "skill": skill,
                "n_items": len(own),
                "n_texts": len(parses),
                **{rule: parses.count(rule) for rule in rules},
                "unparsed": sum(score.status == "unparsed" for score in own) / len(own),
            }
        )
    return pd.DataFrame(rows, columns=list(READING_COLUMNS)).astype(READING_COLUMNS)


def letter_table(scores: Iterable[ItemScore], *, seed: int = 0) -> pd.DataFrame:
    """One row for each item set, model and letter, over all skills; no draws of random layers.

    Args:
        scores: Scores by letters, or of generated answers; items without an answer are left out.
        seed: Seed of the bootstrap.

    Returns:
        A frame with `LETTER_COLUMNS`.
    """
    by_model: dict[tuple[str, str], list[ItemScore]] = {}
    for score in scores:
        is_read = any(letter is not None for letter in score.letters_chosen)
        if is_read and not is_random_draw(score.model):
            by_model.setdefault((score.item_set, score.model), []).append(score)
    rows = []
    for (item_set, model), own in _listed(by_model):
        for place in range(max(len(score.log_probs) for score in own)):
            having = [score for score in own if len(score.log_probs) > place]
            measured = _letter(having, place, seed)
            rows.append(
                {"item_set": item_set, "model": model, "letter": LETTERS[place], **measured}
            )
    return pd.DataFrame(rows, columns=list(LETTER_COLUMNS)).astype(LETTER_COLUMNS)


def notable_letters(table: pd.DataFrame) -> list[str]:
    """A sentence for each letter that the VLM or the merged model likes or shuns notably.

    By `NOTABLE` at least, and with an interval that leaves out zero; the furthest of a model only.

    Args:
        table: As `letter_table` returns it.
    """
    furthest: dict[tuple[str, str], dict[Any, Any]] = {}
    for row in table[table["model"].isin([VLM, MERGED])].to_dict("records"):
        is_sure = row["excess_low"] > 0 or row["excess_high"] < 0
        if not is_sure or abs(row["excess"]) < NOTABLE:
            continue
        before = furthest.get((row["item_set"], row["model"]))
        if before is None or abs(before["excess"]) < abs(row["excess"]):
            furthest[row["item_set"], row["model"]] = row
    lines = []
    for (item_set, model), row in furthest.items():
        name = "VLM" if model == VLM else "merged model"
        low, high = (100 * row[f"excess_{end}"] for end in ("low", "high"))
        lines.append(
            f"On {item_set} the {name} answers {row['letter']} {100 * row['chosen']:.0f}% of the "
            f"time, where it is right {100 * row['right']:.0f}% of the time: "
            f"{100 * row['excess']:+.0f} points [{low:+.0f}, {high:+.0f}]"
            + ("" if row["circular"] else "; --circular asks in every order of the options")
        )
    return lines


def unread_lines(table: pd.DataFrame) -> list[str]:
    """A sentence an item set: the share of texts of VLM and merged model that no rule read.

    Args:
        table: As `reading_table` returns it.
    """
    counts = table.groupby(["item_set", "model"], sort=False)[["none", "n_texts"]].sum()
    shares = {key: row["none"] / row["n_texts"] for key, row in counts.iterrows()}
    return [
        f"On {item_set} no answer could be read in {100 * shares[item_set, VLM]:.1f}% of the "
        f"VLM's texts and {100 * shares[item_set, MERGED]:.1f}% of the merged model's; they count "
        "as wrong"
        for item_set in dict.fromkeys(table["item_set"])
        if (item_set, VLM) in shares and (item_set, MERGED) in shares
    ]


def _cells(scores: Iterable[ItemScore]) -> dict[Cell, list[ItemScore]]:
    """Scores by item set, skill and model, in listing order."""
    found: dict[Cell, list[ItemScore]] = {}
    for score in scores:
        found.setdefault((score.item_set, score.skill, score.model), []).append(score)
    sets = list(dict.fromkeys(key[0] for key in found))
    models = in_listing_order(key[2] for key in found)
    order = sorted(
        found, key=lambda key: (sets.index(key[0]), models.index(key[2]), SKILLS.index(key[1]))
    )
    return {key: found[key] for key in order}


def _listed(
    by_model: Mapping[tuple[str, str], list[ItemScore]],
) -> list[tuple[tuple[str, str], list[ItemScore]]]:
    models = in_listing_order(model for _, model in by_model)
    sets = list(dict.fromkeys(item_set for item_set, _ in by_model))
    return [
        ((item_set, model), by_model[item_set, model])
        for item_set in sets
        for model in models
        if (item_set, model) in by_model
    ]


def _circular(
    own: Sequence[ItemScore], vlm: Sequence[ItemScore], seed: int
) -> dict[str, float | int]:
    groups = [score.group for score in own]
    right = [float(np.mean(score.right_in_each)) for score in own]
    sizes = np.array([len(score.log_probs) for score in own], dtype=np.float64)
    always = clustered_share([all(score.right_in_each) for score in own], groups)
    row: dict[str, float | int] = {
        "n_items": len(own),
        "n_videos": len(set(groups)),
        "chance": float(np.mean(1 / sizes)),
        "accuracy": float(np.mean([score.correct for score in own])),
        **_ends("mean_accuracy", clustered_mean(right, groups, bounds=(0.0, 1.0), seed=seed)),
        "chance_always": float(np.mean(sizes**-sizes)),
        **_ends("always_right", always),
        "n_pairs": 0,
    }
    theirs = {score.item: score for score in vlm}
    both = [score for score in own if score.item in theirs]
    if not both:
        return row
    difference = paired_difference(
        [float(all(score.right_in_each)) for score in both],
        [float(all(theirs[score.item].right_in_each)) for score in both],
        [score.group for score in both],
        bounds=(-1.0, 1.0),
        seed=seed,
    )
    return row | {
        "n_pairs": len(both),
        **_ends("delta_always_right", difference.interval),
        "delta_always_right_p": difference.p_value,
    }


def _letter(having: Sequence[ItemScore], place: int, seed: int) -> dict[str, float | int | bool]:
    chosen, right, probability = [], [], []
    for score in having:
        n = len(score.log_probs)
        read = {r: letter for r, letter in enumerate(score.letters_chosen) if letter is not None}
        orders = score.rotations or (score.log_probs,)
        chosen.append(sum(letter == place for letter in read.values()) / len(read))
        right.append(sum((score.answer - r) % n == place for r in read) / len(read))
        probability.append(sum(_share(order, place) for order in orders) / len(orders))
    excess = [a - b for a, b in zip(chosen, right, strict=True)]
    groups = [score.group for score in having]
    return {
        "n_items": len(having),
        "n_videos": len(set(groups)),
        "probability": float(np.mean(probability)),
        "chosen": float(np.mean(chosen)),
        "right": float(np.mean(right)),
        **_ends("excess", clustered_mean(excess, groups, bounds=(-1.0, 1.0), seed=seed)),
        "circular": any(score.rotations for score in having),
    }


def _share(log_probs: Sequence[float], place: int) -> float:
    """Probability of one letter among all."""
    top = max(log_probs)
    if not math.isfinite(top):
        return math.nan  # the merge made the model overflow
    return math.exp(log_probs[place] - top) / sum(math.exp(value - top) for value in log_probs)


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: interval.estimate,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }
