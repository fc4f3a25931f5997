"""`aisle sentiment` from end to end."""

import json
from pathlib import Path

import numpy as np
import polars as pl
from language_models import tiny_bert
from typer.testing import CliRunner

from aisle.cli import app


def test_train_then_score(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = rng.random(80) < 0.6
    rows = {
        "text": [f"{'lovely' if one else 'broken'} cup {n}" for n, one in enumerate(good)],
        "stars": np.where(good, 5.0, 1.0),
        "item": [f"i{n % 3}" for n in range(80)],
        "when": [f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(80)],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "reviews.csv")
    model = tiny_bert(tmp_path / "bert", texts=["lovely cup", "broken cup"])
    run = CliRunner().invoke
    common = ["--data", str(tmp_path / "reviews.csv"), "--stars", "stars"]
    train = [
        "sentiment",
        "train",
        *common,
        "--out",
        str(tmp_path / "model"),
        "--encoder",
        str(model),
        "--json",
    ]
    small = ["frozen_layers=0", "epochs=1", "encoder.max_tokens=24", "overlap=2"]
    chosen = [word for one in small for word in ("--set", f"ranker.sentiment.{one}")]
    done = run(app, [*train, *chosen])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["classes"] == ["negative", "positive"]
    assert facts["measured"]["accuracy"] == 1
    out = tmp_path / "scored.parquet"
    score = [
        "sentiment",
        "score",
        *common,
        "--item",
        "item",
        "--time",
        "when",
        "--model",
        str(tmp_path / "model"),
        "--out",
        str(out),
    ]
    assert run(app, score).exit_code == 0
    table = pl.read_parquet(out)
    assert ((table["polarity"] > 0.5).to_numpy() == good).all()
    view = run(
        app, ["sentiment", "feedback", "--reviews", str(out), "--out", str(tmp_path / "view"), "--json"]
    )
    assert view.exit_code == 0, view.output
    told = json.loads(view.stdout)
    assert told["tested"] > 0
    assert all(Path(path).is_file() for path in told["files"].values())
    edited = ["--aspects", str(tmp_path / "view" / "aspects.toml"), "--moment", "2024-03-01"]
    again = run(
        app, ["sentiment", "feedback", "--reviews", str(out), "--out", str(tmp_path / "again"), *edited]
    )
    assert again.exit_code == 0, again.output
    wrong = run(
        app, ["sentiment", "score", "--data", str(tmp_path), "--model", str(tmp_path), "--out", str(out)]
    )
    assert wrong.exit_code == 2
