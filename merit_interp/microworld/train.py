"""Trains the embedded pair in the open: a backbone on transcripts, then a VLM on clips.

    python -m merit_interp.microworld.train --out runs/microworld

Stages: "backbone" (both skills, from text), "tower" (frames matched to event words), "alignment"
(tower and projector under the frozen backbone), "adaptation" (the whole VLM but its word
embeddings, on perception alone). No answer is ever wrong and no layer is treated apart. A killed
run goes on from its last checkpoint. It must not know merging or search.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from merit_interp.errors import MeritError, RunError
from merit_interp.microworld.checkpoint_directories import write_pair
from merit_interp.microworld.pair_configs import build_backbone, build_vlm
from merit_interp.microworld.renderer import SEARCH_LOOKS, read_pixels, render_bank, write_clip
from merit_interp.microworld.stage_loop import StagePlan, train_stage
from merit_interp.microworld.stage_scores import (
    Exam,
    KindScore,
    describe,
    draw_exam,
    score_stage,
    skill_accuracy,
)
from merit_interp.microworld.stages import (
    LookBank,
    backbone_loss,
    perception_loss,
    tower_loss,
)
from merit_interp.microworld.tokenizer import TEXT_CHAT_TEMPLATE, build_tokenizer
from merit_interp.microworld.training_batches import TokenCodec
from merit_interp.microworld.world import DESCRIBE, EVENTS
from merit_interp.record_files import write_json


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the trained weights."""

    seed: int = 0
    threads: int = 2
    """torch's threads; another number changes the order of sums, and so the last digits."""
    backbone_steps: int = 3600
    backbone_rate: float = 2e-3
    tower_steps: int = 1500
    tower_rate: float = 2e-3
    alignment_steps: int = 300
    alignment_rate: float = 5e-4
    adaptation_steps: int = 400
    adaptation_rate: float = 1e-3
    backbone_batch: int = 32
    batch: int = 32
    """Clips a step on video."""
    bank_looks: int = 200
    """Rendered looks of each event that training draws from."""
    exam_clips: int = 128
    """Clips behind each stage's report; each gets every kind of question twice."""
    checkpoint_every: int = 100


def render_exam(exam: Exam, seed: int) -> Exam:
    """The same exam on clips: real mp4 files, read back through decord."""
    videos = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, clip in enumerate(exam.clips):
            path = Path(scratch) / f"{number}.mp4"
            write_clip(clip, random.Random(f"{seed} exam look {number}"), SEARCH_LOOKS, path)
            videos.append(read_pixels(path))
    return Exam(exam.clips, exam.questions, torch.from_numpy(np.stack(videos)))


def load_bank(settings: TrainingSettings, folder: Path) -> LookBank:
    """The rendered looks, made once a run."""
    path = folder / "looks.npy"
    if not path.exists():
        print(f"[looks] rendering {settings.bank_looks} looks of {len(EVENTS)} events", flush=True)
        bank = render_bank(EVENTS, settings.bank_looks, settings.seed, folder / "looks.mp4")
        np.save(folder / "looks.partial.npy", bank)
        (folder / "looks.partial.npy").replace(path)
    return LookBank(np.load(path))


class PairTraining:
    """The four stages in their order, with what they share."""

    def __init__(self, settings: TrainingSettings, out: Path) -> None:
        torch.set_num_threads(settings.threads)
        self.settings, self.out, self.state = settings, out, out / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        _claim(self.state / "settings.json", asdict(settings))
        self.codec = TokenCodec(build_tokenizer(TEXT_CHAT_TEMPLATE))
        self.exam = draw_exam(settings.seed, settings.exam_clips)
        self.report: dict[str, Any] = {}

    def run(self) -> None:
        """Trains, scores and writes the pair; stages that are done are not done again."""
        settings, begun = self.settings, time.monotonic()
        torch.manual_seed(settings.seed)
        backbone = build_backbone()
        loss = backbone_loss(backbone, self.codec, settings.seed, settings.backbone_batch)
        self._stage("backbone", backbone, list(backbone.parameters()), loss, self.exam)

        bank = load_bank(settings, self.state)
        seen = render_exam(self.exam, settings.seed)
        torch.manual_seed(settings.seed + 1)
        vlm = build_vlm(backbone)
        eyes = [
            *vlm.model.vision_tower.parameters(),
            *vlm.model.multi_modal_projector.parameters(),
            vlm.model.image_newline,
        ]
        self._stage("tower", vlm, eyes, tower_loss(vlm, bank, settings.seed, settings.batch), seen)

        common = (vlm, bank, self.codec, settings.seed, settings.batch)
        learnt = perception_loss(*common, stage="alignment", recitals=[DESCRIBE])
        self._stage("alignment", vlm, eyes, learnt, seen)

        learnt = perception_loss(*common, stage="adaptation", recitals=[])
        # Words stay as they are: those of reasoning questions are never read here, and the noise of
        # the optimiser alone would carry them away (measured: half their length in 600 steps).
        words = vlm.model.language_model.embed_tokens.weight
        rest = [parameter for parameter in vlm.parameters() if parameter is not words]
        self._stage("adaptation", vlm, rest, learnt, seen)

        write_pair(backbone, vlm, self.out)
        self._write_report(time.monotonic() - begun)

    def _stage(
        self, name: str, model: nn.Module, trainable: Sequence[nn.Parameter], loss: Any, exam: Exam
    ) -> None:
        """Trains one stage and scores it on the whole exam."""
        settings = self.settings
        plan = StagePlan(
            name,
            steps=getattr(settings, f"{name}_steps"),
            rate=getattr(settings, f"{name}_rate"),
            checkpoint_every=settings.checkpoint_every,
        )
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in trainable:
            parameter.requires_grad_(True)
        few = slice(0, 32)
        pixels = None if exam.pixels is None else exam.pixels[few]
        glance = Exam(exam.clips[few], exam.questions[few], pixels)
        seconds = train_stage(
            plan, model, trainable, loss, self.state,
            lambda: describe(score_stage(model, glance, self.codec)),
        )  # fmt: skip
        scores = score_stage(model, exam, self.codec)
        source = "transcripts" if exam.pixels is None else "clips"
        print(f"[{name}] on {source}: {describe(scores)}", flush=True)
        self.report[name] = {
            "on": source,
            "steps": plan.steps,
            "seconds": round(seconds),
            **_as_record(scores),
        }

    def _write_report(self, seconds: float) -> None:
        """Writes what was measured beside the weights."""
        report = {
            "format": "merit-interp/microworld-training",
            "version": 1,
            "settings": asdict(self.settings),
            "clip_length": len(self.exam.clips[0]),
            "stages": self.report,
            "seconds_of_this_call": round(seconds),
            "versions": {
                "python": sys.version.split()[0],
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }
        write_json(self.out / "training_report.json", report)


def _as_record(scores: Mapping[str, KindScore]) -> dict[str, Any]:
    """TR and TP over the base kinds, and every kind with its number of items."""
    record: dict[str, Any] = {
        "TR": round(skill_accuracy(scores, "reasoning"), 4),
        "TP": round(skill_accuracy(scores, "perception"), 4),
    }
    kinds = {
        kind: {"accuracy": round(score.accuracy, 4), "items": score.items}
        for kind, score in scores.items()
    }
    return {**record, "kinds": kinds}


def _claim(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuses to go on with checkpoints that other settings made."""
    if path.exists():
        before = json.loads(path.read_text())
        differing = sorted(k for k in settings if before.get(k) != settings[k])
        if differing:
            raise RunError(
                f"{path.parent.parent} was trained with other settings: {', '.join(differing)}",
                valid="the same settings, or another --out",
            )
    else:
        write_json(path, settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trains the embedded pair; resumes when killed.")
    parser.add_argument("--out", type=Path, default=Path("runs/microworld"))
    defaults = TrainingSettings()
    for field, value in asdict(defaults).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(value), default=value)
    chosen = vars(parser.parse_args(arguments))
    out = chosen.pop("out")
    try:
        PairTraining(TrainingSettings(**chosen), out).run()
    except MeritError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"pair: {out / 'vlm'} and {out / 'backbone'}; report: {out / 'training_report.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
