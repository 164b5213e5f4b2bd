//! Memory that is used again from layer to layer, so that a pass over many layers asks the system for little.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use super::packed::Scratch;

/// Large buffers that one layer has done with.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<Vec<f32>>);

impl Buffers {
    /// A buffer of that length with anything in it.
    pub fn take(&mut self, length: usize) -> Vec<f32> {
        if length == 0 {
            return Vec::new();
        }
        let capacities = self.0.iter().map(Vec::capacity).enumerate();
        match capacities.filter(|&(_, c)| c >= length).min_by_key(|&(_, c)| c) {
            Some((index, _)) => {
                let mut buffer = self.0.swap_remove(index);
                buffer.resize(length, 0.0);
                buffer
            }
            None => {
                // What is too small now will be so for the larger layers that follow.
                self.0.pop();
                vec![0.0; length]
            }
        }
    }

    /// Returns a buffer, unless somebody else still reads it.
    pub fn give(&mut self, buffer: Arc<Vec<f32>>) {
        if let Ok(buffer) = Arc::try_unwrap(buffer) {
            self.0.push(buffer);
        }
    }
}

/// Working spaces of threads; as many as ever work at once.
#[derive(Debug, Default)]
pub(super) struct Spaces(Mutex<Vec<Scratch>>);

/// A working space on loan.
pub(super) struct Space<'a> {
    scratch: Scratch,
    from: &'a Spaces,
}

impl Spaces {
    pub fn lend(&self) -> Space<'_> {
        let scratch = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Space { scratch, from: self }
    }
}

impl Deref for Space<'_> {
    type Target = Scratch;
    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl DerefMut for Space<'_> {
    fn deref_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}

impl Drop for Space<'_> {
    fn drop(&mut self) {
        let mut spaces = self.from.0.lock().unwrap_or_else(PoisonError::into_inner);
        spaces.push(std::mem::take(&mut self.scratch));
    }
}
