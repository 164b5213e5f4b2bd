//! `soft.parquet`: the soft decisions of one run at one checkpoint.

use polars::prelude::*;

use super::table;
use crate::error::{Error, Result};

/// The logits of one run on the evaluation set at one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftDecisions {
    /// N
    pub examples: usize,
    /// C
    pub classes: usize,
    /// `[N]`, each below C.
    pub labels: Vec<u32>,
    /// `[N, C]`, row-major; not finite where a run diverged.
    pub logits: Vec<f32>,
}

impl SoftDecisions {
    /// Checks that the parts belong together.
    ///
    /// # Errors
    /// `Invalid` if there is no example, fewer than two classes, a label that is no class, or another number of logits
    /// than N·C.
    pub fn new(classes: usize, labels: Vec<u32>, logits: Vec<f32>) -> Result<Self> {
        let soft = Self { examples: labels.len(), classes, labels, logits };
        soft.check("the soft decisions")?;
        Ok(soft)
    }

    fn check(&self, what: &str) -> Result<()> {
        if self.examples == 0 || self.labels.len() != self.examples {
            return Err(Error::Invalid(format!(
                "{what} hold {} labels for {} examples",
                self.labels.len(),
                self.examples
            )));
        }
        if self.classes < 2 {
            return Err(Error::Invalid(format!("{what} have {} classes, and two are the least", self.classes)));
        }
        if self.examples.checked_mul(self.classes) != Some(self.logits.len()) {
            return Err(Error::Invalid(format!(
                "{what} hold {} logits where {} examples of {} classes need {}",
                self.logits.len(),
                self.examples,
                self.classes,
                self.examples.saturating_mul(self.classes)
            )));
        }
        match self.labels.iter().enumerate().find(|(_, label)| **label as usize >= self.classes) {
            Some((example, label)) => Err(Error::Invalid(format!(
                "{what}: the label of example {example} is {label}, and the classes are 0 to {}",
                self.classes - 1
            ))),
            None => Ok(()),
        }
    }

    /// The bytes of `soft.parquet`: columns `example` and `label` (u32), `z0` … `z{C-1}` (f32). The same decisions give
    /// the same bytes.
    ///
    /// # Errors
    /// As [`SoftDecisions::new`]; `Unexpected` if Polars refuses.
    pub fn encode(&self) -> Result<Vec<u8>> {
        self.check("the soft decisions")?;
        let last = u32::try_from(self.examples)
            .map_err(|_| Error::Invalid(format!("{} examples are more than can be recorded", self.examples)))?;
        let mut columns = vec![
            Column::new("example".into(), (0..last).collect::<Vec<u32>>()),
            Column::new("label".into(), self.labels.as_slice()),
        ];
        for class in 0..self.classes {
            let values: Vec<f32> = self.logits.iter().skip(class).step_by(self.classes).copied().collect();
            columns.push(Column::new(format!("z{class}").into(), values));
        }
        table::encode(columns)
    }

    /// Reads `soft.parquet`, or what another program wrote in its form: any integers for `label`, any numbers for
    /// `z0` …, and `example`, where there is one, a permutation of 0 to N − 1 that the rows are brought into the order of.
    /// `what` names the file in messages.
    ///
    /// # Errors
    /// `Invalid` for a file that is not Parquet, and for columns that are missing, have gaps or do not fit together.
    pub fn decode(bytes: &[u8], what: &str) -> Result<Self> {
        let table = table::decode(bytes, what)?;
        let (examples, classes) = (table.height(), logit_columns(&table, what)?);
        let labels = table::u32s(&table, "label", what)?;
        let order = order(&table, what)?;
        let mut logits = vec![0.0; examples * classes];
        for class in 0..classes {
            let column = table::f32s(&table, &format!("z{class}"), what)?;
            for (row, value) in order.iter().zip(column) {
                if let Some(place) = logits.get_mut(*row as usize * classes + class) {
                    *place = value;
                }
            }
        }
        let mut sorted = vec![0; examples];
        for (row, label) in order.iter().zip(labels) {
            if let Some(place) = sorted.get_mut(*row as usize) {
                *place = label;
            }
        }
        let soft = Self { examples, classes, labels: sorted, logits };
        soft.check(what)?;
        Ok(soft)
    }
}

/// How many columns `z0`, `z1` … there are; one that does not continue the count is refused.
fn logit_columns(table: &DataFrame, what: &str) -> Result<usize> {
    let is_logit = |name: &str| name.strip_prefix('z').is_some_and(|rest| rest.parse::<u32>().is_ok());
    let classes = table.get_column_names().iter().filter(|name| is_logit(name)).count();
    match (0..classes).map(|class| format!("z{class}")).find(|name| table.column(name).is_err()) {
        Some(name) => Err(Error::Invalid(format!("{what} has {classes} columns of logits, but no column {name:?}"))),
        None => Ok(classes),
    }
}

/// The example of each row.
fn order(table: &DataFrame, what: &str) -> Result<Vec<u32>> {
    let rows = u32::try_from(table.height())
        .map_err(|_| Error::Invalid(format!("{what} has {} rows, which is more than can be read", table.height())))?;
    if table.column("example").is_err() {
        return Ok((0..rows).collect());
    }
    let order = table::u32s(table, "example", what)?;
    let mut seen = vec![false; order.len()];
    for example in &order {
        match seen.get_mut(*example as usize) {
            Some(place) if !*place => *place = true,
            _ => {
                return Err(Error::Invalid(format!(
                    "column \"example\" of {what} must hold each of 0 to {} once, and {example} is amiss",
                    rows.saturating_sub(1)
                )));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> SoftDecisions {
        let logits = vec![1.5, -2.0, 0.25, f32::NAN, f32::NEG_INFINITY, 0.0, -0.0, 1e-40, 3.0, 4.0, 5.0, 6.0];
        SoftDecisions::new(3, vec![2, 0, 1, 1], logits).unwrap()
    }

    fn bits(soft: &SoftDecisions) -> Vec<u32> {
        soft.logits.iter().map(|value| value.to_bits()).collect()
    }

    fn refusal(columns: Vec<Column>) -> String {
        let error = SoftDecisions::decode(&table::encode(columns).unwrap(), "x.parquet").unwrap_err();
        assert_eq!(error.exit_code(), crate::error::exit::INVALID);
        error.to_string()
    }

    #[test]
    fn decisions_read_back_bit_by_bit() {
        let bytes = example().encode().unwrap();
        let read = SoftDecisions::decode(&bytes, "soft.parquet").unwrap();
        assert_eq!(bits(&read), bits(&example()));
        assert_eq!((read.examples, read.classes, read.labels.clone()), (4, 3, vec![2, 0, 1, 1]));
        assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn rows_of_others_are_brought_into_order() {
        let columns = vec![
            Column::new("z1".into(), [10.0_f64, 20.0, 30.0]),
            Column::new("z0".into(), [1.0_f64, 2.0, 3.0]),
            Column::new("example".into(), [2_i64, 0, 1]),
            Column::new("label".into(), [1_u8, 0, 1]),
        ];
        let read = SoftDecisions::decode(&table::encode(columns).unwrap(), "x.parquet").unwrap();
        assert_eq!(read.labels, [0, 1, 1]);
        assert_eq!(read.logits, [2.0, 20.0, 3.0, 30.0, 1.0, 10.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let z = |class: usize| Column::new(format!("z{class}").into(), [0.0_f32, 1.0]);
        let label = || Column::new("label".into(), [0_u32, 1]);
        let example = |values: [u32; 2]| Column::new("example".into(), values);
        assert!(refusal(vec![z(0), z(1)]).contains("\"label\""));
        assert!(refusal(vec![label(), z(0)]).contains("1 classes"));
        assert!(refusal(vec![label(), z(0), z(2)]).contains("\"z1\""));
        assert!(refusal(vec![Column::new("label".into(), [0_u32, 2]), z(0), z(1)]).contains("label of example 1 is 2"));
        assert!(refusal(vec![Column::new("label".into(), [0_i64, -1]), z(0), z(1)]).contains("\"label\""));
        assert!(refusal(vec![Column::new("label".into(), [0.0_f32, 1.0]), z(0), z(1)]).contains("whole numbers"));
        assert!(refusal(vec![Column::new("label".into(), ["a", "b"]), z(0), z(1)]).contains("not numbers"));
        assert!(refusal(vec![Column::new("label".into(), [Some(0_u32), None]), z(0), z(1)]).contains("1 gaps"));
        assert!(refusal(vec![label(), z(0), Column::new("z1".into(), [Some(0.5_f32), None])]).contains("1 gaps"));
        assert!(refusal(vec![example([0, 0]), label(), z(0), z(1)]).contains("example"));
        assert!(refusal(vec![example([0, 2]), label(), z(0), z(1)]).contains("example"));
        assert!(SoftDecisions::new(2, vec![0, 1], vec![0.0; 3]).is_err());
        assert!(SoftDecisions::new(usize::MAX, vec![0, 1], vec![0.0; 4]).is_err());
        assert!(SoftDecisions::new(2, Vec::new(), Vec::new()).is_err());
    }

    #[test]
    fn bytes_do_not_depend_on_who_writes() {
        let classes = 10;
        let labels: Vec<u32> = (0..20_000).map(|example| example % classes).collect();
        let logits: Vec<f32> = (0..20_000 * classes).map(|place| (place as f32).sin() * 9.0).collect();
        let soft = SoftDecisions::new(classes as usize, labels, logits).unwrap();
        let bytes = soft.encode().unwrap();
        let others: Vec<_> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| soft.encode().unwrap())).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert!(others.iter().all(|other| *other == bytes));
        assert!(bytes.len() < soft.logits.len() * 4 * 11 / 10 + 20_000 * 4, "{} bytes", bytes.len());
    }

    #[test]
    fn files_that_are_not_parquet_are_refused() {
        let whole = example().encode().unwrap();
        for bytes in
            [&b""[..], b"PAR1", b"PAR1PAR1", b"nonsense of some length", &whole[..whole.len() - 1], &whole[1..]]
        {
            let error = SoftDecisions::decode(bytes, "x.parquet").unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if text.contains("x.parquet")), "{error}");
        }
    }

    #[test]
    fn truncated_files_are_refused() {
        let bytes = example().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(matches!(SoftDecisions::decode(&bytes[..length], "cut"), Err(Error::Invalid(_))), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_decisions_read_back(classes in 2..6_usize, labels in prop::collection::vec(0..2_u32, 1..50), seed in any::<u32>()) {
            let bits = (0..labels.len() * classes).map(|place| (place as u32).wrapping_mul(2_654_435_761) ^ seed);
            let soft = SoftDecisions::new(classes, labels, bits.map(f32::from_bits).collect()).unwrap();
            let read = SoftDecisions::decode(&soft.encode().unwrap(), "soft.parquet").unwrap();
            prop_assert_eq!(super::tests::bits(&read), super::tests::bits(&soft));
            prop_assert_eq!(read.labels, soft.labels);
        }
    }
}
