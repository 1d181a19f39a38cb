from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from merit_interp.errors import RunError
from merit_interp.tables.attribution_examples import KINDS, example_items
from merit_interp.tables.attribution_frames import (
    ATTRIBUTION_COLUMNS,
    attribution_frame,
    read_attribution,
)
from merit_interp.tables.attribution_series import draws_averaged
from merit_interp.tables.attribution_shift import SHIFT_COLUMNS, shift_table
from merit_interp.tables.attribution_tables import attribution_findings, write_attribution_tables
from merit_interp.tables.attribution_verdict import shift_lines
from tests.synthetic_attribution import MASS, MadeUp, made_up_records, write_attribution


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return attribution_frame(made_up_records())


@pytest.fixture(scope="module")
def shift(frame: pd.DataFrame) -> pd.DataFrame:
    return shift_table(frame, method="ig")


def one(shift: pd.DataFrame, **where: str) -> pd.Series:
    wanted = {
        "metric": "excess_mass", "skill": "reasoning", "items": "all", "condition": "video",
        "method": "ig", **where,
    }  # fmt: skip
    found = shift
    for name, value in wanted.items():
        found = found[found[name] == value]
    assert len(found) == 1, found
    return found.iloc[0]


def test_a_frame_has_a_row_for_each_record(frame: pd.DataFrame) -> None:
    assert list(frame.columns) == list(ATTRIBUTION_COLUMNS)
    assert len(frame) == len(made_up_records())
    assert frame["evidence_share"].eq(1 / 8).all()
    vlm = frame[(frame["model"] == "vlm") & (frame["condition"] == "video")]
    assert vlm["mass"].mean() == pytest.approx(MASS["vlm"], abs=0.03)
    assert (vlm["excess_mass"] - (vlm["mass"] - 1 / 8)).abs().max() < 1e-12


def test_what_merging_did_to_each_answer(frame: pd.DataFrame) -> None:
    turned = frame.drop_duplicates("item").set_index("item")["turned"]
    assert turned["v00-0"] == "right"
    assert turned["v01-0"] == "broken"
    assert turned["v02-0"] == "kept_right"


def test_an_empty_run_has_the_same_columns() -> None:
    empty = attribution_frame([])
    assert list(empty.columns) == list(ATTRIBUTION_COLUMNS)
    assert list(shift_table(empty, method="ig").columns) == list(SHIFT_COLUMNS)


def test_the_shift_that_was_made_up_is_found(shift: pd.DataFrame) -> None:
    row = one(shift, model="merged", against="vlm")
    assert row["difference"] == pytest.approx(0.3, abs=0.05)
    assert row["difference_low"] > 0.2
    assert row["difference_p"] < 0.001
    assert row["effect_size"] > 2
    assert (row["n_items"], row["n_videos"], row["n_pairs"]) == (20, 20, 20)
    random = one(shift, model="merged", against="random_layers")
    assert random["difference"] == pytest.approx(0.27, abs=0.05)


def test_randomised_weights_are_at_chance(shift: pd.DataFrame) -> None:
    row = one(shift, model="randomised", against="vlm")
    assert row["mean_low"] < 0 < row["mean_high"]


def test_masking_the_recipes_layers_undoes_it_and_masking_others_does_not(
    shift: pd.DataFrame,
) -> None:
    assert one(shift, model="masked", against="masked_others")["difference_high"] < 0
    assert abs(one(shift, model="masked_others", against="merged")["difference"]) < 0.05


def test_controls_are_rows_of_the_same_table(shift: pd.DataFrame) -> None:
    row = one(shift, model="merged", condition="shuffled", against="video")
    assert row["difference"] == pytest.approx(0.125 - 0.5, abs=0.05)
    assert one(shift, model="vlm", condition="black", against="video")["mean_low"] < 0.02


def test_items_turned_right_and_broken_are_told_apart(shift: pd.DataFrame) -> None:
    assert one(shift, model="merged", against="vlm", items="right")["n_items"] == 5
    assert one(shift, model="merged", against="vlm", items="broken")["n_items"] == 1
    assert set(shift.loc[shift["condition"] != "video", "items"]) == {"all"}


def test_methods_are_compared_by_rank(shift: pd.DataFrame) -> None:
    row = one(shift, model="merged", method="shapley", metric="agreement", against="vlm")
    assert -0.5 < row["mean"] < 0.9
    assert row["mean_low"] < row["mean"] < row["mean_high"]


def test_evidence_effects_are_against_other_frames(shift: pd.DataFrame) -> None:
    row = one(shift, model="merged", metric="deletion_excess_nats", against="vlm")
    assert row["mean"] == pytest.approx(0.4)
    assert row["difference"] == pytest.approx(0.3)


def test_items_without_defined_evidence_are_left_out_and_counted() -> None:
    records = made_up_records()
    records[0] = dataclasses.replace(records[0], in_evidence=(False,) * 8)
    records[2] = dataclasses.replace(records[2], in_evidence=())
    frame = attribution_frame(records)
    row = one(shift_table(frame, method="ig"), model="vlm", against="chance")
    assert (row["n_items"], row["n_undefined"]) == (18, 2)


def test_an_item_is_left_out_once_and_not_once_a_method() -> None:
    """Two methods and two controls; items, not rows, are counted, and of the video alone."""
    left_out = {"v00-0": (False,) * 8, "v01-1": ()}
    records = [
        dataclasses.replace(r, in_evidence=left_out.get(r.item, r.in_evidence))
        for r in made_up_records()
    ]
    frame = attribution_frame(records)
    checks = shift_lines(shift_table(frame, method="ig"), frame, "validation")[2]
    assert checks.endswith("; 2 items without defined evidence are left out.")
    one = frame[frame["item"] != "v01-1"]
    checks = shift_lines(shift_table(one, method="ig"), one, "validation")[2]
    assert checks.endswith("; 1 item without defined evidence is left out.")


def test_failed_items_are_in_no_mean() -> None:
    records = made_up_records()
    records[0] = dataclasses.replace(
        records[0], status="failed", reason="gone", scores=(), log_probs=(), in_evidence=()
    )
    frame = attribution_frame(records)
    assert math.isnan(frame["mass"].iloc[0])
    row = one(shift_table(frame, method="ig"), model="merged", against="vlm")
    assert (row["n_items"], row["n_pairs"]) == (20, 19)


def test_draws_become_one_series(frame: pd.DataFrame) -> None:
    averaged = draws_averaged(frame)
    drawn = frame[(frame["model"].str.startswith("random_layers")) & (frame["item"] == "v03-0")]
    own = averaged[(averaged["model"] == "random_layers") & (averaged["item"] == "v03-0")]
    assert own["mass"].item() == pytest.approx(drawn["mass"].mean())


def test_three_lines_say_what_moved(frame: pd.DataFrame, shift: pd.DataFrame) -> None:
    reasoning, perception, checks = shift_lines(shift, frame, "validation")
    assert "it moved TO the evidence" in reasoning
    assert "chance 12.5%" in reasoning
    assert "against random layers +2" in reasoning
    assert "average precision of the evidence +" in reasoning
    assert "loses 0.40 nats more than without other frames (VLM 0.10)" in reasoning
    assert perception.startswith("Perception:")
    assert "480 of 480" in checks
    assert "randomised weights are at chance on reasoning" in checks


def test_without_a_shift_no_shift_is_claimed() -> None:
    mass = {**MASS, "merged": MASS["vlm"]}
    frame = attribution_frame(made_up_records(MadeUp(mass=mass, seed=3)))
    reasoning, _, _ = shift_lines(shift_table(frame, method="ig"), frame, "validation")
    assert "no clear shift" in reasoning


def test_a_size_that_has_no_spread_to_measure_it_by_is_not_said(
    frame: pd.DataFrame, shift: pd.DataFrame
) -> None:
    reasoning, _, _ = shift_lines(shift.assign(effect_size=math.nan), frame, "validation")
    assert "d = " not in reasoning
    assert "d = " in shift_lines(shift, frame, "validation")[0]


def test_examples_are_typical_and_not_chosen(frame: pd.DataFrame) -> None:
    examples = example_items(frame, "validation", method="ig")
    kinds = [example.kind for example in examples]
    assert kinds == ["right", "right", "broken", "broken", "kept_right", "kept_right"]
    assert all(kind in KINDS for kind in kinds)
    main = frame[(frame["condition"] == "video") & (frame["method"] == "ig")]
    wide = main.pivot_table(index=["item", "skill", "turned"], columns="model", values="mass")
    shifts = (wide["merged"] - wide["vlm"]).reset_index(name="shift")
    own = shifts[(shifts["turned"] == "right") & (shifts["skill"] == "reasoning")]
    median = shifts.loc[shifts["turned"] == "right", "shift"].median()
    nearest = own.loc[(own["shift"] - median).abs().idxmin(), "item"]
    assert examples[0].item == nearest


def test_tables_are_files_beside_the_records(tmp_path: Path) -> None:
    run = write_attribution(tmp_path / "attribute")
    write_attribution_tables(attribution_findings(run))
    for name in ("attributions", "attribution_shift"):
        table = pd.read_parquet(run / "tables" / f"{name}.parquet")
        assert len(table) == len(pd.read_csv(run / "tables" / f"{name}.csv")) > 0


def test_a_directory_without_attributions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no attributions"):
        read_attribution(tmp_path)
