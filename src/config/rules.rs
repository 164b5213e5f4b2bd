//! What the keys of an experiment must be to each other. Ranges of single keys stand with the keys.

use super::{Backend, Checkpoints, Experiment, Optimizer, Schedule, Stream};
use crate::keys::check::grouped;
use crate::keys::nearest::listed;
use crate::keys::problem::Problem;
use crate::model::zoo::{Architecture, HeadKey};

/// Everything that can be said without the data.
pub(super) fn problems(experiment: &Experiment) -> Vec<Problem> {
    let mut found = Vec::new();
    path(experiment, &mut found);
    checkpoints(experiment, &mut found);
    training(experiment, &mut found);
    if let Some(HeadKey::Hidden(_)) = experiment.model.start.head
        && !matches!(&experiment.model.architecture, Architecture::Cnn(cnn) if cnn.hidden.is_none())
    {
        let message = match experiment.model.architecture.kind() {
            "cnn" => "model.head and model.hidden both give widths of hidden layers; leave one out".to_owned(),
            kind => format!(
                "model.head takes \"keep\" or \"fresh\" for model.kind = \"{kind}\"; a list of widths belongs to cnn"
            ),
        };
        found.push(Problem::of(&["model.head"], message));
    }
    if let Some(key) = experiment.model.start.idle_key() {
        let message = format!("model.{key} has no effect without model.weights; name a file, or leave model.{key} out");
        found.push(Problem::of(&[&format!("model.{key}")], message));
    }
    levels(experiment, &mut found);
    found
}

fn path(experiment: &Experiment, found: &mut Vec<Problem>) {
    const KEYS: [&str; 2] = ["data.path", "data.dataset"];
    let data = &experiment.data;
    let set = data.dataset.set();
    let message = match (&data.path, set.folder, set.shape) {
        (Some(_), None, Some(_)) => {
            format!("data.path is given, but the data set {} is embedded in the program; leave data.path out", set.name)
        }
        (Some(_), ..) | (None, None, Some(_)) => return,
        (None, None, None) => format!("data.path is missing; the data set {} needs the path of its file", set.name),
        (None, Some(_), _) => {
            format!("data.path is missing; the data set {} needs the folder of its files", set.name)
        }
    };
    found.push(Problem::of(&KEYS, message));
}

fn checkpoints(experiment: &Experiment, found: &mut Vec<Problem>) {
    let Checkpoints::At(epochs) = &experiment.record.checkpoints else { return };
    let last = experiment.train.epochs;
    if let Some(late) = late(epochs, |epoch| epoch > last) {
        let message = format!(
            "record.checkpoints names {late}, but training ends after epoch {} (train.epochs)",
            grouped(last as u64)
        );
        found.push(Problem::of(&["record.checkpoints", "train.epochs"], message));
    }
}

/// `epoch 5` or `epochs 5 and 6`, those that are too late.
fn late(epochs: &[usize], too_late: impl Fn(usize) -> bool) -> Option<String> {
    const SHOWN: usize = 5;
    let late: Vec<String> = epochs.iter().filter(|epoch| too_late(**epoch)).map(usize::to_string).collect();
    match late.as_slice() {
        [] => None,
        [one] => Some(format!("epoch {one}")),
        some if some.len() <= SHOWN => Some(format!("epochs {}", listed(some.iter().map(String::as_str), "and"))),
        [first, ..] => Some(format!("{} epochs from {first} on", late.len())),
    }
}

fn levels(experiment: &Experiment, found: &mut Vec<Problem>) {
    const KEY: &str = "sweep.levels";
    let sweep = &experiment.sweep;
    for stream in Stream::ALL {
        let Some(levels) = sweep.levels.as_ref().and_then(|levels| levels.of(*stream)) else { continue };
        let name = stream.name();
        let message = if !sweep.vary.contains(stream) {
            format!(
                "sweep.levels.{name} is given, but sweep.vary does not name \"{name}\"; add it there, or leave the levels out"
            )
        } else if levels.len() < sweep.runs {
            format!(
                "sweep.levels.{name} has {} numbers, but there are {} runs (sweep.runs); give one for each run",
                grouped(levels.len() as u64),
                grouped(sweep.runs as u64)
            )
        } else {
            continue;
        };
        found.push(Problem::of(&[KEY, "sweep.vary", "sweep.runs"], message));
    }
}

fn training(experiment: &Experiment, found: &mut Vec<Problem>) {
    let train = &experiment.train;
    if let Optimizer::Sgd { momentum, nesterov: true, .. } = train.optimizer
        && momentum == 0.0
    {
        let message = "train.optimizer.nesterov needs a momentum above 0, but train.optimizer.momentum is 0";
        found.push(Problem::of(&["train.optimizer.nesterov", "train.optimizer.momentum"], message.to_owned()));
    }
    if let Schedule::Step { at, .. } = &train.schedule
        && let Some(late) = late(at, |epoch| epoch >= train.epochs)
    {
        let message = format!(
            "train.schedule.at names {late}, which has no effect: training ends after epoch {} (train.epochs)",
            grouped(train.epochs as u64)
        );
        found.push(Problem::of(&["train.schedule.at", "train.epochs"], message));
    }
}

/// Whether this program was built with the backend.
pub(super) fn backend(experiment: &Experiment) -> Option<Problem> {
    let feature = match experiment.train.backend {
        Backend::Flex => return None,
        Backend::Ndarray if cfg!(feature = "ndarray") => return None,
        Backend::Wgpu if cfg!(feature = "wgpu") => return None,
        Backend::Ndarray => "ndarray",
        Backend::Wgpu => "wgpu",
    };
    let message = format!(
        "train.backend is \"{feature}\", which this program was built without; build it with cargo build --release --features {feature}"
    );
    Some(Problem::of(&["train.backend"], message))
}
