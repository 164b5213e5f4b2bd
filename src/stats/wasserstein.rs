//! The 1-Wasserstein distance: the area between two ECDFs.

use rayon::prelude::*;

use super::descriptive::quantile_sorted;
use super::pairs::Pairs;
use super::ranking::Ranking;
use super::sample::Sample;
use crate::error::{Error, Result};

/// The 1-Wasserstein distance ∫|F − G| between two samples, in the unit of their values (Vallender 1974). O(n + m).
#[must_use]
pub fn distance(a: &Sample, b: &Sample) -> f64 {
    let (a, b) = (a.values(), b.values());
    let (mut i, mut j, mut area) = (0, 0, 0.0);
    let mut x = a[0].min(b[0]);
    loop {
        i += a[i..].iter().take_while(|&&v| v <= x).count();
        j += b[j..].iter().take_while(|&&v| v <= x).count();
        let next = match (a.get(i), b.get(j)) {
            (Some(&u), Some(&v)) => u.min(v),
            (Some(&u), None) => u,
            (None, Some(&v)) => v,
            (None, None) => return area,
        };
        area += (i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs() * (next - x);
        x = next;
    }
}

/// The 1-Wasserstein distance of every two runs, each given by its margins `[N]` in ascending order: the mean gap of their
/// order statistics, in the unit of the margins.
///
/// # Errors
/// [`Error::Invalid`] if there are no runs, or if lengths differ or are 0.
pub fn pairwise(ascending: &[Vec<f64>]) -> Result<Pairs> {
    let examples = ascending.first().map_or(0, Vec::len);
    if examples == 0 || ascending.iter().any(|row| row.len() != examples) {
        return Err(Error::Invalid("distances between runs need margins of the same examples for every run".into()));
    }
    Ok(Pairs::from_fn(ascending.len(), |a, b| {
        ascending[a].iter().zip(&ascending[b]).map(|(x, y)| (x - y).abs()).sum::<f64>() / examples as f64
    }))
}

/// The 1-Wasserstein distance of every run to the pooled margins of all others, in order of the runs.
///
/// Between two neighbouring margins of the candidate the reference rises past the candidate's ECDF at most once, so each
/// stretch is an area of known ends and a sum over the pooled margins in it, which running sums give: O(N) for each run. Takes
/// memory of once the margins.
#[must_use]
pub fn leave_one_out(ranking: &Ranking) -> Vec<f64> {
    let sorted = ranking.sorted();
    // Sums are of differences from the middle, to lose no digits.
    let middle = quantile_sorted(sorted, 0.5);
    let mut sums = Vec::with_capacity(sorted.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for &v in sorted {
        sum += v - middle;
        sums.push(sum);
    }
    let (n, others) = (ranking.examples(), sorted.len() - ranking.examples());
    (0..ranking.runs())
        .into_par_iter()
        .map(|run| {
            // The candidate's ECDF times n, and the last own margin and how many others are up to it.
            let (mut own, mut last, mut upto) = (0, 0.0, 0);
            let mut area = 0.0;
            // `start` and `end` delimit the stretch's pooled margins, all of them of other runs.
            let mut start = 0;
            for s in ranking.distinct(run) {
                let x = sorted[s.below] - middle;
                let (end, before) = (s.below, s.below - s.own_below);
                // While at most `even` others are passed, the reference is not above the candidate.
                let even = own * others / n;
                let turn = start + even.clamp(upto, before) - upto;
                let t = own as f64 / n as f64 * others as f64;
                let at = if turn == end { x } else { sorted[turn] - middle };
                let passed = (upto + turn - start) as f64;
                if turn > start || upto <= even {
                    let reference = passed * at - upto as f64 * last - (sums[turn] - sums[start]);
                    area += if own == 0 { 0.0 } else { t * (at - last) - reference };
                    let reference = before as f64 * x - passed * at - (sums[end] - sums[turn]);
                    area += reference - t * (x - at);
                } else {
                    let reference = before as f64 * x - upto as f64 * last - (sums[end] - sums[start]);
                    area += reference - t * (x - last);
                }
                (own, last, upto, start) = (s.own_upto, x, s.upto - s.own_upto, s.upto);
            }
            let above = sums[sorted.len()] - sums[start];
            area += above - (sorted.len() - start) as f64 * last;
            area / others as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::super::margins::Margins;
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    #[test]
    fn worked_by_hand() {
        assert_eq!(distance(&sample(&[0.0, 1.0, 3.0]), &sample(&[5.0, 6.0, 8.0])), 5.0);
        assert_eq!(distance(&sample(&[0.0, 1.0]), &sample(&[0.0, 0.0, 1.0, 1.0])), 0.0);
        assert_eq!(distance(&sample(&[0.0]), &sample(&[-1.0, 1.0])), 1.0);
        assert!(pairwise(&[vec![0.0], vec![]]).is_err() && pairwise(&[]).is_err());
    }

    proptest! {
        #[test]
        fn of_equal_sizes_is_the_mean_gap_of_order_statistics(
            v in proptest::collection::vec((-100i32..100, -100i32..100), 1..50),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = v.iter().map(|&(a, b)| (f64::from(a) / 8.0, f64::from(b) / 8.0)).unzip();
            let (a, b) = (sample(&a), sample(&b));
            let gap = a.values().iter().zip(b.values()).map(|(x, y)| (x - y).abs()).sum::<f64>() / a.len() as f64;
            prop_assert!(close(distance(&a, &b), gap, 1e-12));
            prop_assert!(close(distance(&b, &a), gap, 1e-12));
            let both = pairwise(&[a.values().to_vec(), b.values().to_vec()]).unwrap();
            prop_assert!(close(both.get(0, 1), gap, 1e-12));
        }

        #[test]
        fn leaving_one_out_equals_pooling(
            runs in 2usize..6,
            examples in 1usize..40,
            values in proptest::collection::vec(-20i32..20, 240),
            shift in -30i32..30,
        ) {
            let mut values: Vec<f64> = values[..runs * examples].iter().map(|&v| f64::from(v) / 8.0).collect();
            values[..examples].iter_mut().for_each(|v| *v += f64::from(shift) / 8.0);
            let ranking = Ranking::new(&Margins::new(&values, runs, examples).unwrap()).unwrap();
            for (m, d) in leave_one_out(&ranking).into_iter().enumerate() {
                let others = [&values[..m * examples], &values[(m + 1) * examples..]].concat();
                let expected = distance(&sample(&values[m * examples..][..examples]), &sample(&others));
                prop_assert!(close(d, expected, 1e-12), "run {m}: {d} against {expected}");
            }
        }
    }
}
