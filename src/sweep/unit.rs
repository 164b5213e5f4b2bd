//! What the process of one run says to the process that started it: lines of JSON on its standard output.

use std::io::Write;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressLine {
    /// Epochs that are done.
    pub epoch: usize,
    pub epochs: usize,
    /// Steps that are done in the epoch under way.
    pub step: usize,
    pub steps: usize,
    /// Mean loss over the training examples in the last epoch that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Share of them that was classified correctly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

impl ProgressLine {
    /// Share of the training that is done, 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let within = if self.steps == 0 { 0.0 } else { self.step as f64 / self.steps as f64 };
        if self.epochs == 0 { 1.0 } else { ((self.epoch as f64 + within) / self.epochs as f64).clamp(0.0, 1.0) }
    }

    /// `3 of 20 epochs, loss 0.152, 95.3 % right`; what is not known yet is left out.
    #[must_use]
    pub fn words(&self) -> String {
        let loss = self.loss.map_or_else(String::new, |loss| format!(", loss {loss:.3}"));
        let right = self.accuracy.map_or_else(String::new, |share| format!(", {:.1} % right", 100.0 * share));
        format!("{} of {} epochs{loss}{right}", self.epoch, self.epochs)
    }

    /// Reads a line; `None` if it says something else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if line.starts_with('{') { serde_json::from_str(line).ok() } else { None }
    }
}

/// Tells the parent how far the run has come, but not more often than anyone looks.
#[derive(Debug)]
pub struct Reporter {
    every: Duration,
    last: Option<(Instant, usize)>,
}

impl Default for Reporter {
    fn default() -> Self {
        Self { every: Duration::from_millis(100), last: None }
    }
}

impl Reporter {
    /// Ten times a second, and at the last step of every epoch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a line to `output`, if it is time for one. That nobody reads it is no reason to stop: the parent's death is
    /// noticed by [`super::Stop`].
    pub fn report(&mut self, progress: ProgressLine, output: &mut dyn Write) {
        // The last step is told too: after it the run records, and is not expected to make another step.
        let ends = progress.step == progress.steps;
        let due = ends || self.last.is_none_or(|(at, epoch)| epoch != progress.epoch || at.elapsed() >= self.every);
        if due && let Ok(line) = serde_json::to_string(&progress) {
            let _ = writeln!(output, "{line}").and_then(|()| output.flush());
            self.last = Some((Instant::now(), progress.epoch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_over_the_line() {
        let progress = ProgressLine { epoch: 3, epochs: 20, step: 5, steps: 10, ..ProgressLine::default() };
        let mut output = Vec::new();
        let mut reporter = Reporter::new();
        reporter.report(progress, &mut output);
        reporter.report(ProgressLine { step: 6, ..progress }, &mut output);
        reporter.report(ProgressLine { epoch: 4, step: 0, ..progress }, &mut output);
        let text = String::from_utf8(output).unwrap();
        let lines: Vec<Option<ProgressLine>> = text.lines().map(ProgressLine::parse).collect();
        assert_eq!(lines, [Some(progress), Some(ProgressLine { epoch: 4, step: 0, ..progress })]);
        assert_eq!(text.lines().next(), Some(r#"{"epoch":3,"epochs":20,"step":5,"steps":10}"#));
        let told = ProgressLine { loss: Some(0.1524), accuracy: Some(0.953), ..progress };
        assert_eq!(ProgressLine::parse(&serde_json::to_string(&told).unwrap()), Some(told));
        assert_eq!(told.words(), "3 of 20 epochs, loss 0.152, 95.3 % right");
        assert_eq!(progress.words(), "3 of 20 epochs");
        for other in ["", "epoch 3", "{\"epoch\":3}", "{\"epoch\":-1,\"epochs\":2,\"step\":0,\"steps\":1}"] {
            assert_eq!(ProgressLine::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_share_stays_between_0_and_1() {
        let share =
            |epoch, epochs, step, steps| ProgressLine { epoch, epochs, step, steps, ..ProgressLine::default() }.share();
        assert_eq!(share(3, 20, 5, 10), 0.175);
        assert_eq!(share(0, 0, 0, 0), 1.0);
        assert_eq!(share(20, 20, 10, 10), 1.0);
    }
}
