"""Hand-worked cases of the statistics and files in common.py."""

import pathlib
import random
import tempfile
import unittest

import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import common
from figure import Axis, figure, label


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

    def test_student(self):
        for freedom, value in ((3, 3.182), (4, 2.776), (9, 2.262)):
            self.assertLess(abs(common.student(freedom) / value - 1), 0.01)

    def test_jackknife_over_pairs(self):
        # Runs at 0, 1, 3, pairs |difference| 1, 3, 2: mean 2; without each run 2, 3, 1: error sqrt(2/3 * 2).
        value, low, high = common.over_pairs([{"a": 0, "b": 1, "d": 1}, {"a": 0, "b": 2, "d": 3}, {"a": 1, "b": 2, "d": 2}], "d")
        self.assertEqual(value, 2)
        self.assertAlmostEqual((high - low) / 2 / common.student(2), (4 / 3) ** 0.5)

    def test_chi_square(self):
        # Of tables: 20.483 and 3.247 at 10 degrees of freedom, 39.364 at 24.
        for freedom, at, value in ((10, 0.975, 20.483), (10, 0.025, 3.247), (24, 0.975, 39.364)):
            self.assertLess(abs(common.chi_square(freedom, at) / value - 1), 0.01)

    def test_sign_test(self):
        # 0 of 5: 2/32; 1 of 4: 2·(1 + 4)/16; half of them: 1.
        self.assertAlmostEqual(common.sign_test(0, 5), 2 / 32)
        self.assertAlmostEqual(common.sign_test(3, 4), 10 / 16)
        self.assertEqual(common.sign_test(2, 4), 1)

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
        axis = Axis([0, 10], False, 0, 100)
        self.assertEqual(axis.at(0), 0)
        self.assertAlmostEqual(axis.at(10), 100 / 1.05)
        self.assertEqual([round(t) for t in Axis([1, 1000], True, 0, 100).ticks()], [1, 10, 100, 1000])

    def test_few_labels_on_many_decades(self):
        self.assertEqual([f"{t:.0e}" for t in Axis([1e-18, 1], True, 0, 100).ticks()], ["1e-15", "1e-10", "1e-05", "1e+00"])
        self.assertEqual(label(2e-5), "2·10⁻⁵")
        self.assertEqual(label(-0.25), "−0.25")

    def test_long_names_make_bars_lie(self):
        def of(names):
            return figure([{"title": "t", "x": "x", "y": "y", "series": [{"kind": "bars", "x": names, "y": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5], "theirs": [None, 2.2]}]}])

        upright, lying = of(["a", "b"]), of(["a long name of something, and some more words", "b"])
        self.assertGreater(lying.count('text-anchor="end"'), 1)
        self.assertEqual(upright.count('class="whisker"'), lying.count('class="whisker"'))
        # Once in the legend, once in its place.
        self.assertEqual(upright.count('class="theirs"'), 2)

    def test_every_point_is_drawn(self):
        words = figure([{"title": "t", "x": "x", "y": "y", "series": [{"kind": "points", "x": [1, 2, 3], "y": [1, None, 2]}]}])
        self.assertEqual(words.count("<circle"), 2)


if __name__ == "__main__":
    unittest.main()
