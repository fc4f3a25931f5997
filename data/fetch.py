"""Public data sets by name: which files they are and where they lie."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from aisle.data.download import download
from aisle.data.errors import InputError

MCAULEY = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/"
"""Where the McAuley lab keeps Amazon Reviews 2023 (Hou et al. 2024, arXiv:2403.03952)."""

AMAZON_2023 = (
    "All_Beauty",
    "Amazon_Fashion",
    "Appliances",
    "Arts_Crafts_and_Sewing",
    "Automotive",
    "Baby_Products",
    "Beauty_and_Personal_Care",
    "Books",
    "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories",
    "Clothing_Shoes_and_Jewelry",
    "Digital_Music",
    "Electronics",
    "Gift_Cards",
    "Grocery_and_Gourmet_Food",
    "Handmade_Products",
    "Health_and_Household",
    "Health_and_Personal_Care",
    "Home_and_Kitchen",
    "Industrial_and_Scientific",
    "Kindle_Store",
    "Magazine_Subscriptions",
    "Movies_and_TV",
    "Musical_Instruments",
    "Office_Products",
    "Patio_Lawn_and_Garden",
    "Pet_Supplies",
    "Software",
    "Sports_and_Outdoors",
    "Subscription_Boxes",
    "Tools_and_Home_Improvement",
    "Toys_and_Games",
    "Unknown",
    "Video_Games",
)
"""Categories of Amazon Reviews 2023: 33 departments, and what has none."""


def fetch(
    what: str, out: Path, *, base_url: str = MCAULEY, sha256: Mapping[str, str] | None = None
) -> list[Path]:
    """Download a public data set into `out`; files that are there already are not downloaded again.

    Args:
        what: `amazon-2023:<category>`, such as `amazon-2023:All_Beauty`; case does not matter.
        out: folder for the files.
        base_url: address of the data set.
        sha256: expected SHA-256 (hex) by file name; a file that is not in here is checked by its length, its
            gzip stream and whatever checksum the server sends.

    Returns:
        The files: reviews, then metadata.

    Raises:
        InputError: no such data set, or a file cannot be had; :func:`aisle.data.download.download` says why.
    """
    category = _category(what)
    places = (f"raw/review_categories/{category}.jsonl.gz", f"raw/meta_categories/meta_{category}.jsonl.gz")
    expected = sha256 or {}
    fetched = []
    for place in places:
        name = place.rpartition("/")[2]
        url = f"{base_url.rstrip('/')}/{place}"
        fetched.append(download(url, Path(out) / name, sha256=expected.get(name)))
    return fetched


def _category(what: str) -> str:
    source, colon, asked = what.partition(":")
    if source.lower() != "amazon-2023" or not colon:
        raise InputError(
            "a data set as source:category", repr(what), "for example: aisle fetch amazon-2023:All_Beauty"
        )
    known = {category.lower(): category for category in AMAZON_2023}
    wanted = asked.strip().lower().replace(" ", "_").replace("-", "_")
    if wanted in known:
        return known[wanted]
    nearest = [known[name] for name in get_close_matches(wanted, known, n=3, cutoff=0.5)]
    fix = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(AMAZON_2023)}"
    raise InputError("a category of Amazon Reviews 2023", repr(asked), fix)
