//! Showing how a sweep gets on: bars on a terminal, plain lines elsewhere. All of it goes to standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::unit::ProgressLine;
use crate::error::{plain, why};

/// How one attempt at a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    Complete,
    Failed(&'a [String]),
    /// It failed and will be tried again.
    Retried(&'a [String]),
    Interrupted,
    /// Somebody else trains it.
    Elsewhere,
}

/// Is told how a sweep gets on.
pub trait Observer {
    /// So many runs are to be made complete.
    fn begin(&mut self, runs: usize);
    /// A process has begun with a run; the first attempt is 1.
    fn started(&mut self, run: usize, attempt: u32);
    fn progress(&mut self, run: usize, progress: &ProgressLine);
    /// A run said something.
    fn message(&mut self, run: usize, text: &str);
    fn ended(&mut self, run: usize, how: Ended<'_>);
    /// Nothing more will come.
    fn end(&mut self);
}

/// Bars if standard error is a terminal, else lines; nothing if `quiet`.
#[must_use]
pub fn observer(quiet: bool) -> Box<dyn Observer> {
    if quiet {
        Box::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::new(MultiProgress::new()))
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _runs: usize) {}
    fn started(&mut self, _run: usize, _attempt: u32) {}
    fn progress(&mut self, _run: usize, _progress: &ProgressLine) {}
    fn message(&mut self, _run: usize, _text: &str) {}
    fn ended(&mut self, _run: usize, _how: Ended<'_>) {}
    fn end(&mut self) {}
}

/// How much of the work is done, and how long the rest will take at the pace so far.
#[derive(Debug)]
struct Tally {
    runs: usize,
    done: usize,
    /// Share of each run under way: when it was first reported, and now.
    under_way: BTreeMap<usize, (f64, f64)>,
    /// Work done by runs that have ended, in runs.
    worked: f64,
    since: Instant,
}

impl Tally {
    fn new(runs: usize) -> Self {
        Self { runs, done: 0, under_way: BTreeMap::new(), worked: 0.0, since: Instant::now() }
    }

    fn progress(&mut self, run: usize, share: f64) {
        self.under_way.entry(run).or_insert((share, share)).1 = share;
    }

    fn ended(&mut self, run: usize, how: Ended<'_>) {
        // A run that nobody reported on, such as one that was complete before, says nothing about the pace.
        if let Some((first, last)) = self.under_way.remove(&run) {
            self.worked += if how == Ended::Complete { 1.0 - first } else { last - first };
        }
        self.done += usize::from(matches!(how, Ended::Complete | Ended::Failed(_) | Ended::Interrupted));
    }

    /// Share of all runs that is done, 0 to 1.
    fn share(&self) -> f64 {
        let under_way: f64 = self.under_way.values().map(|(_, now)| now).sum();
        if self.runs == 0 { 1.0 } else { ((self.done as f64 + under_way) / self.runs as f64).clamp(0.0, 1.0) }
    }

    fn left(&self) -> Option<Duration> {
        let worked = self.worked + self.under_way.values().map(|(first, now)| now - first).sum::<f64>();
        let left = (1.0 - self.share()) * self.runs as f64;
        let seconds = self.since.elapsed().as_secs_f64() / worked * left;
        (worked > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }
}

/// `2 h 05 min`, `3 min`, `40 s`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        _ => {
            let minutes = seconds.div_ceil(60);
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

/// A line for everything that matters.
#[derive(Debug)]
pub struct Lines<W> {
    output: W,
    tally: Tally,
    /// When a run's progress was last shown.
    shown: BTreeMap<usize, Instant>,
}

/// How often the progress of a run is worth a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl<W: Write> Lines<W> {
    pub fn new(output: W) -> Self {
        Self { output, tally: Tally::new(0), shown: BTreeMap::new() }
    }

    fn line(&mut self, text: &str) {
        // ProgressLine that nobody can read must not end a sweep.
        let _ = writeln!(self.output, "{}", plain(text));
    }
}

impl<W: Write> Observer for Lines<W> {
    fn begin(&mut self, runs: usize) {
        self.tally = Tally::new(runs);
    }

    fn started(&mut self, run: usize, attempt: u32) {
        self.shown.insert(run, Instant::now());
        if attempt == 1 {
            self.line(&format!("run {run}: started"));
        } else {
            self.line(&format!("run {run}: started again, attempt {attempt}"));
        }
    }

    fn progress(&mut self, run: usize, progress: &ProgressLine) {
        self.tally.progress(run, progress.share());
        let now = Instant::now();
        if self.shown.get(&run).is_none_or(|at| now.duration_since(*at) >= LINE_EVERY) {
            self.shown.insert(run, now);
            let left =
                self.tally.left().map_or_else(String::new, |left| format!(", {} left for the sweep", human(left)));
            self.line(&format!("run {run}: {}{left}", progress.words()));
        }
    }

    fn message(&mut self, run: usize, text: &str) {
        self.line(&format!("run {run}: {text}"));
    }

    fn ended(&mut self, run: usize, how: Ended<'_>) {
        self.tally.ended(run, how);
        let (done, runs) = (self.tally.done, self.tally.runs);
        let text = match how {
            Ended::Complete => format!("run {run}: complete ({done} of {runs})"),
            Ended::Failed(errors) => format!("run {run}: failed: {}", why(errors)),
            Ended::Retried(errors) => format!("run {run}: failed, and will be tried again: {}", why(errors)),
            Ended::Interrupted => format!("run {run}: stopped"),
            Ended::Elsewhere => format!("run {run}: another process trains it; waiting"),
        };
        self.line(&text);
    }

    fn end(&mut self) {}
}

/// Parts of a bar.
const GRAIN: u64 = 1000;

/// A bar for each running run, and one for the sweep with the time left.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    sweep: ProgressBar,
    runs: BTreeMap<usize, ProgressBar>,
    tally: Tally,
}

impl Bars {
    #[must_use]
    pub fn new(screen: MultiProgress) -> Self {
        let sweep =
            screen.add(ProgressBar::new(GRAIN).with_style(style("{prefix:>8} [{bar:40}] {percent:>3} %  {msg}")));
        sweep.set_prefix("sweep");
        Self { screen, sweep, runs: BTreeMap::new(), tally: Tally::new(0) }
    }

    fn refresh(&self) {
        let left = self.tally.left().map_or_else(String::new, |left| format!(", {} left", human(left)));
        self.sweep.set_position(position(self.tally.share()));
        self.sweep.set_message(format!("{} of {} runs{left}", self.tally.done, self.tally.runs));
    }

    fn above(&self, text: &str) {
        // ProgressLine that nobody can read must not end a sweep.
        let _ = self.screen.println(plain(text));
    }
}

impl Observer for Bars {
    fn begin(&mut self, runs: usize) {
        self.tally = Tally::new(runs);
        self.sweep.enable_steady_tick(Duration::from_millis(500));
        self.refresh();
    }

    fn started(&mut self, run: usize, _attempt: u32) {
        let bar = self.screen.insert_before(&self.sweep, ProgressBar::new(GRAIN));
        bar.set_style(style("{prefix:>8} [{bar:40}] {percent:>3} %  {msg}"));
        bar.set_prefix(format!("run {run}"));
        self.runs.insert(run, bar);
    }

    fn progress(&mut self, run: usize, progress: &ProgressLine) {
        self.tally.progress(run, progress.share());
        if let Some(bar) = self.runs.get(&run) {
            bar.set_position(position(progress.share()));
            bar.set_message(progress.words());
        }
        self.refresh();
    }

    fn message(&mut self, run: usize, text: &str) {
        self.above(&format!("run {run}: {text}"));
    }

    fn ended(&mut self, run: usize, how: Ended<'_>) {
        self.tally.ended(run, how);
        if let Some(bar) = self.runs.remove(&run) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        match how {
            Ended::Failed(errors) => self.above(&format!("run {run}: failed: {}", why(errors))),
            Ended::Retried(errors) => {
                self.above(&format!("run {run}: failed, and will be tried again: {}", why(errors)))
            }
            Ended::Elsewhere => self.above(&format!("run {run}: another process trains it; waiting")),
            Ended::Complete | Ended::Interrupted => {}
        }
        self.refresh();
    }

    fn end(&mut self) {
        self.sweep.finish_and_clear();
    }
}

fn position(share: f64) -> u64 {
    (share * GRAIN as f64) as u64
}

fn style(template: &str) -> ProgressStyle {
    // The templates above are constant; one that indicatif refused would only look plainer.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// Keeps all that is drawn.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        /// What was drawn since the last look.
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn height(&self) -> u16 {
            20
        }
        fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tell(observer: &mut dyn Observer) {
        observer.begin(2);
        observer.started(0, 1);
        observer.started(1, 1);
        observer.progress(0, &ProgressLine { epoch: 1, epochs: 4, steps: 10, ..ProgressLine::default() });
        observer.message(1, "the disk is full");
        observer.ended(1, Ended::Retried(&["first".into(), "no space left".into()]));
        observer.started(1, 2);
        observer.ended(0, Ended::Complete);
    }

    #[test]
    fn lines_tell_the_story() {
        let mut output = Vec::new();
        let mut lines = Lines::new(&mut output);
        tell(&mut lines);
        lines.ended(1, Ended::Failed(&[]));
        lines.end();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(
            text,
            "run 0: started\nrun 1: started\nrun 1: the disk is full\n\
             run 1: failed, and will be tried again: no space left\nrun 1: started again, attempt 2\n\
             run 0: complete (1 of 2)\nrun 1: failed: it did not say why\n"
        );
    }

    #[test]
    fn bars_show_the_sweep_and_every_running_run() {
        let terminal = Screen::default();
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        let mut bars = Bars::new(screen);
        tell(&mut bars);
        let text = terminal.take();
        assert!(text.contains("run 1: the disk is full"), "{text}");
        assert!(text.contains("   run 0 ["), "{text}");
        for epoch in [2, 3] {
            std::thread::sleep(Duration::from_millis(100));
            bars.progress(1, &ProgressLine { epoch, epochs: 4, steps: 10, loss: Some(0.5), ..ProgressLine::default() });
        }
        let text = terminal.take();
        assert!(text.contains("   run 1 [") && text.contains("75 %  3 of 4 epochs, loss 0.500"), "{text}");
        assert!(!text.contains("   run 0 ["), "{text}");
        assert!(text.contains("sweep [") && text.contains("1 of 2 runs"), "{text}");
        bars.end();
    }

    #[test]
    fn time_left_follows_the_pace() {
        let mut tally = Tally::new(4);
        assert_eq!(tally.left(), None);
        tally.since = Instant::now() - Duration::from_secs(100);
        tally.ended(0, Ended::Complete);
        assert_eq!(tally.left(), None);
        tally.progress(1, 0.5);
        tally.ended(1, Ended::Complete);
        let left = tally.left().unwrap().as_secs();
        // Half a run took 100 s; two of four runs are left.
        assert!((400..=405).contains(&left), "{left}");
        assert_eq!(tally.share(), 0.5);
        tally.progress(2, 0.25);
        tally.progress(2, 0.75);
        let left = tally.left().unwrap().as_secs();
        assert!((125..=127).contains(&left), "{left}");
    }

    #[test]
    fn durations_are_readable() {
        let seconds = |seconds| human(Duration::from_secs(seconds));
        assert_eq!([seconds(0), seconds(59), seconds(61), seconds(7200)], ["0 s", "59 s", "2 min", "2 h 00 min"]);
    }
}
