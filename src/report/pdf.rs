//! A picture as one page of PDF 1.4 with Helvetica and Symbol, which every reader has; nothing is compressed, so that the same
//! picture gives the same bytes everywhere.

use std::fmt::Write;

use super::scene::{Align, Point, RIM, Scene, Shape, corners, letter_width, text_width};
use super::style::{Mark, Paint};

/// One page; `scale` is the length of a pixel in points (1/72 inch).
#[must_use]
pub fn page(scene: &Scene, title: &str, scale: f64) -> Vec<u8> {
    let mut images: Vec<Vec<u8>> = Vec::new();
    let mut levels: Vec<u32> = Vec::new();
    let content = content(scene, scale, &mut images, &mut levels);
    let states: String =
        levels.iter().map(|level| format!("/G{level} << /ca {a} /CA {a} >> ", a = f64::from(*level) / 100.0)).collect();
    const FIRST_IMAGE: usize = 8;
    let named: String = (0..images.len()).map(|place| format!("/I{place} {} 0 R ", FIRST_IMAGE + place)).collect();
    let font = |name: &str, encoding: &str| {
        format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name}{encoding} >>").into_bytes()
    };
    let mut objects: Vec<Vec<u8>> = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {:.2} {:.2}] /Contents 4 0 R /Resources << /Font << /H 5 0 R /B 6 0 R \
             /S 7 0 R >> /ExtGState << {states}>> /XObject << {named}>> >> >>",
            scene.width * scale,
            scene.height * scale
        )
        .into_bytes(),
        stream("", content.as_bytes()),
        font("Helvetica", " /Encoding /WinAnsiEncoding"),
        font("Helvetica-Bold", " /Encoding /WinAnsiEncoding"),
        font("Symbol", ""),
    ];
    objects.append(&mut images);
    let shown: String = title.chars().filter(|letter| letter.is_ascii() && !"()\\".contains(*letter)).collect();
    objects.push(format!("<< /Title ({shown}) /Creator (harness) >>").into_bytes());

    let mut file = b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut starts = Vec::new();
    for (place, object) in objects.iter().enumerate() {
        starts.push(file.len());
        file.extend(format!("{} 0 obj\n", place + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    let count = objects.len() + 1;
    let table: String = starts.iter().map(|start| format!("{start:010} 00000 n \n")).collect();
    file.extend(
        format!(
            "xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R /Info {} 0 R >>\nstartxref\n\
             {start}\n%%EOF\n",
            count - 1
        )
        .bytes(),
    );
    file
}

fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary}/Length {} >>\nstream\n", bytes.len()).into_bytes();
    object.extend(bytes);
    object.extend(b"\nendstream");
    object
}

/// Everything in pixels from the upper left corner: the page is turned over once, texts are turned back.
fn content(scene: &Scene, scale: f64, images: &mut Vec<Vec<u8>>, levels: &mut Vec<u32>) -> String {
    let mut out = format!("{scale:.5} 0 0 {:.5} 0 {:.3} cm\n1 J 1 j\n", -scale, scene.height * scale);
    for item in scene.items.iter().filter(|item| !item.hidden) {
        let level = (item.opacity.clamp(0.0, 1.0) * 100.0).round() as u32;
        if !levels.contains(&level) {
            levels.push(level);
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "/G{level} gs {} ", colour(item.paint));
        match &item.shape {
            Shape::Line { pieces, width, dash } => {
                let dash = dash.map_or_else(|| "[] 0 d".to_owned(), |(on, off)| format!("[{on} {off}] 0 d 0 J"));
                let _ = write!(out, "q {width:.2} w {dash} ");
                pieces.iter().for_each(|piece| path(&mut out, piece));
                out.push_str("S Q\n");
            }
            Shape::Area { corners } => {
                path(&mut out, corners);
                out.push_str("f\n");
            }
            Shape::Mark { at, mark, radius } => {
                if *radius >= RIM {
                    let _ = write!(out, "{} ", colour(Paint::Paper));
                    blob(&mut out, *at, *mark, radius + 1.0);
                    let _ = write!(out, "{} ", colour(item.paint));
                }
                blob(&mut out, *at, *mark, *radius);
            }
            Shape::Text { at, text, size, align, bold, upright } => {
                write_text(&mut out, *at, text, *size, *align, *bold, *upright);
            }
            Shape::Image { at, size, pixels } => {
                let space = if pixels.channels == 3 { "RGB" } else { "Gray" };
                let header = format!(
                    "/Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /Device{space} /BitsPerComponent 8 ",
                    pixels.width, pixels.height
                );
                let _ = writeln!(
                    out,
                    "q {:.2} 0 0 {:.2} {:.2} {:.2} cm /I{} Do Q",
                    size.0,
                    -size.1,
                    at.0,
                    at.1 + size.1,
                    images.len()
                );
                images.push(stream(&header, &pixels.bytes));
            }
        }
    }
    out
}

/// Colour of lines and areas.
fn colour(paint: Paint) -> String {
    let [red, green, blue] = paint.rgb().map(|part| f64::from(part) / 255.0);
    format!("{red:.3} {green:.3} {blue:.3} RG {red:.3} {green:.3} {blue:.3} rg")
}

fn path(out: &mut String, points: &[Point]) {
    for (place, (x, y)) in points.iter().enumerate() {
        let _ = write!(out, "{x:.2} {y:.2} {} ", if place == 0 { "m" } else { "l" });
    }
}

/// A filled mark; a disc is four Bézier curves.
fn blob(out: &mut String, (x, y): Point, mark: Mark, radius: f64) {
    if mark == Mark::Disc {
        /// 4/3·(√2 − 1)
        const ROUND: f64 = 0.552_284_75;
        let (r, k) = (radius, radius * ROUND);
        let _ = write!(out, "{:.2} {y:.2} m ", x + r);
        for (a, b, c) in [
            ((x + r, y + k), (x + k, y + r), (x, y + r)),
            ((x - k, y + r), (x - r, y + k), (x - r, y)),
            ((x - r, y - k), (x - k, y - r), (x, y - r)),
            ((x + k, y - r), (x + r, y - k), (x + r, y)),
        ] {
            let _ = write!(out, "{:.2} {:.2} {:.2} {:.2} {:.2} {:.2} c ", a.0, a.1, b.0, b.1, c.0, c.1);
        }
    } else {
        path(out, &corners((x, y), mark, radius));
    }
    out.push_str("f\n");
}

/// Letters beyond Latin come from the Symbol font; raised and lowered digits are small ones, a combining hat is drawn above.
fn write_text(out: &mut String, at: Point, text: &str, size: f64, align: Align, bold: bool, upright: bool) {
    let width = text_width(text, size);
    let shift = match align {
        Align::Start => 0.0,
        Align::Middle => -width / 2.0,
        Align::End => -width,
    };
    let down = 0.36 * size;
    let matrix = if upright { "0 -1 -1 0" } else { "1 0 0 -1" };
    let mut along = shift;
    let (mut last, mut run) = (0.0, String::new());
    let mut show = |font: &str, size: f64, letters: &str, along: f64, up: f64| {
        let (x, y) = if upright { (at.0 + down - up, at.1 - along) } else { (at.0 + along, at.1 + down - up) };
        let _ = writeln!(out, "BT /{font} {size:.2} Tf {matrix} {x:.2} {y:.2} Tm ({letters}) Tj ET");
    };
    let font = if bold { "B" } else { "H" };
    let mut start = along;
    for letter in text.chars() {
        let (code, own, small, up) = glyph(letter);
        if own == "H" && small == 1.0 {
            if run.is_empty() {
                start = along;
            }
            run.push_str(&code);
        } else {
            if !run.is_empty() {
                show(font, size, &std::mem::take(&mut run), start, 0.0);
            }
            match letter {
                // Centred above the letter before.
                '\u{302}' => show(font, size * 0.8, "^", along - last / 2.0 - 0.19 * size, 0.28 * size),
                _ => show(if own == "H" { font } else { own }, size * small, &code, along, up * size),
            }
        }
        last = letter_width(letter) * size;
        along += last;
    }
    if !run.is_empty() {
        show(font, size, &run, start, 0.0);
    }
}

/// A letter as a string of PDF: code, font, size over that of the text, and height above the line.
fn glyph(letter: char) -> (String, &'static str, f64, f64) {
    const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
    const LOWERED: &str = "₀₁₂₃₄₅₆₇₈₉";
    let digit = |place: usize| char::from(b'0' + place as u8).to_string();
    let octal = |byte: u8| format!("\\{byte:03o}");
    if let Some(place) = RAISED.chars().position(|other| other == letter) {
        return (digit(place), "H", 0.62, 0.38);
    }
    if let Some(place) = LOWERED.chars().position(|other| other == letter) {
        return (digit(place), "H", 0.62, -0.12);
    }
    let symbol = |code: &str| (code.to_owned(), "S", 1.0, 0.0);
    match letter {
        '(' | ')' | '\\' => (format!("\\{letter}"), "H", 1.0, 0.0),
        ' '..='~' => (letter.to_string(), "H", 1.0, 0.0),
        '\u{a0}'..='\u{ff}' => (octal(letter as u8), "H", 1.0, 0.0),
        '–' => (octal(150), "H", 1.0, 0.0),
        '—' => (octal(151), "H", 1.0, 0.0),
        '…' => (octal(133), "H", 1.0, 0.0),
        '’' => (octal(146), "H", 1.0, 0.0),
        '⁻' => ("\\055".to_owned(), "S", 0.62, 0.38),
        '−' => symbol("\\055"),
        'α' => symbol("a"),
        'β' => symbol("b"),
        'δ' => symbol("d"),
        'ε' => symbol("e"),
        'κ' => symbol("k"),
        'λ' => symbol("l"),
        'μ' => symbol("m"),
        'σ' => symbol("s"),
        'τ' => symbol("t"),
        'Σ' => symbol("S"),
        'Δ' => symbol("D"),
        '≤' => symbol("\\243"),
        '≥' => symbol("\\263"),
        '→' => symbol("\\256"),
        '√' => symbol("\\326"),
        '\u{302}' => (String::new(), "S", 1.0, 0.0),
        _ => ("?".to_owned(), "H", 1.0, 0.0),
    }
}
