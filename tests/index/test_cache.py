"""Vectors by the content of their texts: kept whole, found again, made few."""

import numpy as np

from aisle.index.cache import MOST_PARTS, VectorCache, key_of


def some(numbers):
    keys = [key_of(str(number)) for number in numbers]
    vectors = np.array([[number, -number, 0.5] for number in numbers], np.float32)
    return keys, vectors


def test_what_was_put_is_found_by_the_next_process(tmp_path):
    VectorCache(tmp_path).put(*some(range(5)))
    VectorCache(tmp_path).put(*some(range(3, 9)))
    keys, vectors = some([8, 0, 11, 4])
    found, known = VectorCache(tmp_path).get(keys)
    assert known.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(found[known], vectors[known])
    np.testing.assert_array_equal(found[~known], np.zeros((1, 3)))
    assert len(VectorCache(tmp_path)) == 9


def test_an_empty_cache(tmp_path):
    found, known = VectorCache(tmp_path).get(some(range(3))[0])
    assert found.shape == (3, 0)
    assert not known.any()


def test_a_file_that_changed_is_passed_over(tmp_path):
    VectorCache(tmp_path).put(*some(range(5)))
    VectorCache(tmp_path).put(*some(range(5, 9)))
    path = max(tmp_path.glob("*.arrow"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    _, known = VectorCache(tmp_path).get(some(range(9))[0])
    assert known.tolist() == [False] * 5 + [True] * 4
    assert not path.exists()


def test_what_a_killed_process_left_is_swept(tmp_path):
    (tmp_path / ".77.new").write_bytes(b"half a")
    VectorCache(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_files_become_one_with_what_is_used(tmp_path):
    cache = VectorCache(tmp_path)
    for number in range(MOST_PARTS + 1):
        cache.put(*some([number]))
    cache.settle(some(range(5))[0])
    assert len(list(tmp_path.glob("*.arrow"))) == 1
    for one in (cache, VectorCache(tmp_path)):
        found, known = one.get(some(range(7))[0])
        assert known.tolist() == [True] * 5 + [False] * 2
        np.testing.assert_array_equal(found[:5], some(range(5))[1])


def test_few_files_with_little_waste_stay_as_they_are(tmp_path):
    cache = VectorCache(tmp_path)
    cache.put(*some(range(5)))
    cache.put(*some(range(5, 10)))
    cache.settle(some(range(6))[0])
    assert len(VectorCache(tmp_path)) == 10
    cache.settle(some(range(4))[0])
    assert len(VectorCache(tmp_path)) == 4
