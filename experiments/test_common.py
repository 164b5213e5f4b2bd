"""Hand-worked cases of the statistics and files in common.py."""

import pathlib
import random
import tempfile
import unittest

import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import common
from figure import Axis, figure


class Statistics(unittest.TestCase):
    def test_ranks_share_the_mean_of_ties(self):
        self.assertEqual(common.ranks([10, 30, 20, 20]), [1, 4, 2.5, 2.5])

    def test_spearman(self):
        # d = 0, 1, 1, 0 of n = 4: 1 - 6·2/(4·15) = 0.8.
        self.assertAlmostEqual(common.spearman([1, 2, 3, 4], [1, 3, 2, 4]), 0.8)
        self.assertAlmostEqual(common.spearman([1, 2, 3], [9, 4, 1]), -1)
        self.assertEqual(common.spearman([1, 2, 3], [5, 5, 5]), 0)

    def test_r_squared_is_of_the_prediction_itself(self):
        # Residuals 0, 0, 1 against deviations 4, 0, 4 squared: 1 - 1/8.
        self.assertAlmostEqual(common.r_squared([1, 3, 4], [1, 3, 5]), 1 - 1 / 8)
        self.assertLess(common.r_squared([5, 3, 1], [1, 3, 5]), 0)

    def test_slope(self):
        self.assertAlmostEqual(common.slope([0, 1, 2], [1, 3, 5]), 2)

    def test_quantile(self):
        self.assertAlmostEqual(common.quantile([4, 1, 3, 2], 0.5), 2.5)
        self.assertEqual(common.quantile([7], 0.975), 7)

    def test_wilson(self):
        # 8 of 10, as in textbooks: 0.4902 to 0.9433.
        value, low, high = common.wilson(8, 10)
        self.assertEqual(value, 0.8)
        self.assertAlmostEqual(low, 0.4902, places=4)
        self.assertAlmostEqual(high, 0.9433, places=4)

    def test_bootstrap_covers_the_mean(self):
        chance = random.Random(3)
        covered = 0
        for _ in range(200):
            _, low, high = common.mean_interval([chance.gauss(0, 1) for _ in range(40)], 200)
            covered += low <= 0 <= high
        self.assertTrue(180 <= covered <= 198, covered)


class Files(unittest.TestCase):
    def test_npy_comes_back(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.npy"
            common.save_npy(path, (2, 3), [0, 1, 2, 3, 4, 5.5])
            shape, values = common.load_npy(path)
            self.assertEqual((shape, list(values)), ((2, 3), [0, 1, 2, 3, 4, 5.5]))
            self.assertEqual(path.stat().st_size % 8, 0)

    def test_rounding_keeps_six_digits(self):
        self.assertEqual(common.rounded({"a": [1.23456789, 3, None, float("nan")]}), {"a": [1.23457, 3, None, None]})


class Figures(unittest.TestCase):
    def test_axes(self):
        axis = Axis([0, 10], False, 0, 100, None)
        self.assertEqual(axis.at(0), 0)
        self.assertAlmostEqual(axis.at(10), 100 / 1.05)
        self.assertEqual([round(t) for t in Axis([1, 1000], True, 0, 100, None).ticks()], [1, 10, 100, 1000])

    def test_every_point_is_drawn(self):
        words = figure([{"title": "t", "x": "x", "y": "y", "series": [{"kind": "points", "x": [1, 2, 3], "y": [1, None, 2]}]}])
        self.assertEqual(words.count("<circle"), 2)


if __name__ == "__main__":
    unittest.main()
