"""The report's section on masking: which layers' self-attention each skill needs.

    section = masking_part(Path("runs/demo"))
    section.figures

Reads the sweep that lies in a run, or in `mask/` below it. This file must not know where on a page
it stands, and must not compute a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from merit_interp.plots.masking_categories import draw_layer_categories, layer_categories
from merit_interp.plots.masking_depth import depth_profiles, draw_depth, number_text
from merit_interp.plots.masking_heads import draw_head_costs, head_costs
from merit_interp.plots.masking_layers import draw_layer_importance, layer_importance
from merit_interp.plots.masking_sets import draw_set_distributions, set_distributions
from merit_interp.plots.style import SKILL_MARKS
from merit_interp.report.figures import FIGURES, NamedFigure, write_named
from merit_interp.report.parts import MASK, part_directory
from merit_interp.tables.masking_depth import BEFORE_AFTER, DepthNumber
from merit_interp.tables.masking_tables import MaskingFindings, masking_findings
from merit_interp.tables.model_names import model_label

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
    def depth_rows(self) -> list[tuple[str, str, str, str]]:
        """Skill, models, number, and its value with its interval."""
        return [
            (SKILL_MARKS[n.skill].label, _models(n), NUMBER_NAMES[n.name], number_text(n))
            for n in self.findings.depth.numbers
        ]


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
    figures = [
        NamedFigure(
            "mask-layers", draw_layer_importance(importance), importance.describe(),
            "Higher: the skill needs the layer more. Bands mark the chosen layers.",
        ),
        NamedFigure(
            "mask-depth", draw_depth(depth), depth.describe(),
            "Triangles: centres of mass with their 95% intervals. Bands: the chosen layers.",
        ),
    ]  # fmt: skip
    if sets.distributions:
        drawn = draw_set_distributions(sets)
        caption = "Grey: other sets of as many layers, masked together. Line: the chosen ones."
        figures.insert(1, NamedFigure("mask-sets", drawn, sets.describe(), caption))
    if categories.rows:
        drawn = draw_layer_categories(categories)
        caption = "Blue: masking the layer costs the category. Orange: it helps it."
        figures.append(NamedFigure("mask-categories", drawn, categories.describe(), caption))
    heads = head_costs(layers, model=model)
    if heads.skills:
        figures.append(NamedFigure("mask-heads", draw_head_costs(heads), heads.describe()))
    return tuple(figures)


def write_masking_figures(findings: MaskingFindings) -> tuple[Path, ...]:
    """Write a sweep's figures into its `figures/`; see `write_named`.

    Raises:
        SettingError: There is no Chrome or Chromium to draw PNG with.
    """
    return write_named(masking_figures(findings), findings.run.directory / FIGURES)


def _models(number: DepthNumber) -> str:
    return "before to after" if number.model == BEFORE_AFTER else model_label(number.model)
