//! An orthogonal map from one space of embeddings to another (Procrustes; Schönemann 1966), judged on pairs that it was not
//! fitted to.

use faer::Mat;

use super::linear::{Scale, add_product, product, wide};
use super::problem::Problem;
use crate::error::Result;
use crate::random::Random;

/// The map and what it gains.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// `[width of B, width of A]`, row-major, with orthonormal rows or columns: a ≈ (b − `from`) · map + `to`.
    pub map: Vec<f32>,
    pub from: Vec<f32>,
    pub to: Vec<f32>,
    /// Share of A's variance that B's embeddings explain as they are, on held-out pairs: 1 − ‖a − b‖²/‖a − ā‖². None where the
    /// widths differ.
    pub before: Option<f64>,
    /// The same after the map.
    pub after: f64,
    /// What a head trained on A's embeddings makes of held-out samples.
    pub head: Option<Head>,
}

/// Share of the held-out samples that a linear head, trained on A's space to tell a label, tells right.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub label: String,
    pub on_first: f64,
    /// None where the widths differ.
    pub before: Option<f64>,
    pub after: f64,
    /// Share of the most frequent value.
    pub chance: f64,
}

/// Fits on half of the pairs, judges on the other half, and fits the map that is returned on all. `a` `[n, wa]`, `b` `[n, wb]`, row i of both from
/// the same prompt or image; `label` is a name and `[n]` values below `classes`.
///
/// # Errors
/// [`Problem::FewPairs`] for fewer than eight pairs.
pub fn align(
    a: (&[f32], usize),
    b: (&[f32], usize),
    label: Option<(&str, &[u32], usize)>,
    seed: u64,
) -> Result<Alignment> {
    let n = a.0.len() / a.1.max(1);
    if n < 8 || b.0.len() / b.1.max(1) != n {
        return Err(Problem::FewPairs(n).error());
    }
    let mut order: Vec<usize> = (0..n).collect();
    Random::from_parts(seed, "align", 0).shuffle(&mut order);
    let (train, test) = order.split_at(n / 2);
    let fitted = Map::fit(a, b, train)?;
    let target = rows(a, test);
    let after = explained(&target, &fitted.applied(b, test), &fitted.to);
    let before = (a.1 == b.1).then(|| explained(&target, &rows(b, test), &fitted.to));
    let head = label.map(|(name, of, classes)| {
        let head = Weights::fit(&rows(a, train), a.1, train, of, classes);
        let right = |rows: &[f32]| head.right(rows, a.1, test, of);
        let mut counts = vec![0usize; classes];
        test.iter().for_each(|&i| counts[of[i] as usize] += 1);
        Head {
            label: name.to_owned(),
            on_first: right(&target),
            before: (a.1 == b.1).then(|| right(&rows(b, test))),
            after: right(&fitted.applied(b, test)),
            chance: counts.iter().max().map_or(0.0, |most| *most as f64 / test.len() as f64),
        }
    });
    let Map { map, from, to, .. } = Map::fit(a, b, &order)?;
    Ok(Alignment { map, from, to, before, after, head })
}

fn rows((rows, width): (&[f32], usize), take: &[usize]) -> Vec<f32> {
    take.iter().flat_map(|&i| rows[i * width..][..width].iter().copied()).collect()
}

struct Map {
    map: Vec<f32>,
    from: Vec<f32>,
    to: Vec<f32>,
    widths: (usize, usize),
}

impl Map {
    /// U Vᵀ of the singular value decomposition of BᵀA, both centred.
    fn fit(a: (&[f32], usize), b: (&[f32], usize), take: &[usize]) -> Result<Self> {
        let (one, other) = (Scale::of(a.0, a.1, take), Scale::of(b.0, b.1, take));
        let mut cross = vec![0.0; a.1 * b.1];
        for block in take.chunks(super::linear::BLOCK) {
            let (a_rows, b_rows) = (one.centred(a.0, block), other.centred(b.0, block));
            add_product(&mut cross, &b_rows, &a_rows, block.len(), b.1, a.1);
        }
        let cross: Mat<f64> = Mat::from_fn(b.1, a.1, |i, j| cross[i * a.1 + j]);
        let svd = cross.thin_svd().map_err(|_| Problem::NotConverged("the alignment's decomposition").error())?;
        let map = svd.U() * svd.V().transpose();
        let map = (0..b.1).flat_map(|i| (0..a.1).map(move |j| (i, j))).map(|(i, j)| map[(i, j)] as f32).collect();
        Ok(Self { map, from: other.mean, to: one.mean, widths: (b.1, a.1) })
    }

    fn applied(&self, b: (&[f32], usize), take: &[usize]) -> Vec<f32> {
        let (from, to) = self.widths;
        let centred: Vec<f32> =
            take.iter().flat_map(|&i| b.0[i * b.1..][..b.1].iter().zip(&self.from).map(|(v, mean)| v - mean)).collect();
        let mut mapped = product(&centred, &self.map, take.len(), from, to);
        for row in mapped.chunks_exact_mut(to) {
            row.iter_mut().zip(&self.to).for_each(|(v, mean)| *v += mean);
        }
        mapped
    }
}

/// 1 − ‖a − b‖²/‖a − mean‖².
fn explained(a: &[f32], b: &[f32], mean: &[f32]) -> f64 {
    let (mut apart, mut spread) = (0.0f64, 0.0f64);
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        apart += f64::from(a - b).powi(2);
        spread += f64::from(a - mean[i % mean.len()]).powi(2);
    }
    if spread > 0.0 { 1.0 - apart / spread } else { 0.0 }
}

/// Ridge regression on one-hot labels.
struct Weights {
    weights: Vec<f32>,
    mean: Vec<f32>,
    offsets: Vec<f64>,
    classes: usize,
}

impl Weights {
    fn fit(rows: &[f32], width: usize, samples: &[usize], of: &[u32], classes: usize) -> Self {
        let n = samples.len();
        let all: Vec<usize> = (0..n).collect();
        let scale = Scale::of(rows, width, &all);
        let centred = scale.centred(rows, &all);
        let mut shares = vec![0.0f64; classes];
        samples.iter().for_each(|&i| shares[of[i] as usize] += 1.0 / n as f64);
        let x = wide(&centred, n, width);
        let y = Mat::from_fn(n, classes, |i, c| f64::from(u8::from(of[samples[i]] as usize == c)) - shares[c]);
        let mut gram = x.transpose() * &x;
        let trace: f64 = (0..width).map(|i| gram[(i, i)]).sum();
        for i in 0..width {
            gram[(i, i)] += 0.01 * trace / width as f64 + 1e-9;
        }
        use faer::linalg::solvers::Solve;
        let right = x.transpose() * &y;
        let solution = match gram.llt(faer::Side::Lower) {
            Ok(factor) => factor.solve(&right),
            Err(_) => right,
        };
        let weights = (0..width).flat_map(|i| (0..classes).map(move |c| (i, c))).map(|(i, c)| solution[(i, c)] as f32);
        Self { weights: weights.collect(), mean: scale.mean, offsets: shares, classes }
    }

    /// Share of `samples`, whose embeddings are `rows`, told right.
    fn right(&self, rows: &[f32], width: usize, samples: &[usize], of: &[u32]) -> f64 {
        let centred: Vec<f32> =
            rows.chunks_exact(width).flat_map(|row| row.iter().zip(&self.mean).map(|(v, m)| v - m)).collect();
        let scores = product(&centred, &self.weights, samples.len(), width, self.classes);
        let hits = scores.chunks_exact(self.classes).zip(samples).filter(|(row, i)| {
            let best = (0..self.classes).max_by(|&x, &y| {
                (f64::from(row[x]) + self.offsets[x]).total_cmp(&(f64::from(row[y]) + self.offsets[y]))
            });
            best == Some(of[**i] as usize)
        });
        hits.count() as f64 / samples.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_space_is_turned_back() {
        let (n, width) = (200, 6);
        let mut random = Random::from_parts(3, "a", 0);
        let classes: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
        let a: Vec<f32> = (0..n * width)
            .map(|i| (random.normal() + if (i / width) % 3 == i % width { 4.0 } else { 0.0 }) as f32)
            .collect();
        let mut basis: Vec<f32> = (0..width * width).map(|_| random.normal() as f32).collect();
        let q = wide(&basis, width, width).qr().compute_thin_Q();
        basis = (0..width * width).map(|i| q[(i / width, i % width)] as f32).collect();
        let b: Vec<f32> = product(&a, &basis, n, width, width).iter().map(|v| v + 1.0).collect();
        let found = align((&a, width), (&b, width), Some(("class", &classes, 3)), 1).unwrap();
        assert!(found.after > 0.999 && found.before.unwrap() < 0.5, "{} {:?}", found.after, found.before);
        let head = found.head.unwrap();
        assert!(
            head.on_first > 0.9 && (head.after - head.on_first).abs() < 0.02 && head.before.unwrap() < 0.8,
            "{head:?}"
        );
        // Narrower: the map has orthonormal rows, and there is no before.
        let narrow: Vec<f32> = b.chunks_exact(width).flat_map(|row| row[..4].to_vec()).collect();
        let found = align((&a, width), (&narrow, 4), None, 1).unwrap();
        assert_eq!(found.map.len(), 4 * width);
        assert!(found.before.is_none() && found.after > 0.3);
        assert!(align((&a[..width], width), (&b[..width], width), None, 1).is_err());
    }
}
