"""A catalogue out of PostgreSQL: a real server, started by the test where one is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle.data.catalogue import read_catalogue
from aisle.data.errors import InputError
from aisle.data.settings import DataSettings
from aisle.data.sql import is_database

ROWS = """
create table products (sku text, name text, maker text, price numeric, path text[]);
insert into products values
  ('p1', 'Red lipstick', 'Acme', 9.5, '{Beauty,Lips}'),
  ('p2', 'Perfume', null, null, null),
  (null, 'Nameless', 'Acme', 1, null);
"""
QUERY = """
select sku as item_id, name as title, maker as brand, price::float8 as price, path as categories
from products
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URI of a server that listens on a socket of its own."""
    pytest.importorskip("adbc_driver_postgresql", reason="ADBC's driver for PostgreSQL is not installed")
    programs = {name: shutil.which(name) for name in ("initdb", "pg_ctl", "psql")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f"PostgreSQL is not installed here (no {', '.join(missing)})")
    with tempfile.TemporaryDirectory(prefix="aisle-pg-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        user = None
        if os.getuid() == 0:  # the server refuses to run as root
            user = "nobody"
            shutil.chown(folder, user)
        as_user = {"check": True, "capture_output": True, "user": user, "cwd": folder}
        subprocess.run([programs["initdb"], "-D", "data", "-U", "shop", "-A", "trust", "-N"], **as_user)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start = [programs["pg_ctl"], "-D", "data", "-w", "-l", "log", "-o", options]
        subprocess.run([*start, "start"], **as_user)
        try:
            psql = [programs["psql"], "-h", str(folder), "-U", "shop", "-d", "postgres", "-q", "-c", ROWS]
            subprocess.run(psql, **as_user)
            yield f"postgresql://shop@/postgres?host={folder}"
        finally:
            subprocess.run([programs["pg_ctl"], "-D", "data", "-m", "immediate", "stop"], **as_user)


def test_items_of_a_query(server: str) -> None:
    found = read_catalogue(server, DataSettings(), query=QUERY)
    assert found.items["item_id"].to_list() == ["p1", "p2"]
    assert found.items.row(0, named=True) == {
        "item_id": "p1",
        "title": "Red lipstick",
        "description": None,
        "brand": "Acme",
        "categories": ["Beauty", "Lips"],
        "price": 9.5,
        "image_url": None,
        "attributes": None,
    }
    assert found.counts == {"rows": 3, "rejected: no item id": 1}


def test_types_that_shops_use(server: str) -> None:
    """Ids that are numbers or UUIDs, prices that are numeric, as they are written in SQL."""
    number = "row_number() over (order by sku)"
    queries = {
        f"select {number} as item_id, name as title, price from products": ["1", "2", "3"],
        f"select ({number})::numeric as item_id, name as title, price from products": ["1", "2", "3"],
        f"select lpad(({number})::text, 32, '0')::uuid as item_id, name as title, price from products": [
            f"00000000-0000-0000-0000-{n:012d}" for n in (1, 2, 3)
        ],
        f"select ({number})::text::bytea as item_id, name as title, price from products": ["1", "2", "3"],
    }
    for query, ids in queries.items():
        found = read_catalogue(server, DataSettings(), query=query)
        assert found.items["item_id"].to_list() == ids
        assert found.items["price"].to_list() == [9.5, None, 1.0]


def test_money_is_not_taken_for_a_number_of_cents(server: str) -> None:
    with pytest.raises(InputError, match="price::numeric"):
        read_catalogue(server, DataSettings(), query="select sku, name, price::money as price from products")


def test_a_query_that_fails_on_its_way(server: str) -> None:
    query = "select sku, name, 1 / (price - 1) as price from products"
    with pytest.raises(InputError, match="division by zero"):
        read_catalogue(server, DataSettings(), query=query)


@pytest.mark.parametrize(
    ("query", "words"),
    [(None, "--query"), ("select nothing from nowhere", "nowhere"), ("select 1 as x where false", "found")],
)
def test_queries_that_give_no_items(server: str, query: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_catalogue(server, DataSettings(), query=query)


def test_a_server_that_is_not_there_and_no_password_in_the_message() -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="ADBC's driver for PostgreSQL is not installed")
    with pytest.raises(InputError) as error:
        read_catalogue("postgresql://me:secret@127.0.0.1:1/shop", DataSettings(), query="select 1")
    assert "secret" not in str(error.value)
    assert "127.0.0.1" in str(error.value)


def test_a_query_needs_a_database(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="postgresql://"):
        read_catalogue(str(tmp_path), DataSettings(), query="select 1")


@pytest.mark.parametrize(
    ("source", "expected"),
    [("postgresql://h/d", True), ("postgres://h/d", True), ("items.parquet", False), ("s3://b/items", False)],
)
def test_what_is_a_database(source: str, expected: bool) -> None:
    assert is_database(source) is expected
