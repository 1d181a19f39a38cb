from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.chromium import needs_chromium
from tests.cli.conftest import Command
from tests.models.edited_checkpoints import Tensors, with_tensors
from tests.tiny_models import N_LAYERS, TinyPair


@pytest.fixture(scope="module")
def low_rank_pair(pair: TinyPair, tmp_path_factory: pytest.TempPathFactory) -> TinyPair:
    """A backbone that is the VLM's own text but for one update of rank one."""
    import torch

    from merit_interp.models.checkpoint_files import Checkpoint

    vlm = Checkpoint.open(pair.vlm)

    def updated(tensors: Tensors) -> Tensors:
        own = {k: vlm.tensor(f"language_model.{k}").clone() for k in tensors}
        own["model.layers.2.self_attn.v_proj.weight"] += torch.outer(
            torch.arange(1.0, 17.0), torch.arange(1.0, 33.0)
        )
        return own

    directory = tmp_path_factory.mktemp("low_rank") / "backbone"
    return TinyPair(pair.vlm, with_tensors(pair.backbone, directory, updated))


@needs_chromium
@pytest.mark.browser
def test_out_holds_report_tables_and_pictures(
    low_rank_pair: TinyPair, tmp_path: Path, command: Command
) -> None:
    models = ("--vlm", low_rank_pair.vlm, "--backbone", low_rank_pair.backbone)
    out = tmp_path / "pair"
    ended = command("pair", *models, "--out", out)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == f"results {out}"
    table = pd.read_csv(out / "tables" / "pair_distances.csv")
    assert len(table) == 7 * N_LAYERS
    pd.testing.assert_frame_equal(
        pd.read_parquet(out / "tables" / "pair_distances.parquet"), table, check_dtype=False
    )
    moved = table[table["relative_norm"] > 0]
    assert [(r.layer, r.tensor) for r in moved.itertuples()] == [(2, "v.weight")]
    assert moved["effective_rank"].item() == pytest.approx(1.0, abs=1e-3)
    figures = out / "figures"
    assert (figures / "pair-distances.png").read_bytes().startswith(b"\x89PNG")
    assert "v moved most in layer 2" in (figures / "pair-distances.html").read_text()
    report = json.loads((out / "pair.json").read_text())
    assert report["pairs"]
    run = json.loads((out / "run.json").read_text())
    assert set(run["fingerprints"]) == {"vlm", "backbone"}
    # an earlier run is kept unless asked
    assert command("pair", *models, "--out", out).code == 2
    assert command("pair", *models, "--out", out, "--overwrite", "--no-ranks").code == 0
    table = pd.read_csv(out / "tables" / "pair_distances.csv")
    assert table["effective_rank"].isna().all()


def test_without_a_browser_the_page_and_tables_are_there(
    low_rank_pair: TinyPair, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from merit_interp.errors import SettingError

    def no_browser(*_: object, **__: object) -> None:
        raise SettingError("pictures need Chrome or Chromium")

    monkeypatch.setattr("merit_interp.report.figures.write_pictures", no_browser)
    out = tmp_path / "pair"
    words = ("--vlm", low_rank_pair.vlm, "--backbone", low_rank_pair.backbone, "--out", out)
    ended = command("pair", *words)
    assert ended.code == 0
    assert "no PNG: pictures need Chrome or Chromium" in ended.err
    assert (out / "figures" / "pair-distances.html").exists()
    assert (out / "finished.json").exists()


def test_ranks_are_printed_as_json_where_asked_for(
    low_rank_pair: TinyPair, command: Command
) -> None:
    words = ("pair", "--vlm", low_rank_pair.vlm, "--backbone", low_rank_pair.backbone, "--json")
    plain, ranked = (json.loads(command(*words, *more).out) for more in ((), ("--ranks",)))
    assert {row["effective_rank"] for row in plain["tensors"]} == {None}
    assert sum(row["effective_rank"] is not None for row in ranked["tensors"]) == 1
