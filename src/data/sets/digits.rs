//! The embedded data set: 1,797 handwritten digits of 8x8 pixels. Its origin, licence and split: `assets/README.md`.

use std::io::Read;

use super::super::source::{Outline, Part, Pixels, Source};
use super::{DIGIT_NAMES, Set};
use crate::error::{Error, Result};

pub(super) const SET: Set = Set {
    name: "digits",
    title: "Optical Recognition of Handwritten Digits",
    shape: Some(SHAPE),
    classes: DIGIT_NAMES,
    train_len: 1_297,
    eval_len: 500,
    // The training part is what is left.
    per_class: [None, Some(EVAL_PER_CLASS)],
    folder: None,
    licence: "CC BY 4.0",
    packages: &[],
    files: &[],
    downloads: &[],
    format: "embedded",
    read: |_, _, _| read(),
    outline: |_, _| {
        let Source { shape, classes, train, eval, .. } = read()?;
        Ok(Outline { shape, classes, train: train.labels, eval: eval.labels })
    },
};

const SHAPE: [usize; 3] = [1, 8, 8];

static ASSET: &[u8] = include_bytes!("../assets/digits.bin.gz");

const PIXELS: usize = 64;
const RECORDS: usize = 1_797;
/// Examples of each class in the evaluation part.
const EVAL_PER_CLASS: usize = 50;

/// Unpacks and splits.
///
/// # Errors
/// [`Error::Unexpected`] only if the program itself is damaged.
fn read() -> Result<Source> {
    let damaged = || Error::Unexpected("the embedded digits are damaged, so build the program again".to_string());
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(ASSET).read_to_end(&mut bytes).map_err(|_| damaged())?;
    let (records, rest) = bytes.as_chunks::<{ PIXELS + 1 }>();
    let mut totals = [0usize; 10];
    for [label, ..] in records {
        *totals.get_mut(usize::from(*label)).ok_or_else(damaged)? += 1;
    }
    if records.len() != RECORDS || !rest.is_empty() {
        return Err(damaged());
    }
    let mut seen = [0usize; 10];
    let (mut train, mut eval) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for [label, pixels @ ..] in records {
        let class = usize::from(*label);
        let (Some(seen), Some(&total)) = (seen.get_mut(class), totals.get(class)) else { return Err(damaged()) };
        let held_out = (*seen + 1) * EVAL_PER_CLASS / total > *seen * EVAL_PER_CLASS / total;
        *seen += 1;
        let (all_pixels, labels) = if held_out { &mut eval } else { &mut train };
        all_pixels.extend_from_slice(pixels);
        labels.push(u32::from(*label));
    }
    let part = |(pixels, labels)| Part { pixels: Pixels::Bytes(vec![pixels]), labels };
    Ok(Source {
        shape: SHAPE,
        classes: SET.class_names(),
        train: part(train),
        eval: part(eval),
        groups: None,
        digest: blake3::hash(&bytes).to_hex().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_the_stated_one() {
        let source = read().unwrap();
        assert_eq!((source.train.labels.len(), source.eval.labels.len()), (SET.train_len, SET.eval_len));
        for class in 0..10 {
            assert_eq!(source.eval.labels.iter().filter(|&&l| l == class).count(), 50);
        }
        // load_digits().target counts 178, 182, 177, 183, 181, 182, 181, 179, 174, 180.
        let train: Vec<usize> = (0..10).map(|c| source.train.labels.iter().filter(|&&l| l == c).count()).collect();
        assert_eq!(train, [128, 132, 127, 133, 131, 132, 131, 129, 124, 130]);
    }

    #[test]
    fn the_first_zero_looks_like_one() {
        let source = read().unwrap();
        let Pixels::Bytes(blocks) = source.train.pixels else { panic!("digits are bytes") };
        // load_digits().images[0], first and fourth row.
        assert_eq!(blocks[0][..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(blocks[0][24..32], [0, 4, 12, 0, 0, 8, 8, 0]);
        assert_eq!(source.train.labels[0], 0);
        assert!(blocks[0].iter().all(|&p| p <= 16));
    }
}
