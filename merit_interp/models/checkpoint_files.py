"""A checkpoint on disk: its config and its safetensors, read one tensor at a time.

    checkpoint = Checkpoint.open("models/vlm")
    checkpoint.tensor("language_model.model.layers.0.self_attn.q_proj.weight")

Opening reads headers only, and checks that every file is whole. This file must not know families,
modules in memory or merging.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from merit_interp.errors import CheckpointError
from merit_interp.recipe import ModelReference

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

COMPANIONS = (
    "*.json",
    "*.jinja",
    "*.txt",
    "*.model",
    "*.tiktoken",
    "*.py",
    "LICENSE*",
    "NOTICE*",
    "additional_chat_templates/*",
)
"""What belongs to a checkpoint beside its weights: configs, tokenizer, processor, templates."""

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
)
"""safetensors' names of element types."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes are."""

    file: Path
    shape: tuple[int, ...]
    dtype: str
    """safetensors' name of the element type, like `BF16`."""
    start: int
    """First byte in the file."""
    n_bytes: int


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An opened checkpoint directory; make one with `Checkpoint.open`."""

    source: str
    """Directory or hub id, as the user gave it."""
    revision: str | None
    """Hub commit; None for a directory."""
    directory: Path
    """Where the files are."""
    config: Mapping[str, Any]
    """config.json."""
    stored: Mapping[str, StoredTensor]
    """Every tensor's place, in order of name."""

    @classmethod
    def open(
        cls, source: str | Path, *, revision: str | None = None, needs_weights: bool = True
    ) -> Checkpoint:
        """Open a checkpoint directory, or a hub id (downloaded into the hub's cache).

        Args:
            source: Directory, `owner/name`, or `owner/name@revision`.
            revision: Branch, tag or commit of a hub id; None for its main branch.
            needs_weights: Whether weights must be there. False downloads none, and takes those
                that are there.

        Raises:
            CheckpointError: The directory is missing, or lacks config.json or whole safetensors;
                or the hub cannot be reached and its cache has no such model.
        """
        source, directory, commit = _locate(str(source), revision, with_weights=needs_weights)
        config = _read_object(directory / CONFIG, missing="a checkpoint with a config.json")
        stored: dict[str, StoredTensor] = {}
        for path, names in _weight_files(directory, needed=needs_weights).items():
            header = read_header(path)
            absent = sorted(names - header.keys())
            if absent:
                raise CheckpointError(f"{path} lacks {absent[0]}, which {INDEX} places there")
            stored |= {name: header[name] for name in (names or header)}
        if not stored and needs_weights:
            raise CheckpointError(f"{directory} holds no tensor", valid=f"weights in {WEIGHTS}")
        places = MappingProxyType(dict(sorted(stored.items())))
        return cls(source, commit, directory, MappingProxyType(config), places)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """Names of all tensors, sorted."""
        return tuple(self.stored)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every weight file, sorted by name."""
        return tuple(sorted({place.file for place in self.stored.values()}))

    @property
    def n_bytes(self) -> int:
        """Size of all weight files."""
        return sum(path.stat().st_size for path in self.files)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, from the header."""
        return self._place(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """A tensor's element type, from the header."""
        dtype = self._place(name).dtype
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.source}: tensor {name} has element type {dtype}",
                valid=f"element types {', '.join(DTYPES)}",
            )
        return DTYPES[dtype]

    def tensor(self, name: str) -> torch.Tensor:
        """Read one tensor to the CPU, in the type that it is stored in.

        Raises:
            CheckpointError: There is no such tensor, or its file cannot be read.
        """
        place = self._place(name)
        try:
            with safetensors.safe_open(place.file, framework="pt", device="cpu") as file:
                tensor: torch.Tensor = file.get_tensor(name)
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"cannot read {name} from {place.file}: {error}") from None
        return tensor

    def finite_tensor(self, name: str) -> torch.Tensor:
        """Read one tensor of float weights that may hold neither NaN nor infinity.

        Raises:
            CheckpointError: It holds one, is not of a float type, or cannot be read.
        """
        self.float_dtype(name)
        tensor = self.tensor(name)
        self.require_finite(name, tensor)
        return tensor

    def finite_part(self, name: str, first: int, count: int) -> torch.Tensor:
        """Some of a tensor's values as `finite_tensor` has them, without reading the rest.

        Args:
            name: The tensor's.
            first: Place of the first value in the flat tensor.
            count: How many values.

        Raises:
            CheckpointError: As `finite_tensor`, of these values.
        """
        dtype, place = self.float_dtype(name), self.stored[name]
        try:
            with place.file.open("rb", buffering=0) as file:
                file.seek(place.start + first * dtype.itemsize)
                values = read_bytes(file, count * dtype.itemsize).view(dtype)
        except OSError as error:
            raise CheckpointError(f"cannot read {name} from {place.file}: {error}") from None
        self.require_finite(name, values)
        return values

    def float_dtype(self, name: str) -> torch.dtype:
        """A tensor's element type, which must be one of floats.

        Raises:
            CheckpointError: It is not.
        """
        dtype = self.dtype(name)
        if not dtype.is_floating_point:
            raise CheckpointError(f"{self.source}: tensor {name} is {dtype}", valid="float weights")
        return dtype

    def require_finite(self, name: str, values: torch.Tensor) -> None:
        """Refuse NaN and infinity among a tensor's values, or some of them.

        Raises:
            CheckpointError: There is one.
        """
        # thirty times as fast as isfinite, and without its mask in memory: NaN comes through
        ends = torch.stack(torch.aminmax(values)) if values.numel() else values
        if not bool(torch.isfinite(ends).all()):
            raise CheckpointError(
                f"{self.source}: tensor {name} holds NaN or infinity", valid="finite weights"
            )

    def companion_files(self) -> tuple[Path, ...]:
        """Config, tokenizer, processor, template and licence files, relative to the directory."""
        found = {path for pattern in COMPANIONS for path in self.directory.glob(pattern)}
        return tuple(
            sorted(
                path.relative_to(self.directory)
                for path in found
                # the index of pickled or other weights, which are not ours
                if path.is_file() and (path.name == INDEX or not path.match("*.index.json"))
            )
        )

    def _place(self, name: str) -> StoredTensor:
        if name not in self.stored:
            raise CheckpointError(
                f"{self.source} has no tensor {name}",
                valid=f"{len(self.stored)} tensors, the first {next(iter(self.stored))}",
            )
        return self.stored[name]


def opened(reference: ModelReference) -> Checkpoint:
    """The checkpoint that a recipe names; headers are read, weights are not.

    Raises:
        CheckpointError: It cannot be opened.
    """
    return Checkpoint.open(reference.source, revision=reference.revision)


def _locate(
    source: str, revision: str | None, *, with_weights: bool
) -> tuple[str, Path, str | None]:
    """A source without its revision, its directory, and the commit where it is the hub's."""
    path = Path(source).expanduser()
    if path.is_dir():
        if revision is not None:
            raise CheckpointError(
                f"{source} is a directory, so it has no revision {revision!r}",
                valid="a revision of a hub id",
            )
        return source, path.resolve(), None
    if path.exists():
        raise CheckpointError(f"{source} is a file", valid="a checkpoint directory or a hub id")
    source, _, named = source.partition("@")
    if path.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1:
        raise CheckpointError(
            f"no directory {source}", valid="a checkpoint directory or a hub id (owner/name)"
        )
    if named and revision is not None and revision != named:
        raise CheckpointError(
            f"{source} is asked for at two revisions, {named} and {revision}", valid="one"
        )
    patterns = [*COMPANIONS, *(["*.safetensors"] if with_weights else [])]
    try:
        snapshot = snapshot_download(
            source, revision=revision or named or None, allow_patterns=patterns
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{'@'.join(filter(None, (source, revision or named)))} is no directory here, and "
            f"not reachable as a hub id: {reason}",
            valid="a checkpoint directory, or a hub id that can be reached or is in the cache",
        ) from None
    return source, Path(snapshot), Path(snapshot).name


def _weight_files(directory: Path, *, needed: bool) -> dict[Path, set[str]]:
    """Weight files in transformers' order of preference, with the names an index gives each.

    Where they are not needed, an index without its shards is no error.
    """
    if not needed and not any(directory.glob("*.safetensors")):
        return {}
    if (directory / WEIGHTS).is_file():
        return {directory / WEIGHTS: set()}
    if (directory / INDEX).is_file():
        return _indexed_files(directory / INDEX)
    valid = f"weights in {WEIGHTS}, or in shards with {INDEX}"
    if any(directory.glob("*.bin")):
        raise CheckpointError(f"{directory} has pickled weights (.bin) only", valid=valid)
    raise CheckpointError(f"{directory} has no safetensors", valid=valid)


def _indexed_files(index: Path) -> dict[Path, set[str]]:
    weight_map = _read_object(index, missing="an index").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} names no tensor", valid='a "weight_map" of names to files')
    files: dict[Path, set[str]] = {}
    for name, file in weight_map.items():
        # a name with a directory in it could point outside the checkpoint
        if not isinstance(file, str) or Path(file).name != file:
            raise CheckpointError(f"{index} places {name} in {file!r}", valid="a file beside it")
        files.setdefault(index.parent / file, set()).add(name)
    for path in files:
        if not path.is_file():
            raise CheckpointError(
                f"{index} names {path.name}, which is not there", valid="every shard beside it"
            )
    return files


def _read_object(path: Path, *, missing: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}", valid=missing) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"cannot read {path}: {error}", valid="whole JSON") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return value


def read_bytes(file: FileIO, n_bytes: int) -> torch.Tensor:
    """The next bytes of an open file, as a tensor of uint8.

    Raises:
        CheckpointError: The file ends before.
        OSError: It cannot be read.
    """
    block = torch.empty(n_bytes, dtype=torch.uint8)
    rest = block.numpy().data
    while rest:
        size = file.readinto(rest)
        if not size:
            raise CheckpointError(f"{file.name} became shorter while it was read")
        rest = rest[size:]
    return block


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Where each tensor of a safetensors file lies; the file must be as long as it says.

    Source: the safetensors format: 8 bytes with the header's length (little endian), the header as
    JSON, then the tensors' bytes at `data_offsets` from the header's end.

    Raises:
        CheckpointError: The file is truncated, or is no safetensors file.
    """
    damaged = CheckpointError(
        f"{path} is truncated or no safetensors file", valid="a whole file; copy it again"
    )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise damaged
            data = 8 + struct.unpack("<Q", prefix)[0]
            if data > size:
                raise damaged
            header = json.loads(file.read(data - 8))
        tensors = {
            name: StoredTensor(
                file=path,
                shape=tuple(entry["shape"]),
                dtype=entry["dtype"],
                start=data + entry["data_offsets"][0],
                n_bytes=entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged from None
    if data + sum(tensor.n_bytes for tensor in tensors.values()) != size:
        raise damaged
    return tensors
