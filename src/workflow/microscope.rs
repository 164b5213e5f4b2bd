//! What tells sets of embeddings apart? From files to a study, its pictures of samples and its maps.

use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;

use super::lineage::floats;
use crate::arrays::{self, file};
use crate::error::{Error, Result};
use crate::microscope::align::Alignment;
use crate::microscope::{Found, Label, Sets, Settings, study};
use crate::record::{Tensors, table};

/// The files of a study.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Embeddings, one file a set.
    pub sets: Vec<PathBuf>,
    /// What is known of the samples: a file for each set, or one for all where rows belong together.
    pub labels: Vec<PathBuf>,
    /// What the samples are called, in the same way.
    pub ids: Vec<PathBuf>,
    /// Whether row i of every set comes from the same source.
    pub pairs: bool,
}

/// Most values of a label.
const VALUES: usize = 1000;

/// Reads the sets.
///
/// # Errors
/// [`Error::Invalid`] for files that cannot be read or do not fit together, [`Error::Usage`] for another number of files of labels or ids than
/// sets.
pub fn read(files: &Files) -> Result<Sets> {
    let (mut names, mut sizes, mut rows, mut width) = (Vec::<String>::new(), Vec::new(), Vec::new(), None);
    for path in &files.sets {
        let (n, d, values) = embeddings(path)?;
        match width {
            None => width = Some(d),
            Some(first) if first != d => {
                return Err(Error::NotComparable(format!(
                    "{} holds embeddings of {d} numbers, {} of {first}: embeddings of one model are compared",
                    path.display(),
                    files.sets[0].display()
                )));
            }
            Some(_) => {}
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let same = names.iter().filter(|held| **held == stem || held.starts_with(&format!("{stem} ("))).count();
        names.push(if same == 0 { stem } else { format!("{stem} ({})", same + 1) });
        sizes.push(n);
        if rows.is_empty() {
            rows = values;
        } else {
            rows.extend(values);
        }
    }
    let spread = |paths: &[PathBuf], what: &str| -> Result<Vec<PathBuf>> {
        match paths.len() {
            0 => Ok(Vec::new()),
            1 if files.pairs => Ok(vec![paths[0].clone(); files.sets.len()]),
            n if n == files.sets.len() => Ok(paths.to_vec()),
            n => Err(Error::Usage(format!(
                "`--{what}` names {n} files, but there are {} sets: give one for each, in the same order",
                files.sets.len()
            ))),
        }
    };
    let mut labels: Vec<(String, Vec<String>)> = Vec::new();
    for (path, &n) in spread(&files.labels, "labels")?.iter().zip(&sizes) {
        let found = columns(path)?;
        for (name, values) in found {
            if values.len() != n {
                return Err(Error::Invalid(format!(
                    "{} holds {} values of `{name}`, but its set has {n} samples",
                    path.display(),
                    values.len()
                )));
            }
            match labels.iter_mut().find(|(held, _)| *held == name) {
                Some((_, held)) => held.extend(values),
                None => labels.push((name, values)),
            }
        }
    }
    let mut ids = Vec::new();
    for (path, &n) in spread(&files.ids, "ids")?.iter().zip(&sizes) {
        let found = columns(path)?.into_iter().next().map(|(_, values)| values).unwrap_or_default();
        if found.len() != n {
            return Err(Error::Invalid(format!(
                "{} holds {} ids, but its set has {n} samples",
                path.display(),
                found.len()
            )));
        }
        ids.extend(found);
    }
    let total: usize = sizes.iter().sum();
    if let Some((name, held)) = labels.iter().find(|(_, held)| held.len() != total) {
        return Err(Error::Invalid(format!(
            "label `{name}` is known of {} of {total} samples: every set's file needs the same columns",
            held.len()
        )));
    }
    let labels = labels.into_iter().map(|(name, values)| label(name, values)).collect::<Result<_>>()?;
    Sets { names, sizes, width: width.unwrap_or(0), rows, labels, ids, pairs: files.pairs }.checked()
}

fn label(name: String, held: Vec<String>) -> Result<Label> {
    let mut values = held.clone();
    values.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    values.dedup();
    if values.len() > VALUES {
        return Err(Error::Invalid(format!(
            "label `{name}` has {} different values: labels are topics, classes, languages, {VALUES} at most",
            values.len()
        )));
    }
    let number: std::collections::HashMap<&String, u32> =
        values.iter().enumerate().map(|(i, value)| (value, i as u32)).collect();
    let of = held.iter().map(|value| number.get(value).copied().unwrap_or(0)).collect();
    Ok(Label { name, values, of })
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Rows, width and values `[n, d]` of a file.
fn embeddings(path: &Path) -> Result<(usize, usize, Vec<f32>)> {
    let place = file::shown(path);
    let (shape, values) = match extension(path).as_str() {
        "npy" => arrays::read_npy_f32(path)?,
        "npz" => {
            let archive = arrays::open_npz(path)?;
            let found: Vec<String> = archive.names().map(str::to_owned).collect();
            let flat = found.iter().find(|name| archive.header(name).is_ok_and(|header| header.shape.len() == 2));
            let name = flat.ok_or_else(|| {
                Error::Invalid(format!("{place} holds no array of shape (n, d); it holds {}", found.join(", ")))
            })?;
            archive.get_f32(name)?
        }
        "safetensors" => {
            let bytes = file::bytes(path, "a safetensors file")?;
            let parsed = SafeTensors::deserialize(&bytes).map_err(|cause| {
                Error::Invalid(format!("{place} is not a sound safetensors file ({})", file::clean(&cause.to_string())))
            })?;
            let mut flat: Vec<_> = parsed.iter().filter(|(_, view)| view.shape().len() == 2).collect();
            flat.sort_by(|a, b| a.0.cmp(b.0));
            let Some((name, view)) = flat.first() else {
                return Err(Error::Invalid(format!("{place} holds no tensor of shape [n, d]")));
            };
            let values = floats(view.dtype(), view.data()).ok_or_else(|| {
                Error::Invalid(format!(
                    "tensor `{}` in {place} is of type {:?}, not of floating-point numbers",
                    file::clean(name),
                    view.dtype()
                ))
            })?;
            (view.shape().to_vec(), values)
        }
        "parquet" => {
            let bytes = file::bytes(path, "a Parquet file")?;
            let decoded = table::decode(&bytes, &place)?;
            let names: Vec<String> = decoded.get_column_names().iter().map(|name| name.to_string()).collect();
            let numeric: Vec<Vec<f64>> = names
                .iter()
                .filter(|name| decoded.column(name).is_ok_and(|column| column.dtype().is_primitive_numeric()))
                .map(|name| table::f64s(&decoded, name, &place))
                .collect::<Result<_>>()?;
            let (n, d) = (decoded.height(), numeric.len());
            let mut values = Vec::with_capacity(n * d);
            for row in 0..n {
                values.extend(numeric.iter().map(|column| column[row] as f32));
            }
            (vec![n, d], values)
        }
        _ => {
            return Err(Error::Invalid(format!(
                "{place} is none of .npy, .npz, .parquet and .safetensors, in which embeddings of shape (n, d) are read"
            )));
        }
    };
    match *shape.as_slice() {
        [n, d] if d > 0 => Ok((n, d, values)),
        _ => Err(Error::Invalid(format!(
            "{place} has shape {shape:?}, but embeddings are of shape (n, d), a row for each sample"
        ))),
    }
}

/// Named columns of texts: `.npy` (one column), `.npz` (an array each), `.parquet`, `.csv` with a header, or `.txt` with a value a line.
fn columns(path: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let place = file::shown(path);
    let texts = |array: arrays::Array| -> Result<Vec<String>> {
        if array.shape.len() != 1 {
            return Err(Error::Invalid(format!(
                "{place} has shape {:?}, but labels and ids are of shape (n,)",
                array.shape
            )));
        }
        Ok(match array.values {
            arrays::Values::U8(values) => values.iter().map(ToString::to_string).collect(),
            arrays::Values::I64(values) => values.iter().map(ToString::to_string).collect(),
            arrays::Values::F32(values) => values.iter().map(ToString::to_string).collect(),
            arrays::Values::F64(values) => values.iter().map(ToString::to_string).collect(),
        })
    };
    let text = || {
        String::from_utf8(file::bytes(path, "a file of text")?)
            .map_err(|cause| Error::Invalid(format!("cannot read {place} as text: {cause}")))
    };
    match extension(path).as_str() {
        "npy" => Ok(vec![("label".into(), texts(arrays::read_npy(path)?)?)]),
        "npz" => {
            let archive = arrays::open_npz(path)?;
            let names: Vec<String> = archive.names().map(str::to_owned).collect();
            names.into_iter().map(|name| Ok((name.clone(), texts(archive.get(&name)?)?))).collect()
        }
        "txt" => Ok(vec![("label".into(), text()?.lines().map(str::to_owned).collect())]),
        "csv" => csv(&text()?, &place),
        "parquet" => {
            let bytes = file::bytes(path, "a Parquet file")?;
            let decoded = table::decode(&bytes, &place)?;
            let names: Vec<String> = decoded.get_column_names().iter().map(|name| name.to_string()).collect();
            let column = |name: String| -> Result<(String, Vec<String>)> {
                let odd = || Error::Invalid(format!("column `{name}` of {place} cannot be read as labels"));
                let held = decoded.column(&name).map_err(|_| odd())?;
                let values: Vec<String> = (0..held.len())
                    .map(|row| {
                        held.get(row).map(|value| value.to_string().trim_matches('"').to_owned()).map_err(|_| odd())
                    })
                    .collect::<Result<_>>()?;
                Ok((name, values))
            };
            names.into_iter().map(column).collect()
        }
        _ => Err(Error::Invalid(format!(
            "{place} is none of .npy, .npz, .txt, .csv and .parquet, in which labels and ids are read"
        ))),
    }
}

/// Comma-separated values with a header; cells may stand in double quotes.
fn csv(text: &str, place: &str) -> Result<Vec<(String, Vec<String>)>> {
    let cells = |line: &str| {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                _ => cell.push(letter),
            }
        }
        cells.push(cell);
        cells
    };
    let mut lines = text.lines();
    let mut columns: Vec<(String, Vec<String>)> =
        cells(lines.next().unwrap_or_default()).into_iter().map(|name| (name, Vec::new())).collect();
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let row = cells(line);
        if row.len() != columns.len() {
            return Err(Error::Invalid(format!(
                "line {} of {place} has {} cells, but the header names {}",
                number + 2,
                row.len(),
                columns.len()
            )));
        }
        columns.iter_mut().zip(row).for_each(|((_, column), cell)| column.push(cell));
    }
    Ok(columns)
}

/// Looks at the sets, and with `map` writes the orthogonal maps onto the first set's space as safetensors: `map` `[d, d]`, `from` and `to` `[d]`
/// (a ≈ (b − from) · map + to); with three sets and more, under `NAME.map` and so on.
///
/// # Errors
/// As `study`; what the file system refuses.
pub fn microscope(sets: &Sets, settings: &Settings, map: Option<&Path>) -> Result<Found> {
    let (found, maps) = study(sets, settings)?;
    if let Some(path) = map {
        let bytes = encoded(&maps, sets)?;
        crate::record::files::write(path, &bytes)?;
    }
    Ok(found)
}

fn encoded(maps: &[Alignment], sets: &Sets) -> Result<Vec<u8>> {
    let mut tensors = Tensors::new();
    for (map, name) in maps.iter().zip(&sets.names[1..]) {
        let named = |part: &str| if maps.len() == 1 { part.to_owned() } else { format!("{name}.{part}") };
        tensors.insert(named("map"), &[map.from.len(), map.to.len()], map.map.clone())?;
        tensors.insert(named("from"), &[map.from.len()], map.from.clone())?;
        tensors.insert(named("to"), &[map.to.len()], map.to.clone())?;
    }
    tensors.encode()
}

/// Pictures of the samples that tell, in the order of `found.telling`: pixels `[channels, height, width]` each, from one file of
/// images for each set (`.npy`, `[n, c, h, w]`, `[n, h, w]` or `[n, h, w, c]`).
///
/// # Errors
/// [`Error::Invalid`] for files that are no images of the sets' samples.
pub fn pictures(found: &Found, paths: &[PathBuf]) -> Result<([usize; 3], Vec<Vec<f32>>)> {
    if paths.len() != found.sets.len() {
        return Err(Error::Usage(format!(
            "`--images` names {} files, but there are {} sets",
            paths.len(),
            found.sets.len()
        )));
    }
    let mut shown: Vec<Vec<f32>> = vec![Vec::new(); found.telling.len()];
    let mut shape = None;
    for (path, set) in paths.iter().zip(&found.sets) {
        let (axes, pixels) = arrays::read_npy_f32(path)?;
        let (dims, last) = match *axes.as_slice() {
            [n, h, w] if n == set.n => ([1, h, w], false),
            [n, h, w, c] if n == set.n && (c == 1 || c == 3) => ([c, h, w], true),
            [n, c, h, w] if n == set.n => ([c, h, w], false),
            _ => {
                return Err(Error::Invalid(format!(
                    "{} has shape {axes:?}, but images of {} samples are of shape [n, c, h, w], [n, h, w] or [n, h, w, c]",
                    path.display(),
                    set.n
                )));
            }
        };
        if shape.is_some_and(|held| held != dims) {
            return Err(Error::Invalid(format!(
                "{} holds images of another size than the first set's",
                path.display()
            )));
        }
        shape = Some(dims);
        let [c, h, w] = dims;
        for (told, shown) in found.telling.iter().zip(&mut shown).filter(|(told, _)| told.set == set.name) {
            let image = &pixels[told.row * c * h * w..][..c * h * w];
            *shown = match last {
                false => image.to_vec(),
                true => (0..c).flat_map(|c2| (0..h * w).map(move |p| image[p * c + c2])).collect(),
            };
        }
    }
    Ok((shape.unwrap_or([1, 0, 0]), shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_text() {
        let found = csv("topic,\"who, when\"\na,\"x, \"\"y\"\"\"\nb,2\n", "t.csv").unwrap();
        assert_eq!(found[0], ("topic".into(), vec!["a".into(), "b".into()]));
        assert_eq!(found[1], ("who, when".into(), vec!["x, \"y\"".into(), "2".into()]));
        let error = csv("a,b\n1\n", "t.csv").unwrap_err().to_string();
        assert!(error.contains("line 2 of t.csv has 1 cells, but the header names 2"), "{error}");
        let numbers = label("n".into(), ["10", "9", "10"].map(str::to_owned).to_vec()).unwrap();
        assert_eq!((numbers.values, numbers.of), (vec!["9".into(), "10".into()], vec![1, 0, 1]));
    }
}
