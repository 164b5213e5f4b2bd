//! Takes out of a text what may differ between two machines or days.

/// Significant digits that are kept of numbers with a fractional part.
const DIGITS: usize = 5;

/// The text with times, versions, digests and temporary paths replaced, and numbers rounded.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        // What numbers, dates, digests and paths are made of.
        if c.is_ascii_alphanumeric() || "._/:+-".contains(c) {
            word.push(c);
        } else {
            out.push_str(&redact_word(&word));
            word.clear();
            out.push(c);
        }
    }
    out.push_str(&redact_word(&word));
    // Reports name the machine that they were written on.
    let lines = out
        .split_inclusive('\n')
        .map(|line| if line.starts_with("| machine |") { "| machine | [machine] |\n" } else { line });
    lines.collect()
}

fn redact_word(word: &str) -> String {
    if word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit()) {
        return "[digest]".to_owned();
    }
    if let Some(at) = word.find(&std::env::temp_dir().join(".tmp").display().to_string()) {
        let tail = word[at + 1..].split('/').skip(2).collect::<Vec<_>>().join("/");
        return format!("{}[folder]/{tail}", &word[..at]).trim_end_matches('/').to_owned();
    }
    if is_time(word) {
        return "[time]".to_owned();
    }
    if let Some(version) = word.strip_suffix(env!("CARGO_PKG_VERSION")) {
        return format!("{version}[version]");
    }
    // A sentence may end with a number.
    let body = word.trim_end_matches(['.', ':']);
    let (body, tail) = word.split_at(body.len());
    format!("{}{tail}", rounded(body))
}

/// `2026-01-31`, with or without a time of the day.
fn is_time(word: &str) -> bool {
    let b = word.as_bytes();
    let digits = |range: std::ops::Range<usize>| b.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    word.len() >= 10 && digits(0..4) && b[4] == b'-' && digits(5..7) && b[7] == b'-' && digits(8..10)
}

/// A number with a fractional part, rounded; anything else as it is.
fn rounded(word: &str) -> String {
    let fractional = word.contains('.') || word.contains('e');
    let plain = word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    match word.parse::<f64>() {
        Ok(number) if fractional && plain && word.len() > DIGITS + 1 => {
            let rounded: f64 = format!("{number:.*e}", DIGITS - 1).parse().expect("a number");
            format!("{rounded}")
        }
        _ => word.to_owned(),
    }
}

#[test]
fn what_varies_is_taken_out_and_nothing_else() {
    let temporary = std::env::temp_dir().join(".tmpAb12/a/report");
    let text = format!(
        "run 3 at 2026-11-24T08:28:25Z: 0.97312345 of 12 in {}, 1.5. 0.1234567891. {}; e-5 1.23456789e-7",
        temporary.display(),
        "0123456789abcdef".repeat(4)
    );
    assert_eq!(
        redact(&text),
        "run 3 at [time] 0.97312 of 12 in /[folder]/a/report, 1.5. 0.12346. [digest]; e-5 0.00000012346"
            .replace("in /[", "in [")
    );
}
