"""The report's section on masking: which layers' self-attention each skill needs.

    section = masking_part(Path("runs/demo"))
    section.figures

Reads the sweep that lies in a run, or in `mask/` below it. This file must not know where on a page
it stands, and must not compute a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from merit_interp.plots.masking_categories import draw_layer_categories, layer_categories
from merit_interp.plots.masking_depth import depth_profiles, depth_text, draw_depth
from merit_interp.plots.masking_heads import draw_head_costs, head_costs
from merit_interp.plots.masking_layers import draw_layer_importance, layer_importance
from merit_interp.plots.masking_sets import draw_set_distributions, set_distributions
from merit_interp.plots.style import SKILL_MARKS
from merit_interp.report.figures import FIGURES, NamedFigure, write_named
from merit_interp.report.parts import MASK, part_directory
from merit_interp.tables.masking_comparison import Comparison
from merit_interp.tables.masking_depth import BEFORE_AFTER, DepthNumber
from merit_interp.tables.masking_tables import MaskingFindings, masking_findings
from merit_interp.tables.model_names import model_label
from merit_interp.tables.number_text import number_text, signed_ends, signed_text

REPLACEMENTS = {
    "zero": "by nothing",
    "mean": "by its mean over the questions for each class of token",
    "resample": "by that of another question of the same shape",
    "revert": "by the VLM's own",
    "swap": "by the other model's (merged into VLM, VLM into merged)",
}
POSITIONS = {
    "all": "every token",
    "visual": "the video's tokens",
    "text": "the text's tokens",
    "last": "the last token of the prompt",
}
NUMBER_NAMES = {
    "centre_of_mass": "Centre of mass (layer)",
    "participation_ratio": "Participation ratio (layers)",
    "change_of_centre_of_mass": "Change of the centre of mass (layers)",
    "change_of_participation_ratio": "Change of the participation ratio (layers)",
    "rank_correlation": "Rank correlation of the layers",
}
"""What a reader is shown for the numbers of a depth map."""
CAPTIONS = {
    "mask-layers": "Higher: the skill needs the layer more. Bars: 95% intervals over videos.",
    "mask-sets": "Grey: other sets of as many layers, masked together; the rank is among them. The "
    "bar across the line: the 95% interval over videos of what the chosen layers cost.",
    "mask-depth": "Triangles: centres of mass, the mean layer weighted by its cost. Bars: 95% "
    "intervals over videos.",
    "mask-categories": "Blue: masking the layer costs the category. Orange: it helps it. A cross "
    "(×): the 95% interval over videos holds zero; intervals are not corrected for their number.",
    "mask-heads": "Blue: masking the head costs the skill. Orange: it helps it. A cross (×): the "
    "95% interval over videos holds zero; intervals are not corrected for their number.",
}
"""What helps to read each figure, in the order of the page."""
OUTCOME_NAMES = {
    "margin_nats": ("margin", "nats"),
    "log_prob_nats": ("log-probability", "nats"),
    "accuracy": ("accuracy", "points"),
    "kl_nats": ("divergence of the answers", "nats"),
}
"""What a reader is shown for what masking changes, and its unit."""
FAMILY_NAMES = {"together": "all at once", "alone": "one by one"}
TEST_NAMES = {
    "reasoning": "reasoning",
    "perception": "perception",
    "interaction": "reasoning less perception",
    "correlation": "reasoning: rank correlation with the coefficient",
}


@dataclass(frozen=True)
class ComparisonRow:
    """One test of the chosen layers against the others, as text."""

    model: str
    outcome: str
    """With its unit."""
    masked: str
    """Whether the layers were masked at once or one by one."""
    cost_to: str
    more: str
    """How much more the chosen layers cost than the others."""
    ends: str
    """Of its 95% interval."""
    p: str
    p_holm: str
    """A dash where no claim is made."""


@dataclass(frozen=True, eq=False)
class MaskingPart:
    """What the section shows."""

    findings: MaskingFindings
    figures: tuple[NamedFigure, ...]

    @property
    def doing(self) -> str:
        """What took the place of self-attention, and where, in words."""
        run = self.findings.run
        return f"{REPLACEMENTS[run.mode]}, at {POSITIONS[run.tokens]}"

    @property
    def n_items(self) -> int:
        """Questions that the verdict's model was masked on."""
        effects = self.findings.run.model(self.findings.verdict.model)
        return 0 if effects is None else len(effects.items)

    @property
    def comparison_rows(self) -> list[ComparisonRow]:
        """All tests of the chosen layers against the others."""
        return [_comparison_row(test) for test in self.findings.comparisons]

    @property
    def depth_rows(self) -> list[tuple[str, str, str, str]]:
        """Skill, models, number, and its value with its interval."""
        return [
            (SKILL_MARKS[n.skill].label, _models(n), NUMBER_NAMES[n.name], depth_text(n))
            for n in self.findings.depth.numbers
        ]


def _comparison_row(test: Comparison) -> ComparisonRow:
    outcome, unit = OUTCOME_NAMES[test.outcome]
    # a correlation has no unit, and a share is read in points
    scale, digits = (100.0, 1) if unit == "points" else (1.0, 3)
    if test.test == "correlation":
        scale, digits = 1.0, 2
    return ComparisonRow(
        model=model_label(test.model),
        outcome=f"{outcome} ({unit})",
        masked=FAMILY_NAMES[test.family],
        cost_to=TEST_NAMES[test.test],
        more=signed_text(scale * test.estimate, digits),
        ends="no interval"
        if math.isnan(test.low)
        else signed_ends(scale * test.low, scale * test.high, digits),
        p=number_text(test.p_value, 3),
        p_holm=number_text(test.p_holm, 3),
    )


def sweep_directory(run_dir: Path) -> Path | None:
    """Where the finished sweep of a run lies; None where there is none."""
    return part_directory(run_dir, MASK)


def masking_part(run_dir: Path) -> MaskingPart | None:
    """The section's content; None where the run has no finished sweep.

    Raises:
        RunError: The sweep's records are damaged.
    """
    directory = sweep_directory(run_dir)
    if directory is None:
        return None
    findings = masking_findings(directory)
    return MaskingPart(findings, masking_figures(findings))


def masking_figures(findings: MaskingFindings) -> tuple[NamedFigure, ...]:
    """The figures that a sweep fills."""
    run, layers = findings.run, findings.layers
    chosen, model = run.plan.chosen, findings.verdict.model
    importance = layer_importance(layers, chosen=chosen)
    categories = layer_categories(layers, model=model, chosen=chosen)
    sets = set_distributions(run, findings.comparisons, model=model)
    depth = depth_profiles(layers, findings.depth, chosen=chosen)
    heads = head_costs(layers, model=model)
    drawn = {
        "mask-layers": (draw_layer_importance(importance), importance.describe()),
        "mask-depth": (draw_depth(depth), depth.describe()),
    }
    if sets.distributions:
        drawn["mask-sets"] = draw_set_distributions(sets), sets.describe()
    if categories.rows:
        drawn["mask-categories"] = draw_layer_categories(categories), categories.describe()
    if heads.skills:
        drawn["mask-heads"] = draw_head_costs(heads), heads.describe()
    return tuple(
        NamedFigure(name, *drawn[name], caption)
        for name, caption in CAPTIONS.items()
        if name in drawn
    )


def write_masking_figures(findings: MaskingFindings) -> tuple[Path, ...]:
    """Write a sweep's figures into its `figures/`; see `write_named`.

    Raises:
        SettingError: There is no Chrome or Chromium to draw PNG with.
    """
    return write_named(masking_figures(findings), findings.run.directory / FIGURES)


def _models(number: DepthNumber) -> str:
    return "before to after" if number.model == BEFORE_AFTER else model_label(number.model)
