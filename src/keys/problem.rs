//! What is wrong with an experiment, each thing with its place, all of them in one message.

use std::path::Path;

use super::node::{Origin, shorten};
use crate::error::Error;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// Where; `None` until it is known which layer set the first of the keys.
    pub origin: Option<Origin>,
    /// The keys that are involved, the one to look at first.
    pub keys: Vec<String>,
    /// A sentence without its full stop.
    pub message: String,
}

impl Problem {
    /// A problem with the value at a place.
    pub fn at(origin: Origin, keys: Vec<String>, message: String) -> Self {
        Self { origin: Some(origin), keys, message }
    }

    /// A problem of the values of some keys, wherever they were set.
    pub fn of(keys: &[&str], message: String) -> Self {
        Self { origin: None, keys: keys.iter().map(|key| (*key).to_owned()).collect(), message }
    }

    fn render(&self, path: Option<&Path>) -> String {
        let place = match (&self.origin, path) {
            (Some(Origin::Line(line)), Some(path)) => format!("{}:{line}: ", path.display()),
            (Some(Origin::Line(line)), None) => format!("line {line}: "),
            (Some(Origin::Variable(name)), _) => format!("{name}: "),
            (Some(Origin::Argument(_, argument)), _) => format!("--set {}: ", shorten(argument)),
            (Some(Origin::Nowhere) | None, Some(path)) => format!("{}: ", path.display()),
            (Some(Origin::Nowhere) | None, None) => String::new(),
        };
        format!("{place}{}", self.message)
    }
}

/// All problems in one text, in the order of the file, then environment, then arguments.
pub(crate) fn render(mut problems: Vec<Problem>, path: Option<&Path>) -> String {
    const MOST: usize = 50;
    // Stable: problems of one place stay in the order in which they were found.
    problems.sort_by(|a, b| rank(a).cmp(rank(b)));
    let mut lines: Vec<String> = problems.iter().map(|problem| problem.render(path)).collect();
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("… and {more} more"));
    }
    lines.join("\n")
}

/// What is wrong with the whole is named last.
fn rank(problem: &Problem) -> &Origin {
    problem.origin.as_ref().unwrap_or(&Origin::Nowhere)
}

/// `Ok` without problems, otherwise one error that lists them.
pub(crate) fn verdict(problems: Vec<Problem>, path: Option<&Path>) -> crate::error::Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(render(problems, path))) }
}
