//! Buffers of tensors that go from one step of training to the next.
//!
//! A step asks for the same buffers as the one before. Taken from the system each time, every page of them costs a fault and
//! is cleared twice, by the kernel and by whoever wants zeros: a sixth of a step of a residual network. Nothing here decides
//! what is computed: whoever takes a buffer writes all of it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of values below which a buffer is left to the system.
const SMALLEST: usize = 1 << 14;
/// Returns of buffers after which one that nobody asked for goes back to the system: many more than in a step.
const PATIENCE: u64 = 1 << 10;

static SHELF: Mutex<Shelf> = Mutex::new(Shelf::new());

fn shelf() -> MutexGuard<'static, Shelf> {
    // A shelf is whole between any two of its lines.
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `len` values, whatever they are.
pub fn take(len: usize) -> Vec<f32> {
    if len < SMALLEST {
        return vec![0.0; len];
    }
    let found = shelf().take(len);
    match found {
        Some(mut buffer) => {
            buffer.truncate(len);
            buffer.resize(len, 0.0);
            buffer
        }
        None => vec![0.0; len],
    }
}

/// Takes a buffer that nobody needs any more.
pub fn give(buffer: Vec<f32>) {
    if buffer.capacity() >= SMALLEST {
        let unwanted = shelf().give(buffer);
        drop(unwanted);
    }
}

/// Gives all buffers back to the system: for when something else begins.
pub fn free() {
    let shelf = std::mem::replace(&mut *shelf(), Shelf::new());
    drop(shelf);
}

struct Shelf {
    /// Each with the number of its return; the longest unused first.
    buffers: VecDeque<(u64, Vec<f32>)>,
    returns: u64,
}

impl Shelf {
    const fn new() -> Self {
        Self { buffers: VecDeque::new(), returns: 0 }
    }

    /// The smallest buffer that `len` values fit into, if it is not more than twice too large.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let sizes = self.buffers.iter().map(|(_, buffer)| buffer.capacity()).enumerate();
        let best = sizes.filter(|&(_, size)| (len..=2 * len).contains(&size)).min_by_key(|&(_, size)| size);
        best.and_then(|(place, _)| self.buffers.remove(place)).map(|(_, buffer)| buffer)
    }

    /// Keeps a buffer; returns those that nobody has asked for in a long time.
    fn give(&mut self, buffer: Vec<f32>) -> Vec<Vec<f32>> {
        self.returns += 1;
        self.buffers.push_back((self.returns, buffer));
        let unwanted = self.buffers.partition_point(|&(returned, _)| returned + PATIENCE < self.returns);
        self.buffers.drain(..unwanted).map(|(_, buffer)| buffer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_where_it_fits() {
        let mut shelf = Shelf::new();
        for len in [100, 300, 200] {
            assert!(shelf.give(vec![1.0; len]).is_empty());
        }
        assert_eq!(shelf.take(120).map(|buffer| buffer.len()), Some(200));
        assert!(shelf.take(120).is_none(), "300 is more than twice too large");
        assert_eq!(shelf.take(80).map(|buffer| buffer.len()), Some(100));
        assert_eq!(shelf.buffers.len(), 1);
    }

    #[test]
    fn what_nobody_asks_for_does_not_pile_up() {
        let mut shelf = Shelf::new();
        assert!(shelf.give(vec![0.0; 1000]).is_empty());
        for turn in 0..3 * PATIENCE {
            let wanted = shelf.take(100).unwrap_or_else(|| vec![0.0; 100]);
            let evicted = shelf.give(wanted).len() + shelf.give(vec![0.0; 5]).len();
            assert!(evicted <= 2, "{turn}");
        }
        assert!(shelf.take(1000).is_none());
        assert!(shelf.take(100).is_some());
        assert!(shelf.buffers.len() as u64 <= PATIENCE + 1);
    }

    #[test]
    fn buffers_are_as_long_as_asked_for() {
        give(take(3 * SMALLEST));
        for len in [0, 1, SMALLEST, 2 * SMALLEST, 3 * SMALLEST, 4 * SMALLEST] {
            let buffer = take(len);
            assert_eq!(buffer.len(), len);
            give(buffer);
        }
        free();
    }
}
