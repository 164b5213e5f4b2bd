//! Ranking one pair of networks among others: the p-value of statistics that have no null of their own.

/// The p-value of the pair (A, B) among all pairs of A, B and m siblings, by a statistic that is large when a pair is
/// related: the share of the (m + 2)(m + 1)/2 pairs with a statistic at least as large, its own included.
///
/// If B is independent of A and all m + 2 networks come from the same procedure, they are exchangeable, every pair is equally likely to be the
/// r-th largest, and the p-value is valid: P(p ≤ u) ≤ u. Using the pairs among the siblings too, rather than A against each
/// sibling only, lets m siblings resolve 2/((m + 1)(m + 2)) instead of 1/(m + 1).
///
/// A statistic that is not a number counts as large in the others and as small in the pair itself.
#[must_use]
pub fn rank_p(pair: f64, others: &[f64]) -> f64 {
    if pair.is_nan() {
        return 1.0;
    }
    let above = others.iter().filter(|other| other.is_nan() || **other >= pair).count();
    (1 + above) as f64 / (1 + others.len()) as f64
}

/// How many siblings it takes for the best rank to be at most `level`.
#[must_use]
pub fn siblings_needed(level: f64) -> usize {
    (0..).find(|m| 2.0 / ((m + 1) * (m + 2)) as f64 <= level).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Stream;

    #[test]
    fn by_hand() {
        assert_eq!(rank_p(5.0, &[1.0, 5.0, 7.0]), 0.75);
        assert_eq!(rank_p(9.0, &[1.0, 5.0]), 1.0 / 3.0);
        assert_eq!((rank_p(f64::NAN, &[1.0]), rank_p(1.0, &[f64::NAN])), (1.0, 1.0));
        assert_eq!((siblings_needed(0.05), siblings_needed(0.01)), (5, 13));
    }

    #[test]
    fn valid_though_pairs_share_networks() {
        // Six exchangeable networks as points on a line; the statistic of a pair is its closeness.
        let mut stream = Stream::new(1, 0);
        let draws = 20_000;
        let alarms = (0..draws)
            .filter(|_| {
                let place: Vec<f64> = (0..6).map(|_| stream.uniform().powi(3)).collect();
                let mut all = Vec::new();
                for i in 0..6 {
                    for j in 0..i {
                        all.push(-(place[i] - place[j]).abs());
                    }
                }
                // Entry 0 is the pair (1, 0): A and B.
                rank_p(all[0], &all[1..]) <= 0.2
            })
            .count();
        let share = alarms as f64 / f64::from(draws);
        assert!((0.18..=0.2086).contains(&share), "{share} at 0.2");
    }
}
