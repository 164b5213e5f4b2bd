//! Linear assignment: which row goes with which column so that the similarities sum to the most.

/// The column of each row, all different, with the largest sum of `similarity` `[rows, columns]` (row-major, finite); needs
/// `rows` ≤ `columns`. Shortest augmenting paths with potentials (Jonker & Volgenant 1987), O(rows² · columns) at worst.
///
/// Where several assignments are equally good, the order of rows and columns decides: shuffle them first if that matters.
///
/// # Panics
/// If `rows` > `columns`, or `similarity` is not of that shape.
#[must_use]
pub fn assign(similarity: &[f64], rows: usize, columns: usize) -> Vec<usize> {
    assert!(rows <= columns && similarity.len() == rows * columns, "{rows} x {columns}: {}", similarity.len());
    const FREE: usize = usize::MAX;
    let cost = |row: usize, column: usize| -similarity[row * columns + column];
    let (mut of_row, mut of_column) = (vec![0.0f64; rows], vec![0.0f64; columns]);
    let mut taken_by = vec![FREE; columns];
    let (mut shortest, mut from, mut seen) = (vec![0.0f64; columns], vec![FREE; columns], vec![false; columns]);
    for start in 0..rows {
        shortest.fill(f64::INFINITY);
        from.fill(FREE);
        seen.fill(false);
        // Grow a tree of alternating paths from `start` until it reaches a free column.
        let (mut row, mut reached, mut last) = (start, 0.0, FREE);
        let free = loop {
            let (mut best, mut best_column) = (f64::INFINITY, FREE);
            for column in 0..columns {
                if seen[column] {
                    continue;
                }
                let through = reached + cost(row, column) - of_row[row] - of_column[column];
                if through < shortest[column] {
                    (shortest[column], from[column]) = (through, last);
                }
                if shortest[column] < best {
                    (best, best_column) = (shortest[column], column);
                }
            }
            (reached, last) = (best, best_column);
            seen[last] = true;
            match taken_by[last] {
                FREE => break last,
                next => row = next,
            }
        };
        of_row[start] += reached;
        for column in 0..columns {
            if seen[column] && column != free {
                let slack = reached - shortest[column];
                of_row[taken_by[column]] += slack;
                of_column[column] -= slack;
            }
        }
        // Flip the path.
        let mut column = free;
        while from[column] != FREE {
            let before = from[column];
            taken_by[column] = taken_by[before];
            column = before;
        }
        taken_by[column] = start;
    }
    let mut assigned = vec![0; rows];
    for (column, &row) in taken_by.iter().enumerate() {
        if row != FREE {
            assigned[row] = column;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use pathfinding::kuhn_munkres::kuhn_munkres;
    use pathfinding::matrix::Matrix;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // Greedy would take (0, 0) for 9 and then 1; the best is 8 + 7.
        assert_eq!(assign(&[9.0, 8.0, 7.0, 1.0], 2, 2), [1, 0]);
        assert_eq!(assign(&[0.0, 0.0, 5.0], 1, 3), [2]);
        assert!(assign(&[], 0, 4).is_empty());
    }

    proptest! {
        #[test]
        fn as_good_as_an_independent_program(rows in 1usize..9, more in 0usize..4, seed: u64) {
            let columns = rows + more;
            let mut stream = super::super::rng::Stream::new(seed, 0);
            let whole: Vec<i64> = (0..rows * columns).map(|_| i64::from(stream.below(50)) - 25).collect();
            let similarity: Vec<f64> = whole.iter().map(|&v| v as f64).collect();
            let ours = assign(&similarity, rows, columns);
            let total: i64 = ours.iter().enumerate().map(|(row, &column)| whole[row * columns + column]).sum();
            let (best, _) = kuhn_munkres(&Matrix::from_vec(rows, columns, whole).unwrap());
            prop_assert_eq!(total, best);
            let mut columns_used = ours.clone();
            columns_used.sort_unstable();
            columns_used.dedup();
            prop_assert_eq!(columns_used.len(), rows);
        }
    }
}
