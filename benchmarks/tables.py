"""Prints the tables of README.md and BENCHMARKS.md from finished runs.

python benchmarks/tables.py quality runs/beauty
python benchmarks/tables.py seeds runs/beauty runs/beauty-1 runs/beauty-2
python benchmarks/tables.py sources runs/beauty runs/games
python benchmarks/tables.py slices runs/mixed
python benchmarks/tables.py costs runs/beauty runs/games
python benchmarks/tables.py verdicts runs/beauty runs/games
"""

import json
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer

OURS = "fused"
STAGES = ("prepare", "train", "index", "candidates", "evaluate")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Folders = Annotated[list[Path], typer.Argument(help="folders that `aisle run --out` wrote")]


def report(folder: Path) -> dict[str, Any]:
    """The report of a run."""
    return dict(json.loads((folder / "evaluate" / "report.json").read_text()))


def manifest(folder: Path, stage: str) -> dict[str, Any]:
    """The manifest of a stage of a run."""
    return dict(json.loads((folder / stage / "manifest.json").read_text()))


@app.command()
def quality(folder: Annotated[Path, typer.Argument(help="a folder that `aisle run --out` wrote")]) -> None:
    """All models of one run, best first, with 95% intervals."""
    models = report(folder)["models"]
    print("| model | recall@10 | ndcg@10 | 95% interval of ndcg@10 |\n|---|---|---|---|")
    for name in sorted(models, key=lambda name: -models[name]["ndcg@10"]["value"]):
        recall, ndcg = models[name]["recall@10"], models[name]["ndcg@10"]
        interval = f"{ndcg['low']:.4f} to {ndcg['high']:.4f}"
        print(f"| {name} | {recall['value']:.4f} | {ndcg['value']:.4f} | {interval} |")


@app.command()
def verdicts(folders: Folders) -> None:
    """All our sources together, the main one, the best baseline, and what the test says of the difference."""
    columns = ["data", "split", "users", "fused R@10 / N@10", "two_tower R@10 / N@10"]
    columns += ["best baseline R@10 / N@10", "fused - baseline, N@10 (95%)", "after Holm's correction"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for folder in folders:
        found = report(folder)
        models, protocol = found["models"], found["protocol"]
        other = max(
            (name for name in models if name not in found["ours"]),
            key=lambda name: models[name]["ndcg@10"]["value"],
        )
        pair = next(
            row
            for row in found["comparisons"]
            if row["measure"] == "ndcg@10" and {row["model"], row["other"]} == {OURS, other}
        )
        sign = 1 if pair["model"] == OURS else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        cells = [
            protocol["dataset"],
            protocol["split"]["strategy"],
            f"{protocol['users']:,}",
            figures(models[OURS]),
            figures(models["two_tower"]),
            f"{other} {figures(models[other])}",
            f"{sign * pair['difference']:+.4f} ({low:+.4f} to {high:+.4f})",
            outcome(pair, sign),
        ]
        print("| " + " | ".join(cells) + " |")


@app.command()
def seeds(folders: Folders) -> None:
    """Mean over runs that differ in their seed, and the lowest and highest run, of all that is ours."""
    reports = [report(folder) for folder in folders]
    used = [str(one["settings"]["run"]["seed"]) for one in reports]
    print(f"seeds {', '.join(used)}\n\n| model | recall@10 | ndcg@10 |\n|---|---|---|")
    for name in reports[0]["ours"]:
        if any(name not in one["models"] for one in reports):
            continue  # a ranker that only some of them have
        cells = []
        for measure in ("recall@10", "ndcg@10"):
            values = [one["models"][name][measure]["value"] for one in reports]
            cells.append(f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})")
        print(f"| {name} | " + " | ".join(cells) + " |")


def outcome(pair: dict[str, Any], sign: int) -> str:
    """What the paired permutation test allows to say of our model."""
    words = {"better": ("better", "worse"), "worse": ("worse", "better")}.get(pair["outcome"])
    return words[sign < 0] if words else "no difference shown"


def figures(model: dict[str, Any]) -> str:
    """recall@10 and ndcg@10."""
    return f"{model['recall@10']['value']:.4f} / {model['ndcg@10']['value']:.4f}"


@app.command()
def sources(folders: Folders) -> None:
    """What validation said of each source and which weight it got, and what the test said."""
    print("| data | source | weight | ndcg@10 on validation | recall@10 on test | ndcg@10 on test |")
    print("|---|---|---|---|---|---|")
    for folder in folders:
        config = json.loads((folder / "train" / "model" / "config.json").read_text())
        fused, models = config["weights"]["fused"], report(folder)["models"]
        weights = dict(zip(config["weights"]["alone"], fused["vectors"], strict=True))
        shares = zip(config["neighbours"], fused["shares"], strict=True)
        weights |= {name: by["weight"] for name, by in shares}
        for name, value in config["weights"]["validation"].items():
            test = (models[name][measure]["value"] for measure in ("recall@10", "ndcg@10"))
            cells = [
                folder.name,
                name,
                str(weights.get(name, "")),
                f"{value:.4f}",
                *(f"{one:.4f}" for one in test),
            ]
            print("| " + " | ".join(cells) + " |")


@app.command()
def slices(folder: Annotated[Path, typer.Argument(help="a folder that `aisle run --out` wrote")]) -> None:
    """recall@10 / ndcg@10 on users and items that are new, and on those that are known."""
    found = report(folder)
    parts = found["slices"]
    heads = [f"{name} ({part['users']:,} users, {part['pairs']:,} pairs)" for name, part in parts.items()]
    print("| model | " + " | ".join(heads) + " |\n|" + "---|" * (len(heads) + 1))
    ranked = sorted(found["models"], key=lambda name: -found["models"][name]["ndcg@10"]["value"])
    for name in ranked:
        print(f"| {name} | " + " | ".join(figures(part["models"][name]) for part in parts.values()) + " |")


@app.command()
def costs(folders: Folders) -> None:
    """Seconds and peak memory of each stage of each run."""
    print("| data | " + " | ".join(STAGES) + " | together |\n|" + "---|" * (len(STAGES) + 2))
    for folder in folders:
        manifests = [manifest(folder, stage) for stage in STAGES]
        cells = [f"{one['seconds']:,.0f} s, {one['peak_memory'] / 2**30:.1f} GiB" for one in manifests]
        total = sum(one["seconds"] for one in manifests)
        print(f"| {folder.name} | " + " | ".join(cells) + f" | {total / 60:.1f} min |")


if __name__ == "__main__":
    app()
