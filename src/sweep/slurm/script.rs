//! The batch scripts: text that a person can read, change and submit by hand.

use std::fmt::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// What is asked of the cluster; `None` leaves it to the cluster's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    /// Limit of the wall time of one task, as Slurm writes it: `02:00:00`.
    pub time: Option<String>,
    /// `gpu:1`
    pub gres: Option<String>,
    /// Per task: `4G`.
    pub memory: Option<String>,
    /// Cores, and threads, for each task.
    pub cpus: usize,
    /// Tasks that may run at the same time.
    pub max_concurrent: Option<usize>,
    /// How many seconds before its time limit a task is asked to save its state. Slurm may ask up to a minute earlier.
    pub warning: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            time: None,
            gres: None,
            memory: None,
            cpus: 1,
            max_concurrent: None,
            warning: 120,
        }
    }
}

/// The script of one task of an array, which trains run `$1 + SLURM_ARRAY_TASK_ID`.
///
/// Asked to stop before the time limit, the task lets the run save its state and puts itself back into the queue, if
/// anything was gained; asked to terminate, by `scancel` or preemption, it saves and ends.
///
/// # Errors
/// `Usage` for an option or a path that cannot stand in a script.
pub fn train(name: &str, sweep: &Path, logs: &Path, program: &Path, options: &Options) -> Result<String> {
    if let Some(time) = &options.time {
        check_time(time, options.warning)?;
    }
    let mut text = head(name, logs, "%A_%a.log", options)?;
    directive(&mut text, "requeue", None)?;
    directive(&mut text, "signal", Some(&format!("B:USR1@{}", options.warning)))?;
    let (program, sweep) = (quoted_path(program)?, quoted_path(sweep)?);
    text.push_str(&format!(
        r#"
# Arguments: what to add to the task's number to get the index of the run (an array cannot count as far as a sweep).
set -u
index=$(( ${{1:-0}} + SLURM_ARRAY_TASK_ID ))
export RAYON_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-{cpus}}}"
export POLARS_MAX_THREADS="$RAYON_NUM_THREADS"

state={sweep}/runs/$(printf %04d "$index")/state
begun=$(date +%s)
{program} train-run --sweep {sweep} --index "$index" &
run=$!
why=
trap 'why=limit; kill -TERM "$run" 2>/dev/null' USR1
trap 'why=stop; kill -TERM "$run" 2>/dev/null' TERM INT

# A signal ends `wait` early; the run's own status is what counts.
wait "$run"
status=$?
while [ "$status" -gt 128 ] && kill -0 "$run" 2>/dev/null; do
    wait "$run"
    status=$?
done
if [ "$status" -gt 128 ]; then
    wait "$run" 2>/dev/null
    last=$?
    if [ "$last" -ne 127 ]; then status=$last; fi
fi

if [ "$status" -eq 75 ] && [ "$why" = limit ]; then
    # An epoch that is longer than the time limit would go round for ever.
    if [ "$(stat --format=%Y "$state" 2>/dev/null || echo 0)" -ge "$begun" ]; then
        # Not $SLURM_JOB_ID: in the last task of an array that is the number of the whole array.
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
    else
        echo "run $index saved nothing before its time was up: ask for more time" >&2
    fi
fi
exit "$status"
"#,
        cpus = options.cpus.max(1),
    ));
    Ok(text)
}

/// The script of the job that runs `commands` one after the other when all tasks have ended.
///
/// # Errors
/// `Usage` for an option or a path that cannot stand in a script.
pub fn analysis(name: &str, logs: &Path, commands: &[Vec<String>], options: &Options) -> Result<String> {
    // It needs neither a GPU nor the memory of a training.
    let options = Options { gres: None, memory: None, ..options.clone() };
    let mut text = head(&format!("{name}-analysis"), logs, "%j.log", &options)?;
    text.push_str("\nset -eu\n");
    text.push_str(
        "export RAYON_NUM_THREADS=\"${SLURM_CPUS_PER_TASK:-1}\"\nexport POLARS_MAX_THREADS=\"$RAYON_NUM_THREADS\"\n",
    );
    for command in commands {
        let words = command.iter().map(|word| quoted(word)).collect::<Result<Vec<_>>>()?;
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    Ok(text)
}

/// Slurm may ask a task to stop a minute too early, which must not be at its very beginning.
fn check_time(time: &str, warning: u32) -> Result<()> {
    let seconds = seconds(time).ok_or_else(|| {
        Error::Usage(format!(
            "{time:?} is no time limit: write it as minutes, hours:minutes:seconds or days-hours:minutes:seconds"
        ))
    })?;
    let least = u64::from(warning) + 120;
    if seconds < least {
        return Err(Error::Usage(format!(
            "a time limit of {time} leaves no time to train, since a run is asked to stop {warning} to {} seconds before: ask for at least {} minutes",
            warning.saturating_add(60),
            least.div_ceil(60)
        )));
    }
    Ok(())
}

/// The forms of `--time` that Slurm knows: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S.
fn seconds(time: &str) -> Option<u64> {
    let (days, rest) = match time.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, time),
    };
    let parts = rest.split(':').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (None, [minutes]) => (0, *minutes, 0),
        (None, [minutes, seconds]) => (0, *minutes, *seconds),
        (Some(_), [hours]) => (*hours, 0, 0),
        (Some(_), [hours, minutes]) => (*hours, *minutes, 0),
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let hours = days.unwrap_or_default().checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    minutes.checked_mul(60)?.checked_add(seconds)
}

fn head(name: &str, logs: &Path, log: &str, options: &Options) -> Result<String> {
    let mut text = String::from("#!/bin/bash\n");
    directive(&mut text, "job-name", Some(&format!("harness-{name}")))?;
    let logs = logs.to_str().filter(|logs| !logs.contains(['"', '\\', '\n'])).ok_or_else(|| {
        Error::Usage(format!("Slurm cannot write its logs to {}: choose a plainer path", logs.display()))
    })?;
    // Slurm would take a lone percent sign for a placeholder.
    text.push_str(&format!("#SBATCH --output=\"{}/{log}\"\n", logs.replace('%', "%%")));
    directive(&mut text, "open-mode", Some("append"))?;
    directive(&mut text, "ntasks", Some("1"))?;
    directive(&mut text, "cpus-per-task", Some(&options.cpus.max(1).to_string()))?;
    let given = [
        ("partition", &options.partition),
        ("account", &options.account),
        ("qos", &options.qos),
        ("time", &options.time),
        ("gres", &options.gres),
        ("mem", &options.memory),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            directive(&mut text, key, Some(value))?;
        }
    }
    Ok(text)
}

fn directive(text: &mut String, key: &str, value: Option<&str>) -> Result<()> {
    let plain = |value: &str| {
        !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,:;@=+/%[]()*".contains(c))
    };
    match value {
        None => writeln!(text, "#SBATCH --{key}"),
        Some(value) if plain(value) => writeln!(text, "#SBATCH --{key}={value}"),
        Some(value) => return Err(Error::Usage(format!("Slurm cannot be given {value:?} as --{key}"))),
    }
    .map_err(|cause| Error::Unexpected(format!("cannot write a batch script: {cause}")))
}

pub(super) fn quoted_path(path: &Path) -> Result<String> {
    path.to_str()
        .ok_or_else(|| Error::Usage(format!("{} is not text and cannot stand in a batch script", path.display())))
        .and_then(quoted)
}

/// As one word of the shell.
fn quoted(word: &str) -> Result<String> {
    if word.contains(['\0', '\n', '\r']) {
        return Err(Error::Usage(format!("{word:?} cannot stand in a batch script")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
    Ok(if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn all_options() -> Options {
        Options {
            partition: Some("long".into()),
            account: Some("physics".into()),
            qos: Some("low".into()),
            time: Some("1-02:00:00".into()),
            gres: Some("gpu:a100:1".into()),
            memory: Some("4G".into()),
            cpus: 4,
            max_concurrent: Some(8),
            warning: 90,
        }
    }

    fn is_valid_shell(text: &str) {
        let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success(), "{text}");
    }

    #[test]
    fn the_script_of_a_task() {
        let (sweep, logs) = (Path::new("/scratch/it's 5 %/cifar"), Path::new("/scratch/it's 5 %/cifar/slurm"));
        let text = train("cifar", sweep, logs, Path::new("/opt/bin/harness"), &all_options()).unwrap();
        is_valid_shell(&text);
        assert_eq!(text, include_str!("expected/task_with_all_options.sbatch"));
        let plain = Path::new("/sweeps/digits");
        let text =
            train("digits", plain, &plain.join("slurm"), Path::new("/bin/harness"), &Options::default()).unwrap();
        is_valid_shell(&text);
        assert_eq!(text, include_str!("expected/task_with_defaults.sbatch"));
    }

    #[test]
    fn the_script_of_the_analysis() {
        let commands = [
            vec!["/opt/bin/harness".into(), "analyze".into(), "/sweeps/my digits".into()],
            vec!["/opt/bin/harness".into(), "report".into(), "/sweeps/my digits".into()],
        ];
        let text = analysis("digits", Path::new("/sweeps/my digits/slurm"), &commands, &all_options()).unwrap();
        is_valid_shell(&text);
        assert_eq!(text, include_str!("expected/analysis.sbatch"));
    }

    #[test]
    fn a_time_limit_must_leave_time_to_train() {
        let cases =
            [("90", 5400), ("2:30", 150), ("1:00:00", 3600), ("1-2", 93_600), ("1-0:5", 86_700), ("0-1:2:3", 3723)];
        for (time, expected) in cases {
            assert_eq!(seconds(time), Some(expected), "{time}");
        }
        for bad in ["", "soon", "1:2:3:4", "1-", "-5", "UNLIMITED", "99999999999999999999"] {
            assert!(matches!(check_time(bad, 60), Err(Error::Usage(_))), "{bad}");
        }
        assert!(check_time("3", 60).is_ok());
        assert!(check_time("2:59", 60).unwrap_err().to_string().contains("at least 3 minutes"));
    }

    #[test]
    fn what_would_break_out_of_a_script_is_refused() {
        let paths = |options: &Options| train("x", Path::new("/s"), Path::new("/s/slurm"), Path::new("/h"), options);
        for bad in ["", "a b", "long\n#SBATCH --wrap=rm", "$(id)", "`id`", "\"", "'"] {
            let options = Options { partition: Some(bad.into()), ..Options::default() };
            let error = paths(&options).unwrap_err();
            assert!(matches!(&error, Error::Usage(text) if text.contains("--partition")), "{error}");
        }
        assert!(train("x", Path::new("/s\n"), Path::new("/l"), Path::new("/h"), &Options::default()).is_err());
        assert!(train("x", Path::new("/s"), Path::new("/l\""), Path::new("/h"), &Options::default()).is_err());
        assert_eq!(quoted("a'b $c").unwrap(), r"'a'\''b $c'");
    }
}
