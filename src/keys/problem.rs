//! What is wrong with an experiment, each thing with its place, all of them in one message.

use std::path::{Path, PathBuf};

use super::node::{Origin, shorten};
use crate::error::{Error, exit};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where; `None` until it is known which layer set the first of the keys.
    pub origin: Option<Origin>,
    /// The keys that are involved, the one to look at first.
    pub keys: Vec<String>,
    /// A sentence without its full stop.
    pub message: String,
}

impl Problem {
    /// A problem with the value at a place.
    #[must_use]
    pub fn at(origin: Origin, keys: Vec<String>, message: String) -> Self {
        Self { origin: Some(origin), keys, message }
    }

    /// A problem of the values of some keys, wherever they were set.
    #[must_use]
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

/// Everything that is wrong with a file and what lies over it: in the order of the file, then environment, then arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Problems {
    /// Each thing that is wrong, at least one.
    pub list: Vec<Problem>,
    /// The file.
    pub path: Option<PathBuf>,
}

impl std::error::Error for Problems {}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MOST: usize = 50;
        let path = self.path.as_deref();
        let lines: Vec<String> = self.list.iter().take(MOST).map(|problem| problem.render(path)).collect();
        f.write_str(&lines.join("\n"))?;
        match self.list.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

/// What is wrong with the whole is named last.
fn rank(problem: &Problem) -> &Origin {
    problem.origin.as_ref().unwrap_or(&Origin::Nowhere)
}

/// `Ok` without problems, otherwise one error that lists them.
pub(crate) fn verdict(mut list: Vec<Problem>, path: Option<&Path>) -> crate::error::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    // Stable: problems of one place stay in the order in which they were found.
    list.sort_by(|a, b| rank(a).cmp(rank(b)));
    let problems = Problems { list, path: path.map(Path::to_owned) };
    Err(Error::caused(exit::INVALID, problems.to_string(), problems))
}
