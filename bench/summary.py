"""Medians and spreads over the rounds, and ratios to mod_wsgi's daemon mode."""

import statistics
from collections import defaultdict
from dataclasses import dataclass

import peers
import workloads
from server import SHAPES

FIGURES = ("rps", "p50", "p99", "max", "cpu_httpd", "cpu_servers", "cpu")


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Cell:
    figures: dict  # name → Spread
    ratios: dict  # name → Spread of the ratios to the reference in the same round
    errors: dict  # kind → count over all rounds
    failed: str  # why there are no figures, or ""


class Summary:
    """Cells by (shape, workload, peer)."""

    def __init__(self, results):
        rounds = defaultdict(dict)
        for cell in results["cells"]:
            cell = dict(cell)
            if "rps" in cell:
                cell["cpu"] = cell["cpu_httpd"] + cell["cpu_servers"]
            rounds[cell["shape"], cell["workload"], cell["peer"]][cell["round"]] = cell
        self.cells = {
            key: summarise(by_round, rounds.get((key[0], key[1], peers.REFERENCE), {}))
            for key, by_round in rounds.items()
        }

    def rows(self):
        """(shape, workload) in the order of the definitions."""
        known = {(shape, workload) for shape, workload, _ in self.cells}
        return [(shape, workload) for shape in SHAPES
                for workload in workloads.ALL if (shape, workload.key) in known]

    def peers(self):
        known = {peer for _, _, peer in self.cells}
        return [peer for peer in peers.ALL if peer.key in known]

    def cell(self, shape, workload, peer):
        return self.cells.get((shape, workload.key, peer.key))


def summarise(by_round, reference):
    good = {number: cell for number, cell in by_round.items() if "rps" in cell}
    failures = {cell["failed"] for cell in by_round.values() if "failed" in cell}
    errors = defaultdict(int)
    for cell in good.values():
        for kind, count in cell["errors"].items():
            errors[kind] += count
    figures, ratios = {}, {}
    for name in FIGURES if good else ():
        figures[name] = Spread.of([cell[name] for cell in good.values()])
        pairs = [cell[name] / reference[number][name] for number, cell in good.items()
                 if reference.get(number, {}).get(name)]
        if pairs:
            ratios[name] = Spread.of(pairs)
    return Cell(figures, ratios, dict(errors), "; ".join(sorted(failures)))
