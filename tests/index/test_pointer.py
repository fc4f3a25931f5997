"""What the pointer remembers of who published what."""

from aisle.index.pointer import REMEMBERED, Pointer, Publication


def said(version: str, how: str = "publish", delta: str = "") -> Publication:
    return Publication(version=version, delta=delta, at="2026-03-01T00:00:00+00:00", by="me@here", how=how)


def after(*publications: Publication) -> Pointer:
    found = Pointer(publications=publications[:1])
    for publication in publications[1:]:
        found = found.then(publication)
    return found


def test_many_updates_do_not_make_it_forget_versions() -> None:
    updates = [said("b", "update", f"delta-b-{number}") for number in range(2 * REMEMBERED)]
    found = after(said("a"), said("a", "update", "delta-a-1"), said("b"), *updates)
    assert len(found.publications) == REMEMBERED
    assert [(one.version, one.how) for one in found.publications[:3]] == [
        ("a", "publish"),
        ("a", "update"),
        ("b", "publish"),
    ]
    assert (found.delta_of("a"), found.delta) == ("delta-a-1", updates[-1].delta)


def test_of_more_publications_the_oldest_is_forgotten() -> None:
    found = after(*(said(str(number)) for number in range(REMEMBERED + 3)))
    assert [one.version for one in found.publications] == [str(n) for n in range(3, REMEMBERED + 3)]
