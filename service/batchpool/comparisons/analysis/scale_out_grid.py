"""Scale-up against scale-out: batches × concurrency at an equal number of tasks in flight."""

from collections.abc import Mapping, Sequence
from typing import Any

_SAME = ("backend", "start_method", "pool", "dispatch", "chunksize")


def grid_of(arms: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Tables and heat maps, one of each per way to run; None where no two arms share a budget.

    Args:
        arms: as the document shows them.
    """
    families: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for arm in arms:
        if arm["spec"]["backend"] != "sequential":
            key = tuple(arm["spec"].get(name) for name in _SAME)
            families.setdefault(key, []).append(arm)
    tables = [table for family in families.values() for table in _tables(family)]
    if not tables:
        return None
    wide = [family for family in families.values() if len(_axis(family, "batches")) > 1]
    return {"tables": tables, "heatmaps": [_heatmap(family) for family in wide]}


def _tables(family: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    budgets: dict[int, list[Mapping[str, Any]]] = {}
    for arm in family:
        budgets.setdefault(_budget(arm), []).append(arm)
    return [
        {
            "backend": family[0]["spec"]["backend"],
            "in_flight": budget,
            "cells": [_cell(arm) for arm in sorted(cells, key=lambda a: _batches(a))],
        }
        for budget, cells in sorted(budgets.items())
        if len(_axis(cells, "batches")) > 1
    ]


def _cell(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arm": arm["name"],
        "batches": _batches(arm),
        "concurrency": arm["spec"]["concurrency"],
        **{
            name: arm[name]
            for name in (
                "median_s",
                "mad_s",
                "ratio",
                "verdict",
                "hosts",
                "cpus",
                "max_in_flight",
                "cpu_s",
                "peak_pss_bytes",
            )
        },
    }


def _heatmap(family: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows are batches, columns concurrency; None where nothing was measured."""
    rows, columns = _axis(family, "batches"), _axis(family, "concurrency")
    found = {(_batches(arm), arm["spec"]["concurrency"]): arm for arm in family}

    def values(name: str) -> list[list[Any]]:
        return [
            [found[row, column][name] if (row, column) in found else None for column in columns]
            for row in rows
        ]

    return {
        "backend": family[0]["spec"]["backend"],
        "batches": rows,
        "concurrency": columns,
        "arms": values("name"),
        "median_s": values("median_s"),
        "speedup": [
            [None if speedup is None else speedup["value"] for speedup in row]
            for row in values("speedup")
        ],
    }


def _axis(family: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    return sorted({arm["spec"][name] or 1 for arm in family})


def _batches(arm: Mapping[str, Any]) -> int:
    return int(arm["spec"]["batches"] or 1)


def _budget(arm: Mapping[str, Any]) -> int:
    return _batches(arm) * int(arm["spec"]["concurrency"] or 1)
