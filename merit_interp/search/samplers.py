"""Who proposes the next recipe: one small interface, and Optuna and cmaes behind it.

    sampler = make_sampler("cmaes", space, seed=0)
    vector = sampler.ask()
    sampler.tell(vector, objective(vector))

A sampler depends on its seed and on what it was told, and on nothing else, so telling it the same
again proposes the same again: that is how a killed search resumes. This file must not know models,
items or files.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import optuna
from cmaes import CMAwM

from merit_interp.errors import SettingError
from merit_interp.search.spaces import COEFFICIENT_DECIMALS, Space, Vector


@runtime_checkable
class Sampler(Protocol):
    """Proposes vectors of a space and learns from their values; more is better."""

    def ask(self) -> Vector:
        """The next vector to try; it may be one that was tried before."""

    def tell(self, vector: Vector, value: float) -> None:
        """The finite value of a vector, proposed by this sampler or by anyone else."""


class RandomSampler:
    """Independent uniform draws: the baseline that every other sampler must beat."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._random = np.random.default_rng(seed)

    def ask(self) -> Vector:
        """A uniform draw."""
        return _random_vector(self._space, self._random)

    def tell(self, vector: Vector, value: float) -> None:
        """Nothing is learnt."""


class GreedySampler:
    """Coordinate ascent over levels, from the VLM itself; at a local optimum it starts elsewhere.

    One pass visits every coordinate in an order drawn by the seed and tries its other levels; the
    best vector told so far is where the next coordinate is varied. After a pass without gain the
    climb begins again at a random vector.
    """

    def __init__(self, space: Space, seed: int) -> None:
        if space.levels is None:
            raise SettingError(
                "sampler greedy on continuous coefficients", valid="--levels 0,0.5,1"
            )
        self._space = space
        self._levels = space.levels
        self._random = np.random.default_rng(seed)
        self._start_at(space.uniform(min(space.levels)))

    def _start_at(self, vector: Vector) -> None:
        self._base, self._base_value = vector, -np.inf
        self._gained = True
        self._unvisited: list[int] = []
        self._queue = collections.deque([vector])

    def ask(self) -> Vector:
        """The next level of the coordinate in hand, or of the next coordinate."""
        while not self._queue:
            self._queue.extend(self._next_coordinate())
        return self._queue.popleft()

    def _next_coordinate(self) -> list[Vector]:
        if not self._unvisited:
            if not self._gained:
                self._start_at(_random_vector(self._space, self._random))
                return []
            self._gained = False
            self._unvisited = self._random.permutation(self._space.dimension).tolist()
        at = self._unvisited.pop()
        base = self._base
        return [(*base[:at], x, *base[at + 1 :]) for x in self._levels if x != base[at]]

    def tell(self, vector: Vector, value: float) -> None:
        """Move to the vector if it is better than where the climb stands."""
        if value > self._base_value:
            self._base, self._base_value = vector, value
            self._gained = True


class CmaEsSampler:
    """CMA-ES, bounded; on levels, CMA-ES with margin over the levels' indices.

    It starts at the middle of the space. A population that has shrunk below what a recipe
    resolves, or that holds nothing new, starts again at a random place.

    Source: Hansen, arXiv 1604.00772; with margin, Hamano et al., arXiv 2205.13482.
    """

    _INITIAL_SIGMA = 0.3
    """Share of the range; Hansen recommends that the optimum lies within about mean +- 3 sigma."""

    def __init__(self, space: Space, seed: int) -> None:
        self._levels = space.levels
        self._top = 1.0 if space.levels is None else float(len(space.levels) - 1)
        self._random = np.random.default_rng(seed)
        self._dimension = space.dimension
        self._seen: set[Vector] = set()
        self._start_at(np.full(self._dimension, self._top / 2))

    def _start_at(self, mean: np.ndarray) -> None:
        self._optimizer = CMAwM(
            mean=mean,
            sigma=self._INITIAL_SIGMA * self._top,
            bounds=np.tile([0.0, self._top], (self._dimension, 1)),
            steps=np.full(self._dimension, 0.0 if self._levels is None else 1.0),
            # no second draw for a point out of bounds: it is moved onto the bound, so that a layer
            # which wants none (or all) of the backbone gets exactly 0 (or 1)
            n_max_resampling=0,
            seed=int(self._random.integers(2**31)),
        )
        self._asked: dict[Vector, np.ndarray] = {}
        self._told: list[tuple[np.ndarray, float]] = []
        self._n_new = 0

    def ask(self) -> Vector:
        """A draw from the present distribution."""
        point, raw = self._optimizer.ask()
        vector = self._vector(point)
        self._asked[vector] = raw
        return vector

    def _vector(self, point: np.ndarray) -> Vector:
        if self._levels is None:
            return tuple(float(x) for x in np.clip(point, 0.0, 1.0))
        # the margin's correction may leave the range by a rounding error
        indices = np.clip(np.rint(point), 0, self._top).astype(int)
        return tuple(self._levels[i] for i in indices)

    def _point(self, vector: Vector) -> np.ndarray:
        if self._levels is None:
            return np.array(vector)
        return np.array([float(self._levels.index(x)) for x in vector])

    def tell(self, vector: Vector, value: float) -> None:
        """Collect a population; when it is whole, move the distribution."""
        self._n_new += vector not in self._seen
        self._seen.add(vector)
        point = self._asked.pop(vector, None)
        # the library minimises
        self._told.append((self._point(vector) if point is None else point, -value))
        if len(self._told) < self._optimizer.population_size:
            return
        population, self._told = self._told, []
        stale, self._n_new = not self._n_new, 0
        self._optimizer.tell(population)
        spread = np.ptp([x for x, _ in population], axis=0).max() / self._top
        if stale or spread < 10.0**-COEFFICIENT_DECIMALS or self._optimizer.should_stop():
            self._start_at(self._random.uniform(0.0, self._top, self._dimension))


class OptunaSampler:
    """Any of Optuna's samplers through ask and tell, its study in memory."""

    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        # zero-padded, since Optuna orders parameters by name
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"x{at:05d}": optuna.distributions.FloatDistribution(0.0, 1.0)
            if space.levels is None
            else optuna.distributions.CategoricalDistribution(space.levels)
            for at in range(space.dimension)
        }
        self._asked: dict[Vector, list[optuna.Trial]] = {}

    def ask(self) -> Vector:
        """The sampler's next proposal."""
        trial = self._study.ask(self._distributions)
        vector = tuple(float(trial.params[name]) for name in self._distributions)
        self._asked.setdefault(vector, []).append(trial)
        return vector

    def tell(self, vector: Vector, value: float) -> None:
        """Finish the trial; a vector that was not asked for becomes a trial of its own."""
        if not self._asked.get(vector):
            self._study.enqueue_trial(dict(zip(self._distributions, vector, strict=True)))
            self.ask()
        self._study.tell(self._asked[vector].pop(), value)


def tpe(space: Space, seed: int) -> Sampler:
    """Tree-structured Parzen estimator over all coordinates at once.

    Source: Bergstra et al., NeurIPS 2011; Optuna's `TPESampler`.
    """
    return OptunaSampler(space, optuna.samplers.TPESampler(seed=seed, multivariate=True))


def discrete(space: Space, seed: int) -> Sampler:
    """Evolution over levels: Optuna's `NSGAIISampler` with the one objective J.

    Source: Deb et al., IEEE TEC 2002.
    """
    if space.levels is None:
        raise SettingError("sampler discrete on continuous coefficients", valid="--levels 0,0.5,1")
    # Optuna's 50 is made for thousands of trials; a search of a model has hundreds
    return OptunaSampler(space, optuna.samplers.NSGAIISampler(population_size=16, seed=seed))


SAMPLERS: Mapping[str, Callable[[Space, int], Sampler]] = MappingProxyType(
    {
        "cmaes": CmaEsSampler,
        "tpe": tpe,
        "discrete": discrete,
        "greedy": GreedySampler,
        "random": RandomSampler,
    }
)
"""Every sampler by the name that `--sampler` takes; made from a space and a seed."""

ON_LEVELS = frozenset({"discrete", "greedy"})
"""Samplers that need levels."""


def make_sampler(name: str, space: Space, seed: int) -> Sampler:
    """A fresh sampler by name.

    Raises:
        SettingError: No sampler has that name, or it cannot search such a space.
    """
    if name not in SAMPLERS:
        raise SettingError(f"sampler {name!r} is unknown", valid=", ".join(SAMPLERS))
    return SAMPLERS[name](space, seed)


def _random_vector(space: Space, random: np.random.Generator) -> Vector:
    if space.levels is None:
        return tuple(random.uniform(0.0, 1.0, space.dimension).tolist())
    indices = random.integers(len(space.levels), size=space.dimension)
    return tuple(space.levels[i] for i in indices)
