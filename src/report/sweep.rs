//! The report of a sweep as a document: what was found in words, then tables and figures.

use super::document::{Block, Detail, Document, Example, Head, Row, Table};
use super::figures::sweep::{self, ENSEMBLES};
use super::scene::Pixels;
use super::style::Looks;
use super::tables;
use super::text::list;
use super::{Extras, ensembles, power, representations, tuning, words};
use crate::analysis::metrics::{METRICS, Metric};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::analysis::{Alone, Analysis, Estimate, Images, Run, Summary};

/// Reasons in the table above the runs, at most.
const REASONS: usize = 60;
/// Examples shown of each run, of few and of many runs.
const EXAMPLES: [usize; 2] = [16, 4];
/// Sweeps of more runs are "many".
const MANY: usize = 100;

/// Everything in reading order.
#[must_use]
pub fn document(analysis: &Analysis, extras: &Extras) -> Document {
    let images = extras.images.as_ref();
    let looks = Looks::of(analysis);
    let mut document = Document {
        title: analysis.source.name.clone(),
        headline: words::headline(analysis),
        details: details(analysis, images),
        glossary: words::glossary(),
        ..Document::default()
    };
    words::findings(analysis).into_iter().for_each(|words| document.text(words));
    let left_out = analysis.source.left_out.iter().map(|held| format!("Run {} was left out: {}.", held.run, held.why));
    document.blocks.extend(left_out.chain(analysis.notes.iter().cloned()).map(Block::Note));
    reasons(&mut document, analysis);
    document.heading("Runs");
    document.table(runs(analysis, &looks));
    document.text(
        "Churn: mean share of examples decided differently from another run. α, α relative, α̂: shares of a run's examples \
         to be trimmed (exact at δ, exact at the ensemble's own spread, and by the published bootstrap protocol with its \
         interval). KS and W₁: distances of the run's margins from those of the pooled others. Alone on: examples on which no \
         other run decides the same.",
    );
    document.heading("Summary");
    document.table(summary(&analysis.summary));
    tuning::section(&mut document, analysis);
    representations::section(&mut document, analysis, extras.represented.as_ref());
    let (own, others): (Vec<_>, Vec<_>) = sweep::all(analysis).into_iter().partition(|figure| figure.id == ENSEMBLES);
    document.blocks.extend(others.into_iter().map(Block::Figure));
    ensembles::section(&mut document, analysis, own);
    let checkpoints = tables::checkpoints(analysis);
    if !checkpoints.is_empty() {
        document.heading("Checkpoints");
        document.table(Table::new("checkpoints", &tables::CHECKPOINT_COLUMNS, &[], checkpoints));
    }
    pairs(&mut document, analysis);
    document.heading("How this was made");
    let facts = extras.facts.iter().map(|fact| [fact.name.clone(), fact.value.clone()]);
    let rows = facts.chain(tables::facts(analysis)).map(Vec::from).collect();
    document.table(Table::new("", &["", ""], &[0, 1], rows));
    power::last_line(analysis).into_iter().for_each(|line| document.text(line));
    document
}

fn reasons(document: &mut Document, analysis: &Analysis) {
    let rows: Vec<Vec<String>> = analysis
        .runs
        .iter()
        .flat_map(|run| run.flags.iter().map(move |flag| (run.run, flag)))
        .map(|(run, flag)| vec![run.to_string(), format!("`{}`", flag.flag.name()), words::sentence(&flag.why)])
        .collect();
    if rows.is_empty() {
        return;
    }
    document.heading("Why these runs");
    let more = rows.len().saturating_sub(REASONS);
    let rows = rows.into_iter().take(REASONS).collect();
    document.table(Table::new("reasons", &["run", "flag", "reason"], &[1, 2], rows));
    if more > 0 {
        document.text(format!("{more} more reasons are in `runs.parquet`."));
    }
}

/// The table of runs: flags beside the number, so that a phone shows them.
fn runs(analysis: &Analysis, looks: &Looks) -> Table {
    let head = |name: &str, title: &str, key: &str| Head {
        name: name.to_owned(),
        title: title.to_owned(),
        key: key.to_owned(),
        words: false,
    };
    let mut heads = vec![
        head("run", "index of the run", "run"),
        Head { words: true, ..head("flags", "reasons for which the run is atypical", "flags") },
    ];
    heads.extend(tables::columns().map(|metric| head(metric.short, metric.meaning, metric.key)));
    heads.push(head("alone on", "examples on which no other run decides the same", "alone"));
    let original = |run: &Run| {
        let group = analysis.independence.groups.iter().find(|group| group.contains(&run.run))?;
        group.first().filter(|&&first| first != run.run).map(u32::to_string)
    };
    let row = |run: &Run| {
        let flags: Vec<String> = run.flags.iter().map(|flag| format!("`{}`", flag.flag.name())).collect();
        let alone = analysis.alone.iter().find(|held| held.run == run.run);
        let alone = alone.map_or_else(|| "–".to_owned(), |held| held.count.to_string());
        let cells = tables::columns().map(|metric| tables::cell(metric, run)).chain([alone]);
        Row {
            cells: [run.run.to_string(), flags.join(" ")].into_iter().chain(cells).collect(),
            key: run.run.to_string(),
            drawn: original(run),
            look: looks.flagged(run.run),
            marked: run.is_flagged(),
        }
    };
    Table {
        id: "runs",
        heads,
        rows: analysis.runs.iter().map(row).collect(),
        feet: totals(&analysis.summary),
        live: true,
    }
}

/// Mean and standard deviation below each column; nothing for a single run.
fn totals(summary: &Summary) -> Vec<Vec<String>> {
    let of = |name: &str, value: fn(&Estimate) -> Option<f64>| {
        let cell = |metric: &Metric| {
            let held = (metric.estimate)(summary);
            held.and_then(|estimate| value(&estimate)).map_or_else(String::new, metric.write)
        };
        let first = [name.to_owned(), String::new()].into_iter();
        first.chain(tables::columns().map(cell)).chain([String::new()]).collect()
    };
    if summary.accuracy.and_then(|accuracy| accuracy.std).is_none() {
        return Vec::new();
    }
    vec![of("mean", |estimate| Some(estimate.mean)), of("std", |estimate| estimate.std)]
}

fn summary(summary: &Summary) -> Table {
    let rows = METRICS.iter().filter_map(|metric| {
        let estimate = (metric.estimate)(summary)?;
        Some(vec![
            metric.short.to_owned(),
            (metric.write)(estimate.mean),
            or_dash(estimate.std, metric.write),
            words::range(&estimate, metric.write),
        ])
    });
    Table::new("summary", &["over the distinct runs", "mean", "std", "95 % interval of the mean"], &[0], rows.collect())
}

fn pairs(document: &mut Document, analysis: &Analysis) {
    let judged = |run: u32| words::judged(analysis).any(|held| held.run == run);
    let mut pairs: Vec<_> = analysis.pairs.iter().filter(|pair| judged(pair.a) && judged(pair.b)).collect();
    if pairs.len() < 3 {
        return;
    }
    pairs.sort_by(|x, y| x.churn.total_cmp(&y.churn));
    document.heading("Closest and farthest pairs");
    let ends = if pairs.len() > 6 { [&pairs[..3], &pairs[pairs.len() - 3..]].concat() } else { pairs };
    let rows = ends.iter().map(|pair| {
        vec![
            format!("{} and {}", pair.a, pair.b),
            percent(pair.churn),
            percent(pair.soft_churn),
            percent(pair.win),
            percent(pair.loss),
            or_dash(pair.cka, |cka| fixed(cka, 3)),
        ]
    });
    let heads = ["runs", "churn", "soft churn", "wrong → right", "right → wrong", "CKA"];
    document.table(Table::new("pairs", &heads, &[0], rows.collect()));
}

/// What the page says of each run that is picked.
fn details(analysis: &Analysis, images: Option<&Images>) -> Vec<Detail> {
    let shown = EXAMPLES[usize::from(analysis.runs.len() > MANY)];
    let detail = |run: &Run| {
        let flags: Vec<&str> = run.flags.iter().map(|flag| flag.flag.name()).collect();
        let title = if flags.is_empty() { String::new() } else { format!(" · {}", flags.join(", ")) };
        let mut paragraphs: Vec<String> =
            run.flags.iter().map(|flag| format!("`{}` {}", flag.flag.name(), words::sentence(&flag.why))).collect();
        if paragraphs.is_empty() {
            paragraphs.push("Not flagged: typical of this ensemble.".to_owned());
        }
        paragraphs.extend(neighbours(analysis, run.run));
        paragraphs.extend(worst_classes(analysis, run.run));
        let alone = analysis.alone.iter().find(|held| held.run == run.run);
        Detail {
            key: run.run.to_string(),
            title: format!("Run {}{title}", run.run),
            paragraphs,
            about: alone.map(|held| about(held, shown)).unwrap_or_default(),
            examples: alone.map(|held| examples(analysis, held, images, shown)).unwrap_or_default(),
        }
    };
    analysis.runs.iter().map(detail).collect()
}

/// Whom a run decides most and least alike; ties go to the lower run.
fn neighbours(analysis: &Analysis, run: u32) -> Option<String> {
    let mut others: Vec<(f64, u32)> = analysis
        .pairs
        .iter()
        .filter_map(|pair| match (pair.a == run, pair.b == run) {
            (true, _) => Some((pair.churn, pair.b)),
            (_, true) => Some((pair.churn, pair.a)),
            _ => None,
        })
        .collect();
    others.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
    let (&(near, nearest), &(far, _)) = (others.first()?, others.last()?);
    let farthest = others.iter().find(|other| other.0 == far)?.1;
    (others.len() > 1).then(|| {
        format!(
            "It decides most like run {nearest} ({} of the examples differently) and least like run {farthest} ({}).",
            percent(near),
            percent(far)
        )
    })
}

fn worst_classes(analysis: &Analysis, run: u32) -> Option<String> {
    let own = analysis.per_class.iter().find(|held| held.run == run)?;
    let mut worst: Vec<(u32, f64)> = (0..).zip(own.alpha.iter().copied()).filter(|&(_, alpha)| alpha > 0.0).collect();
    worst.sort_by(|x, y| y.1.total_cmp(&x.1));
    let named: Vec<String> = worst
        .iter()
        .take(3)
        .map(|&(class, alpha)| format!("{} {} %", words::class_name(analysis, class), fixed(alpha * 100.0, 1)))
        .collect();
    Some(if named.is_empty() {
        "One class against the rest: exact α is 0 for every class.".to_owned()
    } else {
        format!("One class against the rest, exact α: {}.", list(&named))
    })
}

fn about(alone: &Alone, shown: usize) -> String {
    if alone.count == 0 {
        return "It stands alone on no example: some other run always shares its decision.".to_owned();
    }
    let right = match (alone.count, alone.right) {
        (1, 0) => "which it has wrong".to_owned(),
        (1, _) => "which it has right".to_owned(),
        (_, 0) => "none of which it has right".to_owned(),
        (_, right) => format!("{} of which it has right", thousands(right)),
    };
    let held = alone.examples.len().min(shown);
    let which =
        if held < alone.count { format!("; these are the {held} on which it is surest") } else { String::new() };
    format!("On {}, {right}, no other run decides as it does{which}.", words::count(alone.count, "example"))
}

fn examples(analysis: &Analysis, alone: &Alone, images: Option<&Images>, shown: usize) -> Vec<Example> {
    let name =
        |class: u32| analysis.source.class_names.get(class as usize).cloned().unwrap_or_else(|| class.to_string());
    let example = |held: &crate::analysis::AloneExample| Example {
        pixels: images.and_then(|images| pixels(images, held.example)),
        right: held.decision == held.label,
        lines: vec![
            format!("{} {} %", name(held.decision), fixed(held.probability * 100.0, 0)),
            format!("others: {}", name(held.others)),
            format!("label: {}", name(held.label)),
            format!("example {}", held.example),
        ],
    };
    alone.examples.iter().take(shown).map(example).collect()
}

/// A picture with its channels side by side; of other numbers of channels than 1 and 3 the first.
fn pixels(images: &Images, example: usize) -> Option<Pixels> {
    let planes = images.pixels.get(&example)?;
    let [channels, height, width] = images.shape;
    let kept = if channels == 3 { 3 } else { 1 };
    let size = height * width;
    let bytes =
        (0..size).flat_map(|at| (0..kept).map(move |channel| planes.get(channel * size + at).copied().unwrap_or(0)));
    Some(Pixels { width, height, channels: kept, bytes: bytes.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Evidence, Fact, Input, RunLogits, Settings, analyze};

    /// The analysis of runs that decide so between two classes; all labels are 0.
    fn analysed<const N: usize>(decisions: &[[u32; N]], evidence: Evidence) -> Analysis {
        let runs = decisions.iter().zip(0..).map(|(row, index)| {
            let logits = row.iter().flat_map(|&class| if class == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
            RunLogits { index, logits: logits.collect() }
        });
        let input = Input::new(vec![0; N], 2, runs.collect()).unwrap();
        analyze(&input, evidence, Settings::default()).unwrap()
    }

    #[test]
    fn neighbours_are_the_ends_of_a_run_s_churn() {
        // Decisions of three runs on four examples: 0 and 1 differ on one, 0 and 2 on three, 1 and 2 on two.
        let analysis = analysed(&[[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1]], Evidence::default());
        let said = |run| neighbours(&analysis, run).unwrap();
        assert!(said(0).contains("most like run 1 (25.00 %") && said(0).contains("least like run 2 (75.00 %"));
        assert!(said(2).contains("most like run 1 (50.00 %"));
        assert_eq!(neighbours(&analysed(&[[0, 0, 0, 0], [0, 0, 0, 1]], Evidence::default()), 0), None);
    }

    #[test]
    fn a_repeated_run_names_its_original_and_hostile_names_stay_text() {
        let hostile = "<img src=x onerror=alert(1)></script>|`";
        let evidence = Evidence {
            name: hostile.to_owned(),
            class_names: vec![hostile.to_owned(), "-->".to_owned()],
            facts: vec![Fact { name: hostile.to_owned(), value: hostile.to_owned() }],
            notes: vec![hostile.to_owned()],
            ..Evidence::default()
        };
        let analysis = analysed(&[[0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]], evidence);
        let document = document(&analysis, &Extras::default());
        let table = document.tables().find(|table| table.live).unwrap();
        assert_eq!(table.rows[2].drawn.as_deref(), Some("0"));
        let text = super::super::page::page(&document).unwrap();
        assert!(!text.contains("<img src=x") && text.matches("</script>").count() == 1);
        assert!(!document.markdown(None).contains("<img"));
    }

    #[test]
    fn one_run_and_none_that_can_be_judged_have_a_report() {
        for decisions in [&[[0, 1, 0, 0]][..], &[[0, 1, 0, 0], [0, 1, 0, 0]]] {
            assert!(
                document(&analysed(decisions, Evidence::default()), &Extras::default())
                    .markdown(None)
                    .contains("75.00 %")
            );
        }
        let runs = (0..2).map(|index| RunLogits { index, logits: vec![f64::NAN; 4] }).collect();
        let input = Input::new(vec![0, 1], 2, runs).unwrap();
        let analysis = analyze(&input, Evidence::default(), Settings::default()).unwrap();
        assert!(document(&analysis, &Extras::default()).markdown(None).contains("There is nothing to judge."));
    }
}
