//! Soft decisions of several runs in one table: a row for each run and example.

use polars::prelude::{DataFrame, DataType};

use crate::arrays::Values;
use crate::error::{Error, Result};
use crate::record::table;

/// What a table of several runs holds.
pub(super) struct RunsTable {
    /// `[N]`
    pub labels: Vec<u32>,
    /// C
    pub classes: usize,
    /// `[M, N, C]`, runs in ascending order of their numbers.
    pub values: Values,
}

impl RunsTable {
    /// Whether a table has a column that says which run a row is of.
    pub fn is_one(table: &DataFrame) -> bool {
        table.column("run").is_ok()
    }

    /// Columns `run` (a whole number), `label`, `z0` … and perhaps `example`: the same examples for each run, rows in any
    /// order; without `example`, the rows of a run are its examples in order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a run lacks an example or has one twice, labels of an example differ, or a column is missing.
    pub fn read(table: &DataFrame, place: &str) -> Result<Self> {
        let invalid = |what: String| Err(Error::Invalid(format!("{place} {what}")));
        let runs = table::u32s(table, "run", place)?;
        let given = table::u32s(table, "label", place)?;
        let mut numbers = runs.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let (rows, count) = (runs.len(), numbers.len().max(1));
        if rows == 0 || !rows.is_multiple_of(count) {
            return invalid(format!("holds {rows} rows of {count} runs, but each run needs a row for every example"));
        }
        let examples = rows / count;
        let numbered = table.column("example").is_ok().then(|| table::u32s(table, "example", place)).transpose()?;
        // Where each row goes in [M, N].
        let mut places = Vec::with_capacity(rows);
        let (mut taken, mut next) = (vec![false; rows], vec![0; count]);
        let mut labels = vec![None; examples];
        for (row, run) in runs.iter().enumerate() {
            let index = numbers.partition_point(|number| number < run);
            let example = match &numbered {
                Some(examples) => examples[row] as usize,
                None => next[index],
            };
            next[index] += 1;
            if example >= examples {
                return invalid(format!(
                    "has example {example} of run {run}, but {examples} rows a run are examples 0 to {}",
                    examples - 1
                ));
            }
            let slot = index * examples + example;
            if std::mem::replace(&mut taken[slot], true) {
                return invalid(format!("has example {example} of run {run} twice"));
            }
            let label = *labels[example].get_or_insert(given[row]);
            if label != given[row] {
                return invalid(format!(
                    "has the labels {label} and {} for example {example}: all runs must be recorded on the same examples",
                    given[row]
                ));
            }
            places.push(slot);
        }
        let classes = (0..).take_while(|class| table.column(&format!("z{class}")).is_ok()).count();
        if classes < 2 {
            return invalid(format!("has {classes} columns z0, z1, … of logits, and two are the least"));
        }
        let wide = |class| table.column(&format!("z{class}")).is_ok_and(|held| *held.dtype() == DataType::Float64);
        let values = if (0..classes).any(wide) {
            Values::F64(filled(&places, classes, |name| table::f64s(table, name, place))?)
        } else {
            Values::F32(filled(&places, classes, |name| table::f32s(table, name, place))?)
        };
        Ok(Self { labels: labels.into_iter().flatten().collect(), classes, values })
    }
}

/// The columns `z0` … as `[M, N, C]`.
fn filled<T: Copy + Default>(
    places: &[usize],
    classes: usize,
    column: impl Fn(&str) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let mut values = vec![T::default(); places.len() * classes];
    for class in 0..classes {
        for (&place, value) in places.iter().zip(column(&format!("z{class}"))?) {
            values[place * classes + class] = value;
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, NamedFrom, Series};

    fn read(columns: &[(&str, &[u32])]) -> Result<RunsTable> {
        let mut all: Vec<Column> =
            columns.iter().map(|(name, values)| Series::new((*name).into(), *values).into()).collect();
        let rows = columns[0].1.len();
        for class in 0..2 {
            let values: Vec<f32> = (0..rows).map(|row| (10 * row + class) as f32).collect();
            all.push(Series::new(format!("z{class}").into(), values).into());
        }
        let bytes = table::encode(all).unwrap();
        RunsTable::read(&table::decode(&bytes, "x").unwrap(), "x.parquet")
    }

    #[test]
    fn rows_in_any_order_find_their_place() {
        let found = read(&[("run", &[7, 2, 2, 7]), ("example", &[1, 0, 1, 0]), ("label", &[1, 0, 1, 0])]).unwrap();
        assert_eq!((found.labels, found.classes), (vec![0, 1], 2));
        assert_eq!(found.values, Values::F32(vec![10.0, 11.0, 20.0, 21.0, 30.0, 31.0, 0.0, 1.0]));
        let in_order = read(&[("run", &[0, 1, 0, 1]), ("label", &[1, 1, 0, 0])]).unwrap();
        assert_eq!(in_order.labels, [1, 0]);
        assert_eq!(in_order.values, Values::F32(vec![0.0, 1.0, 20.0, 21.0, 10.0, 11.0, 30.0, 31.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (columns, says) in [
            (vec![("run", &[0, 0, 1][..]), ("label", &[0, 1, 0])], "3 rows of 2 runs"),
            (
                vec![("run", &[0, 0, 1, 1][..]), ("example", &[0, 0, 0, 1]), ("label", &[0; 4])],
                "example 0 of run 0 twice",
            ),
            (vec![("run", &[0, 0, 1, 1][..]), ("example", &[0, 2, 0, 1]), ("label", &[0; 4])], "examples 0 to 1"),
            (vec![("run", &[0, 0, 1, 1][..]), ("label", &[0, 1, 0, 0])], "the labels 1 and 0 for example 1"),
        ] {
            let error = read(&columns).err().unwrap().to_string();
            assert!(error.starts_with("x.parquet ") && error.contains(says), "{error}");
        }
    }
}
