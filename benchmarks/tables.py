"""The tables of docs/performance.md, made of the result files: `python -m benchmarks.tables`."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from semivae.cli.conclusions import CHAPTERS
from semivae.markdown import table

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

TEXTBOOK, PYRO = "textbook", "Pyro"
EXACT, EXACT_FLOAT32 = "semivae, exact", "semivae, exact, float32"
PRUNED, GUMBEL = "semivae, pruned, once sure", "semivae, Gumbel-Softmax"
BARE = "forward, backward and optimizer of semivae, pruned"
TEXTBOOK_PREDICTION, PREDICTION = "textbook, prediction", "semivae, prediction"
PREDICTION_FLOAT32 = "semivae, prediction, float32"

Json = Mapping[str, Any]


def _rows(head: list[str], lines: list[list[str]]) -> str:
    return table(head, lines, right=range(1, len(head)))


def speed_table(result: Json) -> str:
    """Per case: times the textbook loop, shares of the floor, overhead."""
    columns = (PYRO, EXACT_FLOAT32, EXACT, PRUNED, GUMBEL, PREDICTION_FLOAT32, PREDICTION)
    head = ["", *(name.removeprefix("semivae, ") for name in columns)]
    head += ["floor, exact", "floor, pruned", "floor, prediction", "pairs per row", "overhead"]
    lines = []
    for name, case in result["cases"].items():
        times, shares = case["times_as_fast_as_textbook"], case["share_of_the_floor"]
        cells = [f"{times[column]:.2f}" for column in columns]
        cells += [f"{shares[each]:.0%}" for each in (EXACT, PRUNED, PREDICTION)]
        cells.append(f"{case['pairs_per_row_pruned']:.2f}")
        lines.append([name, *cells, f"{case['overhead']:.1%}"])
    return _rows(head, lines)


def choices_table(result: Json) -> str:
    """Step time of each variant over that of the step as shipped."""
    per_rule = result["step_time_over_shipped"]
    head = ["step time over that of the step as shipped", *per_rule]
    names = list(next(iter(per_rule.values())))
    return _rows(head, [[n, *(f"{per_rule[rule][n]:.2f}" for rule in per_rule)] for n in names])


def growth_table(result: Json) -> str:
    """Each curve's points and its exponents."""
    lines = []
    for axis, curves in result["curves"].items():
        for rule, curve in curves.items():
            measure = curve["measure"]
            unit = {"epoch_seconds": "s", "step_ms": "ms"}[measure]
            points = zip(curve["sizes"], curve["points"], strict=True)
            values = ", ".join(f"{size:,}: {each[measure]:.3g} {unit}" for size, each in points)
            memory = ", ".join(f"{each['megabytes']:,.0f}" for each in curve["points"])
            lines.append([f"{axis}, {rule}", values, f"{curve['exponent']:.2f}", memory])
    head = ["axis, sum over y", "time of an epoch (rows) or a step", "exponent", "MB"]
    return _rows(head, lines)


def processes_table(result: Json) -> str:
    """Step time by processes and threads."""
    lines = [[name, f"{each['step_ms']:.3g} ms"] for name, each in result["processes"].items()]
    return _rows(["processes", "step, exact sum"], lines)


def memory_table(result: Json) -> str:
    """Anonymous memory with a mapped table of so many gigabytes."""
    peaks, seconds = result["anonymous_megabytes"], result["seconds"]
    lines = [
        [name, f"{peaks[name]:,} MB", f"{seconds[name]:,} s" if name in seconds else "–"]
        for name in peaks
    ]
    return _rows([f"{result['rows']:,} rows, {result['gigabytes']} GB", "peak", "time"], lines)


def parity_table(result: Json) -> str:
    """Test accuracy with either sum over y, and the paired difference."""
    lines = [
        [
            f"{name}, {case['seeds']} seeds",
            f"{case['exact']:.2f}",
            f"{case['pruned']:.2f}",
            f"{case['difference']:+.2f} ± {case['standard_error']:.2f}",
            f"{case['lower_95']:+.2f}",
        ]
        for name, case in result["cases"].items()
    ]
    return _rows(["1,000 labels", "exact, %", "pruned, %", "difference", "lower 95 %"], lines)


def trials_table(result: Json) -> str:
    """Each change that was tried: what was predicted, what was measured, whether it stayed."""
    lines = []
    for trial in result["trials"]:
        measured = ", ".join(f"{name}: {_times(ms)}" for name, ms in trial["measured_ms"].items())
        kept = "yes" if trial["kept"] else f"no{': ' + trial['why'] if 'why' in trial else ''}"
        lines.append([trial["change"], trial["predicted"], measured, kept])
    return _rows(["change", "predicted", "measured, ms", "kept"], lines)


def _times(milliseconds: Any) -> str:
    several = milliseconds if isinstance(milliseconds, list) else [milliseconds]
    return ", ".join(f"{each:g}" for each in several)


def hours_table(results: Path) -> str:
    """The training in every piece of `semivae reproduce all`, of the runs that are there: a run
    in two pieces counts in the first one, an M1 that several runs go on from once."""
    lines, seen, total = [], set[object](), 0.0
    for name in CHAPTERS:
        folder = results / name
        files = sorted(folder.glob("*.json")) + sorted((folder / "runs").glob("*.json"))
        seconds = 0.0
        for file in files:
            run = json.loads(file.read_text(encoding="utf-8"))
            parts = _trained(run)
            seconds += sum(value for key, value in parts.items() if key not in seen)
            seen |= parts.keys()
        total += seconds
        if seconds:
            lines.append([name, f"{len(files):,}", f"{seconds / 3600:.1f}"])
    lines.append(["together", "", f"{total / 3600:.1f}"])
    return _rows(["piece", "runs", "hours of one thread"], lines)


def _trained(run: Json) -> dict[object, float]:
    """Seconds of what was trained for a result, under a name that tells it from others."""
    if "summary" not in run:
        return {json.dumps(run["study"], sort_keys=True): run["seconds"]}
    whole, first = run["summary"]["train_seconds"], run["recipe"].get("pretraining")
    m1 = ("M1", run["request"]["data"], run["request"]["seed"])
    if first is None:  # a classifier on the codes of an M1 takes no time beside it
        return {m1 if "m1" in run["recipe"] else run["name"]: whole}
    own = [line["seconds"] for line in run["history"]]
    return {m1: sum(own[: first["epochs"]]), run["name"]: sum(own[first["epochs"] :])}


def _of(file: str, made_of: Callable[[Json], str]) -> Callable[[Path], str]:
    """A table that one file of the results is enough for."""
    return lambda results: made_of(json.loads((results / file).read_text(encoding="utf-8")))


SECTIONS: Mapping[str, Callable[[Path], str]] = {
    "speed": _of("speed.json", speed_table),
    "choices": _of("choices.json", choices_table),
    "trials": _of("trials.json", trials_table),
    "memory": _of("memory.json", memory_table),
    "growth": _of("growth.json", growth_table),
    "processes": _of("growth.json", processes_table),
    "parity": _of("parity.json", parity_table),
    "hours": hours_table,
}


def rendered(page: str) -> str:
    """The page with every section between its two markers made anew."""
    for name, made_of in SECTIONS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        made = made_of(RESULTS)
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page = pattern.sub(lambda _, made=made, b=begin, e=end: b + made + e, page)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
