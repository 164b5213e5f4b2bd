//! What was found, in sentences.

pub use super::text::{capital, list};
pub use crate::analysis::numbers::count;
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::analysis::{Analysis, Estimate, FlagKind, KernelRun, LayerRun, LayerSpectrum, Run, VARIES};
use crate::stats::outliers::FEWEST;

/// An interval of a share that is wider than this says that nothing can be said.
const WIDE: f64 = 0.5;
/// Runs named in a headline, and those whose reasons it gives, at most.
const NAMED: usize = 8;
const EXPLAINED: usize = 3;

/// The first sentences of a report: how many runs, how many of them count, which are atypical.
#[must_use]
pub fn headline(analysis: &Analysis) -> String {
    let found = &analysis.independence;
    let mut text = if found.runs == found.distinct {
        count(found.runs, "run")
    } else {
        format!("{}, {} distinct", count(found.runs, "run"), found.distinct)
    };
    let reasons = [repeats(analysis), diverged(analysis), left_out(analysis)];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if !reasons.is_empty() {
        text.push_str(&format!(" ({})", reasons.join("; ")));
    }
    text.push_str(". ");
    let flagged: Vec<&Run> = judged(analysis).filter(|run| run.is_flagged()).collect();
    let verdict = match flagged.as_slice() {
        _ if found.distinct == 0 => "There is nothing to judge.".to_owned(),
        [] if found.distinct == 1 => "A single run has nothing to be compared with.".to_owned(),
        [] if analysis.limits.is_none() => {
            format!(
                "None of them is atypical, as far as {} can show: outliers are judged from {FEWEST} runs on.",
                count(found.distinct, "run")
            )
        }
        [] => "None of them is atypical.".to_owned(),
        [one] => format!("{} is different: {}.", opening(one), reasons_of(one)),
        several => {
            let called = several.iter().take(NAMED).enumerate();
            let names: Vec<String> =
                called.map(|(at, run)| if at == 0 { opening(run) } else { run.called() }).collect();
            let more = several.len().saturating_sub(NAMED);
            let names = if more > 0 { [names, vec![count(more, "other")]].concat() } else { names };
            let each: Vec<String> =
                several.iter().take(EXPLAINED).map(|run| format!("{}: {}.", opening(run), reasons_of(run))).collect();
            format!("{} are different. {}", list(&names), each.join(" "))
        }
    };
    text.push_str(&verdict);
    text
}

/// How a run is called where a sentence begins; the name of a file stays as it is.
fn opening(run: &Run) -> String {
    run.name.clone().unwrap_or_else(|| capital(&run.called()))
}

/// The reasons of a run in one sentence, what a user of the network would notice first.
fn reasons_of(run: &Run) -> String {
    const FIRST: [FlagKind; 9] = [
        FlagKind::Diverged,
        FlagKind::Related,
        FlagKind::Accuracy,
        FlagKind::Class,
        FlagKind::Churn,
        FlagKind::Nll,
        FlagKind::Ece,
        FlagKind::Alpha,
        FlagKind::Kernel,
    ];
    let told = FIRST.iter().filter_map(|kind| run.flags.iter().find(|flag| flag.flag == *kind));
    let told: Vec<String> = told.take(2).map(|flag| flag.why.clone()).collect();
    told.join("; ")
}

/// Paragraphs on what the numbers mean, the most important first.
#[must_use]
pub fn findings(analysis: &Analysis) -> Vec<String> {
    let all = [
        accuracy(analysis),
        churn(analysis),
        levels(analysis),
        classes(analysis),
        calibration(analysis),
        kernels(analysis),
        weights(analysis),
    ];
    all.into_iter().flatten().collect()
}

/// Runs that were judged: finite, and not a repetition.
pub fn judged(analysis: &Analysis) -> impl Iterator<Item = &Run> {
    analysis.runs.iter().filter(|run| run.accuracy.is_some() && !run.has(FlagKind::Duplicate))
}

/// A fragment as a sentence.
#[must_use]
pub fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}

/// `97.12 % ± 0.35 %`
#[must_use]
pub fn with_spread(estimate: &Estimate, format: fn(f64) -> String) -> String {
    match estimate.std {
        Some(std) => format!("{} ± {}", format(estimate.mean), format(std)),
        None => format(estimate.mean),
    }
}

/// `97.1 % to 97.3 %`, the interval of the mean; a dash where there is none.
#[must_use]
pub fn range(estimate: &Estimate, format: fn(f64) -> String) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{} to {}", format(low), format(high)),
        _ => "–".to_owned(),
    }
}

fn numbers(runs: &[u32]) -> String {
    list(&runs.iter().map(u32::to_string).collect::<Vec<_>>())
}

fn runs_named(runs: &[u32]) -> String {
    format!("run{} {}", if runs.len() == 1 { "" } else { "s" }, numbers(runs))
}

fn repeats(analysis: &Analysis) -> Option<String> {
    let groups: Vec<String> = analysis
        .independence
        .groups
        .iter()
        .filter_map(|group| {
            let (first, copies) = group.split_first()?;
            let verb = if copies.len() == 1 { "repeats" } else { "repeat" };
            Some(format!("{} {verb} run {first} bit for bit", runs_named(copies)))
        })
        .collect();
    (!groups.is_empty()).then(|| format!("{}: their seeds were not independent", groups.join(", ")))
}

fn diverged(analysis: &Analysis) -> Option<String> {
    let runs: Vec<u32> = analysis.runs.iter().filter(|run| run.accuracy.is_none()).map(|run| run.run).collect();
    (!runs.is_empty()).then(|| format!("{} diverged", runs_named(&runs)))
}

fn left_out(analysis: &Analysis) -> Option<String> {
    let runs: Vec<u32> = analysis.source.left_out.iter().map(|held| held.run).collect();
    (!runs.is_empty()).then(|| {
        let verb = if runs.len() == 1 { "was" } else { "were" };
        format!("{} {verb} left out", runs_named(&runs))
    })
}

fn accuracy(analysis: &Analysis) -> Option<String> {
    let accuracy = analysis.summary.accuracy.as_ref()?;
    let examples = thousands(analysis.examples);
    let Some(spread) = analysis.spread.as_ref().filter(|_| accuracy.std.is_some()) else {
        return Some(format!("Accuracy is {} on {examples} test examples.", with_spread(accuracy, percent)));
    };
    let varied = analysis.source.facts.iter().find(|fact| fact.name == VARIES);
    let varied = varied.map_or_else(String::new, |fact| format!(" that differ in {}", fact.value));
    let of_all = format!(
        "{} (mean ± standard deviation over runs{varied}; 95 % interval of the mean: {})",
        with_spread(accuracy, percent),
        range(accuracy, percent)
    );
    let mut text = match &analysis.unflagged {
        Some(unflagged) => format!(
            "Accuracy is {} over the {} without a flag, and {of_all} over all. ",
            with_spread(&unflagged.accuracy, percent),
            count(unflagged.runs, "run")
        ),
        None => format!("Accuracy is {of_all}. "),
    };
    let Some(noise) = spread.noise_share else {
        text.push_str("All runs have the same accuracy: no spread to explain.");
        return Some(text);
    };
    let interval = spread.noise_share_low.zip(spread.noise_share_high);
    text.push_str(&match interval {
        Some((low, high)) if high - low > WIDE => format!(
            "How much of that spread only comes from the choice of {examples} test examples cannot be told from {}: between {} \
             and {} % of its variance.",
            count(analysis.independence.distinct, "run"),
            fixed(low * 100.0, 0),
            fixed(high * 100.0, 0)
        ),
        _ => {
            let ends = interval.map_or_else(String::new, |(low, high)| {
                format!(" (95 % interval: {} to {} %)", fixed(low * 100.0, 0), fixed(high * 100.0, 0))
            });
            format!(
                "{} % of the variance between runs{ends} only comes from the choice of {examples} test examples; ± {} would \
                 remain on an endless test set.",
                fixed(noise * 100.0, 0),
                percent(spread.std_distribution)
            )
        }
    });
    Some(text)
}

fn churn(analysis: &Analysis) -> Option<String> {
    let summary = &analysis.summary;
    let (churn, ambiguity, discrepancy) = (summary.churn.as_ref()?, summary.ambiguity?, summary.discrepancy?);
    let interval =
        if churn.low.is_some() { format!(" (95 % interval: {})", range(churn, percent)) } else { String::new() };
    let mut text = match analysis.unflagged.as_ref().and_then(|unflagged| unflagged.churn) {
        Some(unflagged) => format!(
            "Train again, and {} of the decisions change (two runs without a flag); {} over all runs{interval}.",
            percent(unflagged.mean),
            percent(churn.mean)
        ),
        None => format!("Train again, and {} of the decisions change{interval}.", percent(churn.mean)),
    };
    text.push_str(&format!(
        " On {} of the test examples the runs do not all agree; the run that departs most from the majority does so on {}.",
        percent(ambiguity),
        percent(discrepancy)
    ));
    if let Some(multiplicity) = &summary.multiplicity
        && let Some(ambiguity) = multiplicity.ambiguity_rarefied
    {
        text.push_str(&format!(
            " Of {} runs it would be {} (for comparison with sweeps of another size).",
            multiplicity.rarefied_to,
            percent(ambiguity)
        ));
    }
    if let Some(capacity) = &summary.rashomon {
        text.push_str(&format!(
            " The Rashomon capacity of an example is {} bits in the mean and {} bits for the most contested one.",
            significant(capacity.mean),
            significant(capacity.max)
        ));
    }
    Some(text)
}

fn levels(analysis: &Analysis) -> Option<String> {
    let (hat, relative) = (analysis.summary.alpha_hat.as_ref()?, analysis.delta_relative?);
    let (zero, all) = (judged(analysis).filter(|run| run.alpha == Some(0.0)).count(), judged(analysis).count());
    let spread = if relative > analysis.delta {
        format!("these runs themselves lie {} apart in the median (KS distance)", fixed(relative, 3))
    } else {
        "these runs lie closer together than this test set can resolve".to_owned()
    };
    let mut text = format!(
        "How sure the runs are of the right class: {zero} of {all} cannot be told from the others by this test set (exact α is 0). \
         By the published protocol {} of a run's test examples would have to be dropped in the mean to hide the difference (α̂). \
         For scale, {spread}. Both levels rise with the number of test examples, so compare them only at the same N = {} and ε = \
         {}.",
        percent(hat.mean),
        thousands(analysis.examples),
        analysis.epsilon,
    );
    // Where a level sees everything and the other nothing, one of them is blind; the grid of α̂ ends at 0.45.
    let opposed: Vec<&Run> =
        judged(analysis).filter(|run| run.alpha == Some(0.0) && run.alpha_hat.is_some_and(|hat| hat >= 0.45)).collect();
    if let Some(run) = opposed.first() {
        text.push_str(&format!(
            " The two contradict each other for {} of the runs ({}: α̂ {}, exact α 0 %).",
            opposed.len(),
            run.called(),
            or_dash(run.alpha_hat, |hat| if hat >= 0.5 { "≥ 50 %".to_owned() } else { percent(hat) })
        ));
        text.push_str(if analysis.settings.analysis.literal {
            " Trust the exact α: `analysis.literal` interpolates the reference, which is blind where many margins are equal, as \
             after `clip`; without it α̂ compares before and after such a jump."
        } else {
            " α̂ sees half of the examples at a time and gives up at 50 %: trust the exact α."
        });
    }
    Some(text)
}

/// The runs that miss a class; silent where none is flagged.
fn classes(analysis: &Analysis) -> Option<String> {
    let missing: Vec<String> = judged(analysis)
        .filter_map(|run| run.flags.iter().find(|flag| flag.flag == FlagKind::Class).map(|flag| (run, flag)))
        .enumerate()
        .map(|(at, (run, flag))| {
            format!("{} misses a class: {}", if at == 0 { opening(run) } else { run.called() }, flag.why)
        })
        .collect();
    (!missing.is_empty()).then(|| format!("{}.", missing.join("; ")))
}

/// `class 3 (cat)`, or `class 3` where classes have no names.
#[must_use]
pub fn class_name(analysis: &Analysis, class: u32) -> String {
    match analysis.source.class_names.get(class as usize) {
        Some(name) if *name != class.to_string() => format!("class {class} ({name})"),
        _ => format!("class {class}"),
    }
}

fn calibration(analysis: &Analysis) -> Option<String> {
    let (ece, nll) = (analysis.summary.ece.as_ref()?, analysis.summary.nll.as_ref()?);
    let of = |value: fn(&Run) -> Option<f64>| {
        let values: Vec<f64> = judged(analysis).filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let (all, bad) =
        (judged(analysis).count(), judged(analysis).filter(|run| run.ece_p.is_some_and(|p| p <= 0.05)).count());
    let beside = of(|run| run.ece_calibrated).map_or_else(String::new, |calibrated| {
        let verdict = match bad {
            0 => "no run is badly calibrated".to_owned(),
            bad if bad == all => "every run is badly calibrated, by more than chance".to_owned(),
            bad => format!("{bad} of {all} runs are badly calibrated, by more than chance"),
        };
        format!(" A perfectly calibrated network would score {} on this test set: {verdict}.", percent(calibrated))
    });
    Some(format!(
        "Stated probabilities are off by {} in the mean (calibration error, ECE).{beside} The loss is {} nats.",
        with_spread(ece, percent),
        with_spread(nll, significant)
    ))
}

/// What training did to the weight matrices.
fn weights(analysis: &Analysis) -> Option<String> {
    let (first, last) = (analysis.weight_spectra.first()?, analysis.weight_spectra.last()?);
    if first.epoch == last.epoch {
        return None;
    }
    let mean = |layer: &LayerSpectrum, value: fn(&LayerRun) -> f64| {
        layer.runs.iter().map(value).sum::<f64>() / layer.runs.len().max(1) as f64
    };
    let growth = |after: &LayerSpectrum| {
        let before = first.layers.iter().find(|layer| layer.layer == after.layer)?;
        Some((before, mean(after, |run| run.norm) / mean(before, |run| run.norm)))
    };
    let grown = last.layers.iter().filter_map(|after| growth(after).map(|(before, times)| (before, after, times)));
    let (before, after, _) = grown.filter(|(.., times)| times.is_finite()).max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(
        format!(
            "Of the weight matrices, that of layer {} grew most: its largest singular value from {} at epoch {} to {} at epoch {}, its \
         stable rank (Σσ² / σ₁²) from {} to {} (means over the runs).",
            after.layer,
            significant(mean(before, |run| run.norm)),
            first.epoch,
            significant(mean(after, |run| run.norm)),
            last.epoch,
            significant(mean(before, |run| run.stable_rank)),
            significant(mean(after, |run| run.stable_rank)),
        ) + &learned(after),
    )
}

/// What training wrote into the weights of a layer.
fn learned(layer: &LayerSpectrum) -> String {
    let mean = |value: fn(&LayerRun) -> Option<f64>| {
        let values: Vec<f64> = layer.runs.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let risen = mean(|run| run.risen.map(|risen| risen as f64)).map_or_else(String::new, |risen| {
        format!(
            " {} of its {} singular values lie beyond the largest that it began with",
            fixed(risen, 1),
            layer.singular_values.median.len()
        )
    });
    let moved = mean(|run| run.moved)
        .map(|moved| format!("its weights moved by {} times their initial norm", significant(moved)));
    match (risen.is_empty(), moved) {
        (false, Some(moved)) => format!("{risen}, and {moved}."),
        (false, None) => format!("{risen}."),
        (true, Some(moved)) => format!(" {}.", capital(&moved)),
        (true, None) => String::new(),
    }
}

fn kernels(analysis: &Analysis) -> Option<String> {
    let (first, last) = (analysis.kernels.first()?, analysis.kernels.last()?);
    let at = |name: &str, place: usize| {
        let series = analysis.kernel_training.iter().find(|series| series.name == name)?;
        series.curves.band.median.get(place).copied().flatten()
    };
    let end = analysis.kernels.len() - 1;
    let mut text = format!("The empirical NTK on {} probe examples", last.probes);
    if end == 0 {
        text.push_str(&format!(
            " has an effective rank of {} and an alignment with the labels of {} (medians of the typical runs).",
            or_dash(at("effective_rank", 0), significant),
            or_dash(at("alignment", 0), |value| fixed(value, 2)),
        ));
    } else {
        text.push_str(&format!(
            " goes from an effective rank of {} at epoch {} to {} at epoch {}, and its alignment with the labels from {} to {} \
             (medians of the typical runs).",
            or_dash(at("effective_rank", 0), significant),
            first.epoch,
            or_dash(at("effective_rank", end), significant),
            last.epoch,
            or_dash(at("alignment", 0), |value| fixed(value, 2)),
            or_dash(at("alignment", end), |value| fixed(value, 2)),
        ));
    }
    if let Some(cka) = last.mean_cka {
        let change = match first.mean_cka.filter(|_| end > 0) {
            Some(before) => format!(", after {} at epoch {}", fixed(before, 3), first.epoch),
            None => String::new(),
        };
        text.push_str(&format!(
            " Kernels of two runs are aligned at {}{change} (CKA, 1 means the same geometry).",
            fixed(cka, 3)
        ));
    }
    let of_last = |value: fn(&KernelRun) -> Option<f64>| {
        let values: Vec<f64> = last.runs.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let risen = of_last(|run| run.risen.map(|risen| risen as f64));
    if let Some((risen, cosine)) = risen.zip(of_last(|run| run.label_cosine)).filter(|held| end > 0 && held.0 > 0.0) {
        text.push_str(&format!(
            " In {} directions the kernel now tells examples apart more than it did in any at epoch {}; their cosine to the classes is {} \
             (means over the runs).",
            fixed(risen, 1),
            first.epoch,
            fixed(cosine, 2)
        ));
    }
    // The run whose eigenvalues are distributed least like those of the others.
    let furthest = last.runs.iter().filter_map(|run| Some((run.run, run.spectrum_ks?, run.spectrum_alpha?)));
    if let Some((run, ks, alpha)) = furthest.max_by(|a, b| a.1.total_cmp(&b.1)) {
        text.push_str(&format!(
            " The eigenvalues of run {run} are furthest from those of the others: KS {}, α {}.",
            fixed(ks, 3),
            percent(alpha)
        ));
    }
    // One eigenvalue of many is nothing to a distribution; a z-score sees it.
    let odd = last.runs.iter().filter_map(|run| Some((run.run, run.top_score?)));
    let limit = analysis.limits.as_ref().map_or(f64::INFINITY, |limits| limits.score);
    if let Some((run, score)) = odd.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).filter(|held| held.1.abs() > limit) {
        text.push_str(&format!(
            " By the largest eigenvalues alone run {run} is furthest out (modified z-score {} among {}).",
            fixed(score, 1),
            count(last.runs.len(), "run")
        ));
    }
    if let Some(own) = at("cka_to_last", 0).filter(|_| end > 0) {
        text.push_str(&format!(
            " A run's own kernel at epoch {} is aligned at {} with its last: {}.",
            first.epoch,
            fixed(own, 3),
            if own < 0.9 { "training changed it, the networks learned features" } else { "training hardly changed it" }
        ));
    }
    Some(text)
}

/// Words of the report and what they mean, flag by flag with what to do.
#[must_use]
pub fn glossary() -> Vec<(String, String)> {
    [
        ("margin", "how far the decision lies from the boundary: the log-odds of the right class against all others; below 0 the decision is wrong"),
        ("churn", "share of test examples that two runs decide differently; what a user sees change when a network is trained again"),
        ("trimming level (α, α̂)", "share of a run's test examples that must be left out before its margins are distributed like those of the other runs; 0 means that the test set cannot tell it from them"),
        ("KS, W₁", "how far two distributions of margins lie apart: the largest gap between their curves, and the mean distance"),
        ("calibration (ECE)", "how far the probability that a network states lies from how often it is right"),
        ("NTK, CKA", "the empirical neural tangent kernel says which examples a network treats alike; CKA compares the kernels of two runs, 1 meaning the same geometry"),
        ("typical runs", "runs that are distinct and have no flag; the band in a figure holds 90 % of them"),
    ]
    .map(|(word, meaning)| (word.to_owned(), meaning.to_owned()))
    .into_iter()
    .chain(FlagKind::ALL.iter().map(|kind| (format!("`{}`", kind.name()), format!("{} {}", kind.meaning(), kind.advice()))))
    .collect()
}
