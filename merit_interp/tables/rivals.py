"""The simpler merges that a recipe is held against, and the differences to each of them.

    scores = SetScores.of(rows, "validation", seed=0)
    scores.against("uniform_attention_1.0", "reasoning").shows(ABOVE)

This file must not know what is claimed of a difference, nor how it is worded.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merit_interp.tables.agreement import Evidence
from merit_interp.tables.item_frames import random_draws_averaged
from merit_interp.tables.model_names import (
    MERGED,
    RANDOM_LAYERS,
    in_listing_order,
    is_random_draw,
    model_label,
)
from merit_interp.tables.skills import compare_models, videos_apart


@dataclass(frozen=True)
class Rival:
    """A kind of simpler merge that the recipe is held against."""

    name: str
    """What claim and headline call it."""
    prefix: str
    """What the names of its models begin with; the strongest of them counts."""
    is_asked_for: bool = False
    """Whether only some evaluations score them; where none was, nothing is said of them."""

    @property
    def claim(self) -> str:
        """The claim that the recipe is better."""
        return f"Better than {self.name}"


RIVALS = (
    Rival("uniform merging of self-attention", "uniform_attention_"),
    Rival("uniform merging of all text weights", "uniform_text_"),
    Rival("other merge methods", "method_", is_asked_for=True),
    Rival("the first layers", "first_k"),
    Rival("the last layers", "last_k"),
    Rival("random layers", RANDOM_LAYERS),
)


@dataclass(frozen=True, eq=False)
class SetScores:
    """The scores of one item set, with the draws of random layers as one model."""

    frame: pd.DataFrame
    """As `random_draws_averaged` returns it."""
    item_set: str
    n_draws: int
    """Draws behind the mean of random layers."""
    same_merge: frozenset[str]
    """Models that are the merged one under another name."""
    seed: int

    @classmethod
    def of(cls, rows: pd.DataFrame, item_set: str, seed: int) -> SetScores:
        """From the rows of one item set, as `item_scores` returns them."""
        recipes = rows.drop_duplicates("model").set_index("model")["recipe"]
        same = recipes.index[recipes == recipes.get(MERGED)].difference([MERGED])
        draws = recipes.index.map(is_random_draw).to_numpy(dtype=bool).sum()
        return cls(random_draws_averaged(rows), item_set, int(draws), frozenset(same), seed)

    @property
    def models(self) -> list[str]:
        """All models, in listing order."""
        return in_listing_order(self.frame["model"])

    def concern(self, rival: Rival) -> bool:
        """Whether there is something to say of a rival."""
        return not rival.is_asked_for or any(m.startswith(rival.prefix) for m in self.models)

    def against(self, other: str, skill: str) -> Evidence:
        """Accuracy of the merged model minus that of another one."""
        place = {"item_set": self.item_set, "skill": skill}
        return Evidence(
            compare_models(self.frame, MERGED, other, seed=self.seed, **place),
            videos_apart(self.frame, MERGED, other, **place),
        )

    def label(self, model: str) -> str:
        """What a sentence calls a model."""
        if model == RANDOM_LAYERS:
            return f"the mean of {self.n_draws} draws of random layers"
        label = model_label(model).lower()
        return f"its coefficients on the {label}" if model in ("first_k", "last_k") else label
