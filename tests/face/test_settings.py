"""Settings: one typed TOML, overridable key by key, strict about names and types."""

from datetime import datetime
from pathlib import Path

import pytest

from aisle.data.errors import InputError
from aisle.settings import Settings, keys, load_settings
from aisle.settings_text import as_markdown, as_toml

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def written(folder: Path, text: str) -> Path:
    path = folder / "aisle.toml"
    path.write_text(text)
    return path


def test_a_file_sets_some_keys_and_leaves_the_others(tmp_path: Path) -> None:
    found = load_settings(written(tmp_path, "seed = 3\n[retriever.encoder]\nmax_tokens = 64\n"))
    assert found.seed == 3
    assert found.retriever.encoder.max_tokens == 64
    assert found.model_copy(update={"seed": 0, "retriever": Settings().retriever}) == Settings()


def test_the_file_in_the_current_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "seed = 3\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().seed == 3
    monkeypatch.chdir(tmp_path.parent)
    assert load_settings() == Settings()


def test_overrides_win_over_the_file_and_the_last_over_the_first(tmp_path: Path) -> None:
    path = written(tmp_path, "seed = 3\n[candidates]\nk = 20\n")
    found = load_settings(path, ["seed=4", "candidates.k=50", "candidates.k=60"])
    assert (found.seed, found.candidates.k) == (4, 60)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("retriever.dim=64", 64),
        ("retriever.objective.temperature=1", 1.0),
        ("retriever.refit=false", False),
        ("retriever.encoder.model=some/encoder-v2", "some/encoder-v2"),
        ("retriever.encoder.model=1984", "1984"),
        ("evaluate.k=[20, 10]", (10, 20)),
        ("data.split.target_kinds=['cart', 'purchase']", ("cart", "purchase")),
        ("data.mapping=shop.toml", Path("shop.toml")),
        ("data.clean.latest=2024-05-01", datetime(2024, 5, 1)),
        ("evaluate.baselines.names=['als']", ("als",)),
    ],
)
def test_an_override_is_of_the_type_of_its_key(override: str, value: object) -> None:
    found = {key.name: key.value for key in keys(load_settings(None, [override]))}
    assert found[override.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("retriever.learningrate=3", "retriever.learning_rate"),
        ("retriever.encoder.mdel=x", "retriever.encoder.model"),
        ("dim=3", "retriever.dim"),
        ("retreiver.dim=3", "retriever"),
        ("evaluate.baseline.names=['als']", "evaluate.baselines"),
        ("sed=3", "seed"),
    ],
)
def test_an_unknown_key_is_rejected_with_the_nearest_known_one(override: str, nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(None, [override])
    assert nearest in caught.value.fix
    assert override.startswith(caught.value.found)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("retriever.dim=wide", "integer"),
        ("retriever.dim='64'", "integer"),
        ("retriever.dim=true", "integer"),
        ("retriever.dim=0", "greater than or equal to 2"),
        ("retriever.refit=yes", "boolean"),
        ("retriever.objective.kind=best", "'full_softmax'"),
        ("seed=-1", "greater than or equal to 0"),
        ("evaluate.k=10", "array"),
        ("evaluate.k=[0]", "greater than or equal to 1"),
    ],
)
def test_a_value_of_another_type_is_rejected_with_its_key(override: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings(None, [override])
    assert expected in caught.value.expected
    assert override.partition("=")[0] in caught.value.found


@pytest.mark.parametrize("override", ["retriever.dim", "=3", "seed.deep=3"])
def test_an_override_that_is_none(override: str) -> None:
    with pytest.raises(InputError):
        load_settings(None, ["seed=1", override])


def test_a_file_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_settings(tmp_path / "none.toml")
    with pytest.raises(InputError, match="line 2"):
        load_settings(written(tmp_path, "seed = 3\nseed 4\n"))
    (tmp_path / "latin.toml").write_bytes("# é".encode("latin-1"))
    with pytest.raises(InputError, match="a TOML file with settings"):
        load_settings(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    "overrides", [[], ["data.mapping=m.toml", "seed=9", "data.text.item_separator=' \" '"]]
)
def test_the_toml_that_is_printed_is_read_back(tmp_path: Path, overrides: list[str]) -> None:
    settings = load_settings(None, overrides)
    assert load_settings(written(tmp_path, as_toml(settings))) == settings


def test_every_key_is_described() -> None:
    assert [key.name for key in keys(Settings()) if not key.field.description] == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == as_markdown(), "run: make docs"
