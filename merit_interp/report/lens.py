"""The report's section on layers and heads: what can be read off them, before and after merging.

    part = lens_part(Path("runs/demo"))
    part.figures

Reads the lens run that lies in a run, or in `lens/` below it. This file must not know where on a
page it stands, and must not compute a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from merit_interp.plots.lens_attention import attention_depth, draw_attention_depth
from merit_interp.plots.lens_intervals import cost_rows, direct_rows, draw_rows
from merit_interp.plots.lens_layers import draw_lens, lens_lines
from merit_interp.plots.lens_maps import (
    HeadMaps,
    attention_maps,
    change_maps,
    cost_maps,
    direct_maps,
    draw_head_maps,
)
from merit_interp.report.figures import FIGURES, NamedFigure, write_named
from merit_interp.report.parts import LENS, part_directory
from merit_interp.tables.lens_frames import LensRun
from merit_interp.tables.lens_tables import LensFindings, lens_findings
from merit_interp.tables.lens_verdict import ENGINE_NAMES
from merit_interp.tables.model_names import MERGED, VLM, model_label


@dataclass(frozen=True, eq=False)
class LensPart:
    """What the section shows."""

    findings: LensFindings
    figures: tuple[NamedFigure, ...]

    @property
    def n_items(self) -> int:
        """Questions that the VLM was read on."""
        return len(self.findings.run.models[VLM].items)

    @property
    def check_rows(self) -> list[tuple[str, str, str, str, str]]:
        """Model, what read it, and how far it is from transformers, the lens and the sum."""
        return [
            (
                model_label(check.model),
                ENGINE_NAMES[check.engine] + (f" ({check.why})" if check.why else ""),
                f"{check.logit_difference:.1g}",
                f"{check.lens_difference:.1g}",
                check.no_direct
                if check.direct_difference is None
                else f"{check.direct_difference:.1g}",
            )
            for check in self.findings.run.checks.values()
        ]


def lens_directory(run_dir: Path) -> Path | None:
    """Where the finished lens run of a run lies; None where there is none."""
    return part_directory(run_dir, LENS)


def lens_part(run_dir: Path) -> LensPart | None:
    """The section's content; None where the run has no finished lens run.

    Raises:
        RunError: The records are damaged.
    """
    directory = lens_directory(run_dir)
    if directory is None:
        return None
    findings = lens_findings(directory)
    return LensPart(findings, lens_figures(findings))


def lens_figures(findings: LensFindings) -> tuple[NamedFigure, ...]:
    """The figures that a run fills."""
    run = findings.run
    lens = lens_lines(findings.layers, chosen=run.plan.layers)
    figures = [
        NamedFigure(
            "lens-layers", draw_lens(lens), lens.describe(),
            "Above zero: the right option is ahead of the best other. Bands: the chosen layers.",
        ),
    ]  # fmt: skip
    attention = attention_depth(findings.attention, chosen=run.plan.layers)
    if attention.lines:
        figures.append(
            NamedFigure(
                "lens-attention", draw_attention_depth(attention), attention.describe(),
                "Shares of one layer add up to 100% over the kinds of tokens.",
            )
        )  # fmt: skip
    maps = _maps(findings, run)
    figures += [
        NamedFigure(name, draw_head_maps(data), data.describe(), caption)
        for name, data, caption in maps
        if data.panels
    ]
    costs = cost_rows(findings.heads)
    if costs.values:
        caption = (
            "Right of zero: the head helps. Bars: 95% intervals over videos, each for one head "
            "alone; words and crosses are corrected for the number of heads."
        )
        figures.append(NamedFigure("lens-costs", draw_rows(costs), costs.describe(), caption))
    direct = direct_rows(findings.direct_groups)
    if direct.values:
        caption = "Parts of one model add up to its margin. Bars: 95% intervals over videos."
        figures.append(NamedFigure("lens-direct", draw_rows(direct), direct.describe(), caption))
    return tuple(figures)


def _maps(findings: LensFindings, run: LensRun) -> list[tuple[str, HeadMaps, str]]:
    crossed = "A cross (×): the 95% interval holds zero."
    corrected = "A cross (×): not shown after Holm's correction over all heads of the skill."
    model = MERGED if MERGED in run.masked else VLM
    return [
        (
            "lens-attention-heads", attention_maps(findings.attention),
            f"Blue: the head looks at the video more after merging, orange less. {crossed}",
        ),
        (
            "lens-head-changes", change_maps(findings.heads),
            "Output: length of what changed in what the head adds where the answer begins.",
        ),
        (
            "lens-head-costs", cost_maps(findings.heads, model=model),
            f"Blue: masking the head costs the skill, orange: it helps it. {corrected}",
        ),
        (
            "lens-direct-heads", direct_maps(findings.direct),
            f"Blue: speaks more for the right option after merging, orange less. {crossed}",
        ),
    ]  # fmt: skip


def write_lens_figures(
    findings: LensFindings, *, formats: Sequence[str] = ("png",)
) -> tuple[Path, ...]:
    """Write a run's figures into its `figures/`; see `write_named`.

    Raises:
        SettingError: There is no Chrome or Chromium to draw PNG with.
    """
    directory = findings.run.directory / FIGURES
    return write_named(lens_figures(findings), directory, formats=formats)
