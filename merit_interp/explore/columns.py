"""What every column of every table of a run means, with its unit.

    column_notes("summary")["accuracy"]

Suffixes `_low` and `_high` are the ends of a 95% interval over videos, `_p` a two-sided p-value.
This file must not know how a column is computed; a test holds it to the tables' columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from merit_interp.errors import SettingError
from merit_interp.tables.answers import CIRCULAR_COLUMNS, LETTER_COLUMNS, READING_COLUMNS
from merit_interp.tables.attribution_frames import ATTRIBUTION_COLUMNS
from merit_interp.tables.attribution_shift import SHIFT_COLUMNS
from merit_interp.tables.item_frames import ITEM_SCORE_COLUMNS, TRIAL_COLUMNS
from merit_interp.tables.lens_attention import ATTENTION_COLUMNS
from merit_interp.tables.lens_direct import DIRECT_COLUMNS
from merit_interp.tables.lens_heads import HEAD_COLUMNS
from merit_interp.tables.lens_layers import LAYER_COLUMNS as STATE_COLUMNS
from merit_interp.tables.masking_comparison import comparison_frame
from merit_interp.tables.masking_depth import LAYER_COLUMNS, DepthMap, depth_frame
from merit_interp.tables.masking_effects import EFFECT_COLUMNS, OUTCOMES
from merit_interp.tables.pair_consistency import PAIR_COLUMNS
from merit_interp.tables.skills import SKILL_COLUMNS, SPREAD_COLUMNS
from merit_interp.tables.video_controls import DEPENDENCY_COLUMNS, VIDEO_CONTROL_COLUMNS


@dataclass(frozen=True)
class Table:
    """One table of a run."""

    rows: str
    """What one row is."""
    columns: tuple[str, ...]
    notes: Mapping[str, str]
    """Meanings of the columns that `SHARED` does not have, or has otherwise."""
    part: str = ""
    """Directory below the run's that it is made from; empty for the run's own records."""


SHARED = {
    "item_set": "name of the item set",
    "model": "vlm, merged, uniform_attention_0.5, random_layers_00, ... (`tables.model_names`)",
    "recipe": "hash of the merge in force; vlm for the unmerged model",
    "skill": "reasoning (TR), perception (TP) or other",
    "category": "kind of question within the skill; all for all of them",
    "group": "the video's identity, by which intervals are clustered",
    "item": "the item's id",
    "status": "ok or failed",
    "layers": "masked text layers, counted from 0, with commas between",
    "heads": "masked heads of those layers; empty for all of self-attention",
    "roles": "why the set was masked: single, chosen, complement, size_matched, first, last, head",
    "n_layers": "number of layers masked together",
    "n_items": "items behind the number",
    "n_videos": "videos that those items are on",
    "n_pairs": "items that both models scored",
    "outcome": "what masking changes: margin_nats, log_prob_nats, accuracy or kl_nats",
}
"""Meanings of columns that several tables have."""

_SCORES = {
    "status": "ok or failed; unparsed where no answer was read, which is wrong",
    "reason": "why a failed item has no score; else empty",
    "n_options": "options of the question",
    "answer": "index of the right option",
    "chosen": "index of the most probable option",
    "correct": "1 or 0; missing for a failed item",
    "margin_nats": "log-probability of the right option less the best other's, in nats",
    "probability": "probability of the right option among the options, in [0, 1]",
    "entropy_nats": "entropy of the distribution over the options, in nats",
}
_SKILLS = {
    "n_failed": "items without a score, left out of every mean",
    "chance": "accuracy of guessing, a share",
    "accuracy": "share of items answered right",
    "margin_nats": "mean margin of the right option, in nats",
    "delta_accuracy": "accuracy less the VLM's on the same items, a share in [-1, 1]",
    "delta_margin_nats": "margin less the VLM's on the same items, in nats",
    "n_draws": "draws of random layers behind the row; 1 for any other model",
    "draws_accuracy_sd": "standard deviation of the draws' accuracies",
    "draws_accuracy_min": "least accuracy of a draw",
    "draws_accuracy_max": "greatest accuracy of a draw",
}
_LETTERS = {
    "letter": "the letter, of the items that have an option for it",
    "probability": "its mean probability among the item's letters",
    "chosen": "share of items in which it is chosen; over all orders where they were asked",
    "right": "share in which it is right; in every cyclic order that is 1 / options",
    "excess": "chosen less right, in [-1, 1]",
    "circular": "whether options were asked in every cyclic order",
}
_CIRCULAR = {
    "chance": "accuracy of guessing, a share",
    "accuracy": "share of items right by mean log-probability over the orders",
    "mean_accuracy": "share right, mean over the orders",
    "chance_always": "share right in every order if one guesses anew in each",
    "always_right": "share of items that are right in every order (CircularEval)",
    "delta_always_right": "always_right less the VLM's on the same items, in [-1, 1]",
}
_READINGS = {
    "n_texts": "generated texts: one an item, or one an order of its options",
    "cue": "texts read by words that announce an answer",
    "letter": "texts read by a letter that stands alone",
    "parentheses": "texts read by a letter in parentheses",
    "text": "texts read by the text of one option",
    "none": "texts that no rule read",
    "unparsed": "share of items of which no text was read; each is wrong",
}
_CONTROLS = {
    "video_control": "what was shown in place of the video: black, shuffled, evidence_removed, ...",
    "measure": "what the drop under this control is called: visual dependency, ...",
    "n_items": "items that the model answered on the video and under the control",
    "n_failed": "items without one of the two scores, left out",
    "n_not_applicable": "items that the control says nothing of (no evidence is shown), left out",
    "chance": "accuracy of guessing, a share",
    "video_accuracy": "share of these items answered right on the video",
    "accuracy": "share of them answered right under the control",
    "above_chance": "accuracy under the control less guessing, a share in [-1, 1]",
    "drop": "accuracy on the video less that under the control, a share in [-1, 1]",
    "drop_margin_nats": "margin on the video less that under the control, in nats",
    "n_pairs": "items behind the comparison with the VLM",
    "delta_drop": "the drop less the VLM's on the same items, a share in [-2, 2]",
    "black_accuracy": "share of them answered right on black frames",
    "black_above_chance": "that accuracy less guessing: what the text gives away",
    "visual_dependency": "accuracy on the video less that on black frames, a share in [-1, 1]",
    "delta_visual_dependency": "visual dependency less the VLM's on the same items",
}
_PAIRS = {
    "skill": "skill of a pair's questions; mixed where they ask for several",
    "score": "pair (all questions), or the parts of pairs that have some, then group (all parts)",
    "n_pairs": "pairs that count: every question is there and has a score",
    "n_clusters": "sets of pairs that share no video, by which intervals are clustered",
    "n_incomplete": "pairs that lack a question or a part, left out",
    "n_failed": "pairs with a question without a score, left out",
    "chance": "share of pairs that guesses get right: the product of 1 / options, averaged",
    "accuracy": "share of single questions answered right in the same pairs",
    "consistency": "share of pairs with every question answered right",
    "above_chance": "consistency less guessing, a share in [-1, 1]",
    "n_compared": "pairs behind the comparison with the VLM",
    "delta_consistency": "consistency less the VLM's over the same pairs, a share in [-1, 1]",
}
_TRIALS = {
    "split": "search or validation: which half of the videos",
    "number": "order of proposal, from 0",
    "recipe": "hash of the merge",
    "layers": "share of the backbone in each merged layer, as JSON",
    "n_layers": "number of merged layers",
    "objective": "J = delta_tr - penalty * max(0, -delta_tp), in the objective's unit",
    "delta_tr": "mean change on reasoning against the VLM, in the objective's unit",
    "delta_tp": "mean change on perception, in the objective's unit",
    "delta_tr_accuracy": "change of reasoning accuracy, a share in [-1, 1]",
    "delta_tp_accuracy": "change of perception accuracy, a share in [-1, 1]",
    "delta_tr_margin_nats": "mean change of the clipped margin on reasoning, in nats",
    "delta_tp_margin_nats": "mean change of the clipped margin on perception, in nats",
    "best_so_far": "greatest objective up to this trial, within the split",
    "on_pareto_front": "whether no other trial of the split is better on both skills",
    "is_chosen": "whether it is the run's recipe",
}
_LAYERS = {"cost": "mean over items of the unmasked value less the masked one, in its unit"}
_COMPARISONS = {
    "family": "together (the chosen set against sets of its size) or alone (layer by layer)",
    "test": "reasoning, perception, interaction (reasoning less perception) or correlation",
    "estimate": "how much more the chosen layers cost than the others, in the outcome's unit",
    "chosen": "the chosen layers' own cost",
    "others": "mean cost of what they are held against",
    "p_value": "share of layer sets that do as well, one-sided; two-sided for a correlation",
    "p_holm": "the same after Holm's correction in the family; missing where nothing is claimed",
    "rank": "of the chosen layers among all compared, 1 for the costliest; 0 where undefined",
    "n_others": "other sets, choices of layers, or layers of the correlation",
    "exhaustive": "whether those are all that there are",
    "level": "level of the interval",
}
_DEPTH = {
    "model": "the model; for a change or a correlation the two, `vlm to merged`",
    "name": "centre_of_mass (a layer), participation_ratio (layers), their change_of_..., or "
    "rank_correlation of the two profiles",
    "estimate": "the number",
}
_ATTRIBUTIONS = {
    "condition": "what the model was shown: video, or a control (shuffled, black, ...)",
    "method": "method of attribution: ig, shapley, occlusion, ...",
    "turned": "what merging did to the answer: right, broken, kept_right, kept_wrong",
    "correct": "whether the item was answered right, 1 or 0; missing for a failed item",
    "steps": "steps of the path, or sampled orders",
    "completeness_error": "|sum of scores - change of the target| as a share of that change",
    "flagged": "whether that error stayed above the limit",
    "n_units": "units that have a score: frames or temporal patches",
    "evidence_share": "the evidence's share of the units, which is chance",
    "mass": "share of absolute attribution on the evidence",
    "excess_mass": "mass less chance",
    "excess_positive_mass": "share of positive attribution on the evidence, less chance",
    "pointing": "whether the greatest score is on the evidence, 1 or 0 (ties shared)",
    "excess_pointing": "pointing less chance",
    "average_precision": "of the evidence when units are ordered by score, in [0, 1]",
    "excess_precision": "average precision less chance",
    "deletion_excess_nats": "drop without the evidence less that without as many others, in nats",
    "insertion_excess_nats": "rise by the evidence alone less that by as many others, in nats",
    "agreement": "rank correlation with the run's main method on the same item",
}
_SHIFT = {
    "model": "vlm, merged, random_layers, masked, masked_others or randomised",
    "condition": _ATTRIBUTIONS["condition"],
    "method": _ATTRIBUTIONS["method"],
    "metric": "excess_mass, excess_precision, ...: as in the table of attributions",
    "items": "all items, or those that merging turned right, or those that it broke",
    "n_undefined": "items for which the metric is undefined, left out",
    "n_flagged": "items whose attribution is not complete",
    "chance_share": "the evidence's mean share of the units, which excess_mass is beyond",
    "mean": "mean of the metric over items; 0 is chance",
    "against": "what it is held against: another model, the real video, or chance",
    "difference": "mean paired difference to that",
    "effect_size": "that difference in standard deviations of the items' differences",
}
_OF_MODELS = "vlm, merged, backbone_transcripts, or `merged minus vlm`: the paired difference"
_STATES = {
    "model": _OF_MODELS,
    "measure": "margin_nats, log_prob_nats (nats) or accuracy (a share), read off the state",
    "after_layer": "the layer that the state comes out of; -1 for what enters the first one",
    "value": "mean over items, in the measure's unit",
}
_ATTENTION = {
    "model": _OF_MODELS,
    "position": "who looks: answer (the prompt's last token) or question (mean over its tokens)",
    "kind": "tokens looked at: visual, transcript, question, answer or other",
    "layer": "text layer; -1 for the mean over layers",
    "head": "head; -1 for the mean over the layer's heads",
    "share": "share of attention; for a difference that of shares, in [-1, 1]",
}
_HEADS = {
    "layer": "text layer, one of the compared",
    "head": "head of the layer",
    "key_head": "the key head that it reads",
    "sharing": "heads that read that key head",
    **{
        f"share_{name}": f"norm of the change of its slice of {name} as a share of the VLM's norm"
        for name in ("q", "k", "v", "o")
    },
    "share_all": "the same over all four",
    "output_change": "the same of what it adds where the answer begins, mean over items",
    "cost_vlm": "drop of the margin when it is masked in the VLM, in nats",
    "cost_merged": "drop of the margin when it is masked in the merged model, in nats",
    "cost_change": "cost_merged less cost_vlm, in nats",
    "p_vlm": "two-sided p-value of cost_vlm, signs flipped by video",
    "p_merged": "two-sided p-value of cost_merged, signs flipped by video",
    "p_vlm_holm": "p_vlm after Holm's correction over all heads of the skill",
    "p_merged_holm": "p_merged after Holm's correction over all heads of the skill",
}
_DIRECT = {
    "model": _OF_MODELS,
    "part": "embedding, head, bias or mlp; in groups: chosen_heads, other_heads, mlps, embedding, "
    "margin",
    "layer": "text layer; -1 where the part has none",
    "head": "head; -1 where the part is none",
    "nats": "what it adds to the right option's margin, mean over items, in nats",
}
_SUFFIXES = {"_low": "lower 95% end of", "_high": "upper 95% end of", "_p": "two-sided p-value of"}

TABLES: dict[str, Table] = {
    "scores": Table("an item that a model scored", tuple(ITEM_SCORE_COLUMNS), _SCORES),
    "skills": Table(
        "an item set, model, skill and category of question", tuple(SKILL_COLUMNS), _SKILLS
    ),
    "summary": Table(
        "an item set, model and skill; all draws of random layers are one model",
        (*(name for name in SKILL_COLUMNS if name != "category"), *SPREAD_COLUMNS),
        _SKILLS,
    ),
    "letter_prior": Table("an item set, model and letter", tuple(LETTER_COLUMNS), _LETTERS),
    "circular": Table(
        "an item set, model and skill, where options were asked in every cyclic order",
        tuple(CIRCULAR_COLUMNS), _CIRCULAR,
    ),
    "answers_read": Table(
        "an item set, model and skill, where answers were generated",
        tuple(READING_COLUMNS), _READINGS,
    ),
    "video_controls": Table(
        "an item set, video control, model, skill and category of question",
        tuple(VIDEO_CONTROL_COLUMNS), _CONTROLS,
    ),
    "visual_dependency": Table(
        "an item set, model, skill and category: the video controls' rows on black frames",
        tuple(DEPENDENCY_COLUMNS), _CONTROLS,
    ),
    "pair_consistency": Table(
        "an item set, skill, score and model, where items come in pairs",
        tuple(PAIR_COLUMNS), _PAIRS,
    ),
    "trials": Table("a recipe that the search tried, on one split", tuple(TRIAL_COLUMNS), _TRIALS),
    "mask_effects": Table(
        "a model, a masked set of layers and an item", tuple(EFFECT_COLUMNS), OUTCOMES, "mask"
    ),
    "mask_layers": Table(
        "a model, a masked set of layers, a skill or category, and an outcome",
        tuple(LAYER_COLUMNS), _LAYERS, "mask",
    ),
    "mask_comparisons": Table(
        "a test of the chosen layers against the others",
        tuple(map(str, comparison_frame(()).columns)), _COMPARISONS, "mask",
    ),
    "mask_depth": Table(
        "a number that sums up a skill's profile over depth",
        tuple(map(str, depth_frame(DepthMap(())).columns)), _DEPTH, "mask",
    ),
    "attributions": Table(
        "an item, model, condition and method of attribution",
        tuple(ATTRIBUTION_COLUMNS), _ATTRIBUTIONS, "attribute",
    ),
    "attribution_shift": Table(
        "a comparison of attribution on the evidence", tuple(SHIFT_COLUMNS), _SHIFT, "attribute"
    ),
    "lens_layers": Table(
        "a model, skill, measure and layer: what its state says of the answer",
        tuple(STATE_COLUMNS), _STATES, "lens",
    ),
    "lens_attention": Table(
        "a model, skill, position, kind of token, layer and head",
        tuple(ATTENTION_COLUMNS), _ATTENTION, "lens",
    ),
    "lens_heads": Table(
        "a head of the recipe's layers and a skill: its change and its cost",
        tuple(HEAD_COLUMNS), _HEADS, "lens",
    ),
    "lens_direct": Table(
        "a model, skill and part of the last state: what it adds to the margin",
        tuple(DIRECT_COLUMNS), _DIRECT, "lens",
    ),
    "lens_direct_groups": Table(
        "the same with parts put together", tuple(DIRECT_COLUMNS), _DIRECT, "lens"
    ),
}  # fmt: skip
"""The tables of a run, by the name of its property."""


def column_notes(table: str) -> dict[str, str]:
    """The meaning of each column of a table, in the columns' order.

    Args:
        table: A name of `TABLES`.

    Raises:
        SettingError: There is no such table.
    """
    if table not in TABLES:
        raise SettingError(f"no table {table!r}", valid=", ".join(TABLES))
    known = {**SHARED, **TABLES[table].notes}
    return {name: _note(name, known, TABLES[table].columns) for name in TABLES[table].columns}


def _note(name: str, known: Mapping[str, str], columns: Iterable[str]) -> str:
    if name in known:
        return known[name]
    for suffix, words in _SUFFIXES.items():
        # the bare `low` and `high` are the ends of a table's one number
        whole = name.removesuffix(suffix) if name != suffix[1:] else "the number"
        if whole != name and (whole in columns or whole == "the number"):
            return f"{words} {whole}"
    raise KeyError(name)
