//! What an experiment must be to its data.

use super::Experiment;
use crate::keys::check::grouped;
use crate::keys::problem::Problem;

/// What a data set is, as far as an experiment can be wrong about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// How many classes the data set has, before `data.classes` chooses some of them.
    pub classes: usize,
    /// Training examples of the classes that are kept, before `data.train_limit`.
    pub train_len: usize,
    /// Evaluation examples of the classes that are kept, before `data.eval_limit`.
    pub eval_len: usize,
}

/// [`Facts`] as far as they are known; the lengths may be too large.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    shape: Option<[usize; 3]>,
    classes: Option<usize>,
    train_len: Option<usize>,
    eval_len: Option<usize>,
}

impl From<Facts> for Known {
    fn from(facts: Facts) -> Self {
        Self {
            shape: Some(facts.shape),
            classes: Some(facts.classes),
            train_len: Some(facts.train_len),
            eval_len: Some(facts.eval_len),
        }
    }
}

/// What is known of a published data set before it is read, so that mistakes show up together with all others.
pub(super) fn published(experiment: &Experiment) -> Known {
    let set = experiment.data.dataset.set();
    let lengths = set.lengths(experiment.data.classes.as_ref().map(Vec::len));
    Known {
        shape: set.shape,
        classes: set.shape.map(|_| set.classes.len()),
        train_len: lengths.map(|[train, _]| train),
        eval_len: lengths.map(|[_, eval]| eval),
    }
}

/// Everything about which the experiment is wrong, given what is known of the data.
pub(super) fn problems(experiment: &Experiment, known: &Known) -> Vec<Problem> {
    let mut found = Vec::new();
    classes(experiment, known, &mut found);
    limits(experiment, known, &mut found);
    probes(experiment, known, &mut found);
    if let Some(shape) = known.shape {
        augmentation(experiment, shape, &mut found);
        model(experiment, shape, known, &mut found);
    }
    found
}

/// How many classes are left to tell apart.
fn kept(experiment: &Experiment, known: &Known) -> Option<usize> {
    experiment.data.classes.as_ref().map(Vec::len).or(known.classes)
}

fn classes(experiment: &Experiment, known: &Known, found: &mut Vec<Problem>) {
    const KEYS: [&str; 2] = ["data.classes", "data.dataset"];
    let name = experiment.data.dataset.name();
    let Some(classes) = known.classes else { return };
    if classes < 2 {
        let message = format!("the data set {name} has {classes} of the 2 classes that a classifier needs at least");
        found.push(Problem::of(&KEYS, message));
        return;
    }
    for class in experiment.data.classes.iter().flatten().filter(|class| **class as usize >= classes) {
        let message =
            format!("data.classes names {class}, but the data set {name} has the classes 0 to {}", classes - 1);
        found.push(Problem::of(&KEYS, message));
    }
}

fn limits(experiment: &Experiment, known: &Known, found: &mut Vec<Problem>) {
    let data = &experiment.data;
    let limits = [
        ("data.train_limit", data.train_limit, known.train_len, "training"),
        ("data.eval_limit", data.eval_limit, known.eval_len, "evaluation"),
    ];
    for (key, limit, available, part) in limits {
        let Some(limit) = limit else { continue };
        let keys = [key, "data.classes", "data.dataset"];
        if let Some(available) = available.filter(|available| limit > *available) {
            let message = format!(
                "{key} is {}, but there are only {} {part} examples; leave it out to use them all",
                grouped(limit as u64),
                grouped(available as u64)
            );
            found.push(Problem::of(&keys, message));
        }
        if let Some(classes) = kept(experiment, known).filter(|classes| limit < *classes) {
            let message = format!("{key} is {limit}, fewer than the {classes} classes; each needs an example");
            found.push(Problem::of(&keys, message));
        }
    }
}

fn probes(experiment: &Experiment, known: &Known, found: &mut Vec<Problem>) {
    let Some(kernel) = &experiment.record.kernel else { return };
    let keys = ["record.kernel.probes", "data.eval_limit", "data.classes", "data.dataset"];
    let evaluated = [experiment.data.eval_limit, known.eval_len].into_iter().flatten().min();
    if let Some(evaluated) = evaluated.filter(|evaluated| kernel.probes > *evaluated) {
        let message = format!(
            "record.kernel.probes is {}, but the evaluation set has only {} examples",
            grouped(kernel.probes as u64),
            grouped(evaluated as u64)
        );
        found.push(Problem::of(&keys, message));
    }
    if let Some(classes) = kept(experiment, known).filter(|classes| kernel.probes < *classes) {
        let message =
            format!("record.kernel.probes is {}, fewer than the {classes} classes; each needs a probe", kernel.probes);
        found.push(Problem::of(&keys, message));
    }
}

fn augmentation(experiment: &Experiment, [_, height, width]: [usize; 3], found: &mut Vec<Problem>) {
    let augment = &experiment.data.augment;
    let side = height.min(width);
    // A reflection has one pixel less than the image: the edge itself is not repeated.
    if augment.crop > 0 && augment.crop >= side {
        let message = format!(
            "data.augment.crop is {}, but images of {height}x{width} can be padded by reflection by at most {} pixels",
            augment.crop,
            side.saturating_sub(1)
        );
        found.push(Problem::of(&["data.augment.crop", "data.dataset"], message));
    }
    if augment.cutout > side {
        let message = format!("data.augment.cutout is {}, larger than the images of {height}x{width}", augment.cutout);
        found.push(Problem::of(&["data.augment.cutout", "data.dataset"], message));
    }
}

fn model(experiment: &Experiment, shape: [usize; 3], known: &Known, found: &mut Vec<Problem>) {
    /// 4 GiB of weights.
    const MOST: usize = 1 << 30;
    let Some(classes) = kept(experiment, known) else { return };
    let plan = match experiment.plan(shape, classes) {
        Ok(plan) => plan,
        Err(error) => {
            let message = error.to_string();
            // A message that begins with a key is about that key.
            let key = message.split(' ').next().filter(|word| word.starts_with("model.") || word.starts_with("train."));
            let key = key.unwrap_or("model").to_owned();
            let message = if message.starts_with(&key) { message } else { format!("model: {message}") };
            return found.push(Problem::of(&[&key, "data.dataset"], message));
        }
    };
    if plan.parameters() > MOST {
        let message = format!(
            "the model has {:.1} billion parameters, more than the 1.07 billion that are supported; make it narrower",
            plan.parameters() as f64 / 1e9
        );
        found.push(Problem::of(&["model", "data.dataset"], message));
    }
}
