//! Text for every output: escaping, lists and ranges in words, lines of a terminal.

/// Text of any origin without meaning in HTML, XML and their attributes; control characters become spaces.
#[must_use]
pub fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ if letter.is_control() => safe.push(' '),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Text of any origin without meaning in Markdown or HTML.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#') {
            safe.push('\\');
            safe.push(letter);
        } else {
            match letter {
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '&' => safe.push_str("&amp;"),
                _ if letter.is_control() => safe.push(' '),
                _ => safe.push(letter),
            }
        }
    }
    safe
}

/// Text of any origin in LaTeX; letters beyond ASCII stay, as XeLaTeX, LuaLaTeX and `inputenc` take them, but for those that
/// the fonts of pdfLaTeX lack.
#[must_use]
pub fn latex(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        // α followed by a combining hat.
        if letters.next_if_eq(&'\u{302}').is_some() {
            safe.push_str(if letter == 'α' { "$\\hat\\alpha$" } else { "$\\hat{}$" });
            continue;
        }
        match letter {
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                safe.push('\\');
                safe.push(letter);
            }
            'α' => safe.push_str("$\\alpha$"),
            'δ' => safe.push_str("$\\delta$"),
            'ε' => safe.push_str("$\\varepsilon$"),
            'λ' => safe.push_str("$\\lambda$"),
            'σ' => safe.push_str("$\\sigma$"),
            'Σ' => safe.push_str("$\\Sigma$"),
            '≥' => safe.push_str("$\\geq$"),
            '≤' => safe.push_str("$\\leq$"),
            '−' => safe.push_str("$-$"),
            '±' => safe.push_str("$\\pm$"),
            '→' => safe.push_str("$\\to$"),
            '–' => safe.push_str("--"),
            '₁' => safe.push_str("$_1$"),
            _ if letter.is_control() => safe.push(' '),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Applies `plain` to the text and `code` to what stands in backquotes.
#[must_use]
pub fn with_code(text: &str, plain: fn(&str) -> String, code: impl Fn(&str) -> String) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { code(part) } else { plain(part) }).collect()
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// `0–3, 7`: neighbours drawn together, in the order given; a dash for none.
#[must_use]
pub fn ranges(runs: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &run in runs {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(run) => *last = run,
            _ => parts.push((run, run)),
        }
    }
    let text = |&(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}–{last}"),
    };
    if parts.is_empty() { "–".to_owned() } else { parts.iter().map(text).collect::<Vec<_>>().join(", ") }
}

/// The text with its first letter in upper case.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Breaks a text at spaces into lines of at most `width` letters, but where one word is longer. A number stays with its unit:
/// no line begins with `%`.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split('\n') {
        let mut words: Vec<String> = Vec::new();
        for word in paragraph.split_whitespace() {
            match words.last_mut() {
                Some(last) if word.starts_with('%') => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => words.push(word.to_owned()),
            }
        }
        let mut line = String::new();
        for word in words {
            if !line.is_empty() && width_of(&line) + 1 + width_of(&word) > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Columns that a text takes in a terminal, near enough: a combining hat takes none.
#[must_use]
pub fn width_of(text: &str) -> usize {
    text.chars().filter(|letter| !('\u{300}'..='\u{36f}').contains(letter)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_stay_text() {
        assert_eq!(markdown("a|b_<i>*\n"), "a\\|b\\_&lt;i&gt;\\* ");
        assert_eq!(markup("a<b> & \"c'\u{7}"), "a&lt;b&gt; &amp; &quot;c&#39; ");
        assert_eq!(latex("50 % of a_b & α̂ ≥ −1"), "50 \\% of a\\_b \\& $\\hat\\alpha$ $\\geq$ $-$1");
        assert_eq!(with_code("flag `alpha_x` of a_b", markdown, |code| format!("`{code}`")), "flag `alpha_x` of a\\_b");
    }

    #[test]
    fn neighbours_are_drawn_together() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7]), "0–3, 7");
        assert_eq!(ranges(&[5, 6, 2]), "5, 6, 2");
        assert_eq!(ranges(&[]), "–");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn lines_break_at_words_and_keep_units() {
        assert_eq!(wrapped("accuracy is 97.12 % here", 17), "accuracy is\n97.12 % here");
        assert_eq!(wrapped("one-very-long-word x", 5), "one-very-long-word\nx");
        assert_eq!(wrapped("a\n\nb", 10), "a\n\nb");
    }
}
