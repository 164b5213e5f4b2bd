//! Numbers as sentences and tables show them.

/// `0.9712` as `97.12 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", fixed(share * 100.0, 2))
}

/// `1 run`, `2 runs`, `3 classes`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let plural = if noun.ends_with('s') { "es" } else { "s" };
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}{plural}", thousands(number)) }
}

/// A missing number is a dash.
#[must_use]
pub fn or_dash<T>(value: Option<T>, format: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), format)
}

/// With so many decimals and a true minus; zero has none.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(size) if size.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0') => format!("−{size}"),
        Some(size) => size.to_owned(),
        None => text,
    }
}

/// Three significant digits, in a power of ten where that is shorter.
#[must_use]
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    let exponent = value.abs().log10().floor();
    if (-4.0..6.0).contains(&exponent) {
        // In range: exponent is between -4 and 5.
        let decimals = (2.0 - exponent).max(0.0) as usize;
        fixed(value, decimals)
    } else {
        format!("{}·10{}", fixed(value / 10f64.powf(exponent), 2), superscript(exponent as i32))
    }
}

/// An integer in raised digits.
#[must_use]
pub fn superscript(value: i32) -> String {
    value
        .to_string()
        .chars()
        .map(|digit| match digit {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            '9' => '⁹',
            _ => '⁰',
        })
        .collect()
}

/// The order of names as people count: stretches of digits by their value, so that `seed2` comes before `seed10`.
#[must_use]
pub fn as_people_count(a: &str, b: &str) -> std::cmp::Ordering {
    fn parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
        text.as_bytes().chunk_by(|x, y| x.is_ascii_digit() == y.is_ascii_digit()).scan(0, |at, part| {
            let from = *at;
            *at += part.len();
            // Stretches of ASCII digits begin and end between characters.
            let part = text.get(from..*at).unwrap_or_default();
            let number = part.trim_start_matches('0');
            Some(if part.starts_with(|c: char| c.is_ascii_digit()) { (number.len(), number) } else { (0, part) })
        })
    }
    parts(a).cmp(parts(b)).then_with(|| a.cmp(b))
}

/// `12345` as `12,345`.
#[must_use]
pub fn thousands(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_a_paper() {
        assert_eq!(percent(0.971_26), "97.13 %");
        assert_eq!(fixed(-0.0004, 2), "0.00");
        assert_eq!(fixed(-1.5, 1), "−1.5");
        assert_eq!(significant(0.034_56), "0.0346");
        assert_eq!(significant(12.345), "12.3");
        assert_eq!(significant(1.5e-7), "1.50·10⁻⁷");
        assert_eq!(significant(0.0), "0");
        assert_eq!(thousands(10_000_000), "10,000,000");
        assert_eq!(thousands(999), "999");
        assert_eq!(or_dash(None, percent), "–");
        let mut names = ["seed10", "seed2", "a1b", "seed1", "seed02", "seed", "ä3", "seed2b"];
        names.sort_by(|a, b| as_people_count(a, b));
        assert_eq!(names, ["a1b", "seed", "seed1", "seed02", "seed2", "seed2b", "seed10", "ä3"]);
    }
}
