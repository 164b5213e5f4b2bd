//! The results as Parquet tables beside `summary.json`: a row per run, per pair, per run and checkpoint, per
//! kernel, per ensemble.

use polars::prelude::*;

use super::ensembles;
use super::metrics::METRICS;
use super::schema::Analysis;
use crate::error::{Error, Result};
use crate::record::{files, table};

/// Writes `summary.json`, `runs.parquet` and `pairs.parquet` into `folder`, and `checkpoints.parquet`,
/// `kernels.parquet` and `ensembles.parquet` where there are any; what an earlier analysis left of these is replaced or removed. The same analysis
/// gives the same bytes.
///
/// # Errors
/// [`Error::Unexpected`] when the file system or Polars refuses.
pub fn write(analysis: &Analysis, folder: &std::path::Path) -> Result<()> {
    files::create_folder(folder)?;
    files::write(&folder.join("runs.parquet"), &table::encode(runs(analysis))?)?;
    files::write(&folder.join("pairs.parquet"), &table::encode(pairs(analysis))?)?;
    for (name, columns, empty) in [
        ("checkpoints.parquet", checkpoints(analysis), analysis.checkpoints.is_empty()),
        ("kernels.parquet", kernels(analysis), analysis.kernels.is_empty() && analysis.other_kernels.is_empty()),
        (
            "ensembles.parquet",
            analysis.ensembles.as_ref().map(ensembles::table::columns).unwrap_or_default(),
            analysis.ensembles.is_none(),
        ),
    ] {
        let path = folder.join(name);
        if empty {
            files::remove(&path)?;
        } else {
            files::write(&path, &table::encode(columns)?)?;
        }
    }
    files::write(&folder.join("summary.json"), json(analysis)?.as_bytes())
}

/// The analysis as JSON on one line.
///
/// # Errors
/// [`Error::Unexpected`] if it cannot be written as JSON.
pub fn json(analysis: &Analysis) -> Result<String> {
    let mut text = serde_json::to_string(analysis)
        .map_err(|cause| Error::Unexpected(format!("cannot write the analysis as JSON: {cause}")))?;
    text.push('\n');
    Ok(text)
}

fn whole<T>(name: &str, rows: &[T], value: impl Fn(&T) -> u32) -> Column {
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<u32>>())
}

fn number<T>(name: &str, rows: &[T], value: impl Fn(&T) -> Option<f64>) -> Column {
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<Option<f64>>>())
}

fn runs(analysis: &Analysis) -> Vec<Column> {
    let rows = &analysis.runs;
    let flags: Vec<String> =
        rows.iter().map(|run| run.flags.iter().map(|flag| flag.flag.name()).collect::<Vec<_>>().join(" ")).collect();
    let reasons: Vec<String> =
        rows.iter().map(|run| run.flags.iter().map(|flag| flag.why.as_str()).collect::<Vec<_>>().join("; ")).collect();
    let mut columns = vec![whole("run", rows, |run| run.run)];
    for metric in METRICS {
        columns.push(number(metric.key, rows, metric.of));
        columns.extend(metric.beside.iter().map(|(key, of)| number(key, rows, of)));
    }
    columns.extend([Column::new("flags".into(), flags), Column::new("reasons".into(), reasons)]);
    columns
}

fn pairs(analysis: &Analysis) -> Vec<Column> {
    let rows = &analysis.pairs;
    vec![
        whole("a", rows, |pair| pair.a),
        whole("b", rows, |pair| pair.b),
        number("churn", rows, |pair| Some(pair.churn)),
        number("soft_churn", rows, |pair| Some(pair.soft_churn)),
        number("win", rows, |pair| Some(pair.win)),
        number("loss", rows, |pair| Some(pair.loss)),
        number("cka", rows, |pair| pair.cka),
    ]
}

fn checkpoints(analysis: &Analysis) -> Vec<Column> {
    let rows: Vec<_> =
        analysis.checkpoints.iter().flat_map(|held| held.runs.iter().map(|run| (held.epoch, run))).collect();
    vec![
        whole("epoch", &rows, |row| row.0 as u32),
        whole("run", &rows, |row| row.1.run),
        number("accuracy", &rows, |row| row.1.accuracy),
        number("nll", &rows, |row| row.1.nll),
        number("ece", &rows, |row| row.1.ece),
        number("churn", &rows, |row| row.1.churn),
        number("alpha", &rows, |row| row.1.alpha),
        number("ks", &rows, |row| row.1.ks),
    ]
}

fn kernels(analysis: &Analysis) -> Vec<Column> {
    let all = analysis.kernels.iter().chain(&analysis.other_kernels);
    let rows: Vec<_> = all.flat_map(|held| held.runs.iter().map(move |run| (held.epoch, run, &held.kind))).collect();
    let eigenvalues: Vec<Series> =
        rows.iter().map(|(_, run, _)| Series::new(PlSmallStr::EMPTY, run.eigenvalues.as_slice())).collect();
    let kinds: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
    vec![
        whole("epoch", &rows, |row| row.0 as u32),
        whole("run", &rows, |row| row.1.run),
        number("effective_rank", &rows, |row| Some(row.1.effective_rank)),
        number("top_share", &rows, |row| Some(row.1.top_share)),
        number("alignment", &rows, |row| row.1.alignment),
        number("mean_cka", &rows, |row| row.1.mean_cka),
        number("cka_to_last", &rows, |row| row.1.cka_to_last),
        number("spectrum_ks", &rows, |row| row.1.spectrum_ks),
        number("spectrum_alpha", &rows, |row| row.1.spectrum_alpha),
        number("spectrum_wasserstein", &rows, |row| row.1.spectrum_wasserstein),
        number("top_score", &rows, |row| row.1.top_score),
        number("risen", &rows, |row| row.1.risen.map(|risen| risen as f64)),
        number("label_cosine", &rows, |row| row.1.label_cosine),
        Column::new("kind".into(), kinds),
        Column::new("eigenvalues".into(), eigenvalues),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{Evidence, Input, RunLogits, Settings, analyze};
    use super::*;

    #[test]
    fn tables_hold_what_the_summary_says() {
        let run = |index, logits: [f32; 6]| RunLogits { index, logits: logits.to_vec() };
        let runs =
            vec![run(0, [2.0, 0.0, 0.0, 1.0, 0.5, 1.5]), run(2, [1.0, 0.0, 0.3, 0.0, 0.5, 1.5]), run(4, [f32::NAN; 6])];
        let input = Input::new(vec![0, 1, 1], 2, runs).unwrap();
        let analysis = analyze(&input, Evidence::default(), Settings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(&analysis, folder.path()).unwrap();
        let read = |name: &str| table::decode(&std::fs::read(folder.path().join(name)).unwrap(), name).unwrap();
        let runs = read("runs.parquet");
        assert_eq!(table::u32s(&runs, "run", "runs").unwrap(), [0, 2, 4]);
        assert_eq!(runs.column("accuracy").unwrap().null_count(), 1);
        assert_eq!(runs.column("flags").unwrap().str().unwrap().get(2), Some("diverged"));
        let pairs = read("pairs.parquet");
        assert_eq!(table::f64s(&pairs, "churn", "pairs").unwrap(), [1.0 / 3.0]);
        assert!(!folder.path().join("kernels.parquet").exists());
        let text = std::fs::read_to_string(folder.path().join("summary.json")).unwrap();
        let back: Analysis = serde_json::from_str(&text).unwrap();
        // Reading decimals back may round their last bit, so what is compared is what has no decimals.
        assert_eq!(back.runs.iter().map(|run| run.run).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(back.runs[2].flags, analysis.runs[2].flags);
        assert_eq!((back.examples, back.pairs.len()), (3, 1));
    }
}
