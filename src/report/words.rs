//! What was found, in sentences.

pub use super::text::{capital, list};
pub use crate::analysis::numbers::count;
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::analysis::{Analysis, Estimate, FlagKind, LayerRun, LayerSpectrum, Run};

/// The first sentences of a report: how many runs, how many of them count, which are atypical.
#[must_use]
pub fn headline(analysis: &Analysis) -> String {
    let found = &analysis.independence;
    let mut text = format!("{}, {} distinct", count(found.runs, "run"), found.distinct);
    let reasons = [repeats(analysis), diverged(analysis), left_out(analysis)];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if !reasons.is_empty() {
        text.push_str(&format!(" ({})", reasons.join("; ")));
    }
    text.push_str(". ");
    let flagged: Vec<&Run> = judged(analysis).filter(|run| run.is_flagged()).collect();
    text.push_str(&match flagged.len() {
        _ if found.distinct == 0 => "There is nothing to judge.".to_owned(),
        0 if found.distinct == 1 => "A single run has nothing to be compared with.".to_owned(),
        0 => "None of them is atypical.".to_owned(),
        1 => format!("One of the distinct runs is atypical: {}.", named(&flagged)),
        many => format!("{many} of the distinct runs are atypical: {}.", named(&flagged)),
    });
    text
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

fn named(flagged: &[&Run]) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = flagged
        .iter()
        .take(SHOWN)
        .map(|run| {
            let flags: Vec<&str> = run.flags.iter().map(|flag| flag.flag.name()).collect();
            format!("run {} ({})", run.run, flags.join(", "))
        })
        .collect();
    if flagged.len() > SHOWN {
        names.push(format!("{} more", flagged.len() - SHOWN));
    }
    list(&names)
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
    let mut text = format!("Accuracy is {}", with_spread(accuracy, percent));
    let (Some(_), Some(spread)) = (accuracy.std, &analysis.spread) else {
        return Some(format!("{text} on {} test examples.", thousands(analysis.examples)));
    };
    text.push_str(&format!(
        " (mean ± standard deviation over runs; 95 % interval of the mean: {}). ",
        range(accuracy, percent)
    ));
    let Some(noise) = spread.noise_share else {
        text.push_str("All runs have the same accuracy: no spread to explain.");
        return Some(text);
    };
    let verdict = match noise {
        noise if noise >= 0.995 => "all of the variance between runs is explained by this".to_owned(),
        noise => format!(
            "{} % of the variance between runs is explained by this, and ± {} would remain on an infinite test set",
            fixed(noise * 100.0, 0),
            percent(spread.std_distribution)
        ),
    };
    text.push_str(&format!(
        "A test set of {} examples is itself a sample: {verdict}. If runs erred independently on each example, the spread \
         would be ± {}.",
        thousands(analysis.examples),
        percent(spread.std_predicted_independent)
    ));
    Some(text)
}

fn churn(analysis: &Analysis) -> Option<String> {
    let summary = &analysis.summary;
    let (churn, ambiguity, discrepancy) = (summary.churn.as_ref()?, summary.ambiguity?, summary.discrepancy?);
    let capacity = summary.rashomon.as_ref().map_or_else(String::new, |capacity| {
        format!(
            " The Rashomon capacity of an example is {} bits in the mean and {} bits for the most contested one.",
            significant(capacity.mean),
            significant(capacity.max)
        )
    });
    Some(format!(
        "Two runs decide {} of the test examples differently in the mean (95 % interval: {}). On {} of the examples at \
         least one run departs from the plurality vote; the run that departs most does so on {}.{capacity}",
        percent(churn.mean),
        range(churn, percent),
        percent(ambiguity),
        percent(discrepancy)
    ))
}

fn levels(analysis: &Analysis) -> Option<String> {
    let (hat, relative) = (analysis.summary.alpha_hat.as_ref()?, analysis.delta_relative?);
    let zero = judged(analysis).filter(|run| run.alpha == Some(0.0)).count();
    let all = judged(analysis).count();
    let apart = if relative > analysis.delta {
        format!("whose runs lie {} apart in the median (KS distance)", fixed(relative, 3))
    } else {
        format!("whose runs lie closer together than this test set resolves (KS distance {})", fixed(relative, 3))
    };
    Some(format!(
        "α̂ is {} in the mean over the runs: that share of a run's test examples would have to be trimmed away before its \
         margins follow the distribution of the other runs'. Exact α is 0 for {zero} of {all} runs: the test set cannot tell \
         these from their siblings. Both tighten as the test set grows, so levels are comparable only at the same N = {} and ε = \
         {}. Whether a run is typical of this ensemble, {apart}, is what the relative level says.",
        percent(hat.mean),
        thousands(analysis.examples),
        analysis.epsilon,
    ))
}

fn classes(analysis: &Analysis) -> Option<String> {
    let worst =
        analysis.per_class.iter().filter(|held| judged(analysis).any(|run| run.run == held.run)).max_by(|a, b| {
            (a.worst_alpha, a.worst_ks).partial_cmp(&(b.worst_alpha, b.worst_ks)).unwrap_or(std::cmp::Ordering::Equal)
        })?;
    if worst.worst_alpha <= 0.0 {
        return Some(
            "Looked at one class against the rest, no run stands out on any class (exact α is 0 for all).".to_owned(),
        );
    }
    Some(format!(
        "Looked at one class against the rest, run {} differs most, on {}: exact α is {} there (KS distance {}).",
        worst.run,
        class_name(analysis, worst.worst_class),
        percent(worst.worst_alpha),
        fixed(worst.worst_ks, 3)
    ))
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
    let (ece, adaptive, nll) =
        (analysis.summary.ece.as_ref()?, analysis.summary.ece_adaptive.as_ref()?, analysis.summary.nll.as_ref()?);
    Some(format!(
        "Probabilities are off by {} in the mean (expected calibration error, 15 equal-width bins; {} with bins of equal \
         mass); the negative log-likelihood is {} nats.",
        with_spread(ece, percent),
        with_spread(adaptive, percent),
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
    Some(format!(
        "Of the weight matrices, that of layer {} grew most: its largest singular value from {} at epoch {} to {} at epoch {}, its \
         stable rank (Σσ² / σ₁²) from {} to {} (means over the runs).",
        after.layer,
        significant(mean(before, |run| run.norm)),
        first.epoch,
        significant(mean(after, |run| run.norm)),
        last.epoch,
        significant(mean(before, |run| run.stable_rank)),
        significant(mean(after, |run| run.stable_rank)),
    ))
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
    // The run whose eigenvalues are distributed least like those of the others.
    let furthest = last.runs.iter().filter_map(|run| Some((run.run, run.spectrum_ks?, run.spectrum_alpha?)));
    if let Some((run, ks, alpha)) = furthest.max_by(|a, b| a.1.total_cmp(&b.1)) {
        text.push_str(&format!(
            " The eigenvalues of run {run} are furthest from those of the others: KS {}, α {}.",
            fixed(ks, 3),
            percent(alpha)
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
        ("`diverged`", "its outputs hold NaN or infinity: look at its loss, lower the learning rate, or clip gradients"),
        ("`duplicate`", "bit for bit another run: the seeds were not independent; nothing was measured twice"),
        ("`alpha`", "its margins are distributed unlike those of its siblings: look where it stands alone, and at its data and seed"),
        ("`accuracy` `nll` `ece` `churn`", "that quantity lies further from the other runs than healthy runs do: train the run again with another seed; if it stays, the procedure is unstable there"),
        ("`kernel`", "its kernel has another geometry than those of its siblings: it may decide alike here and fail elsewhere"),
    ]
    .map(|(word, meaning)| (word.to_owned(), meaning.to_owned()))
    .to_vec()
}
