//! Buffers of tensors that go from one step of training to the next.
//!
//! A step asks for the same buffers as the one before. Taken from the system each time, every page of them costs a fault and
//! is cleared twice, by the kernel and by whoever wants zeros: a sixth of a step of a residual network. Nothing here decides
//! what is computed: whoever takes a buffer writes all of it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of values below which a buffer is left to the system.
const SMALLEST: usize = 1 << 14;

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
        let evicted = shelf().give(buffer);
        drop(evicted);
    }
}

/// Gives all buffers back to the system: for when something else begins.
pub fn free() {
    let shelf = std::mem::replace(&mut *shelf(), Shelf::new());
    drop(shelf);
}

struct Shelf {
    /// The longest unused first.
    buffers: VecDeque<Vec<f32>>,
    /// Values in them.
    held: usize,
    /// Values in buffers that were taken and not given back, and the most that they ever were.
    lent: usize,
    most: usize,
}

impl Shelf {
    const fn new() -> Self {
        Self { buffers: VecDeque::new(), held: 0, lent: 0, most: 0 }
    }

    /// The smallest buffer that `len` values fit into, if it is not more than twice too large.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let fits = |buffer: &Vec<f32>| (len..=2 * len).contains(&buffer.capacity());
        let sizes = self.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer));
        let best = sizes.min_by_key(|(_, buffer)| buffer.capacity()).map(|(place, _)| place);
        let buffer = best.and_then(|place| self.buffers.remove(place));
        let size = buffer.as_ref().map_or(len, Vec::capacity);
        self.held -= buffer.as_ref().map_or(0, Vec::capacity);
        self.lent += size;
        self.most = self.most.max(self.lent);
        buffer
    }

    /// Keeps a buffer; returns those for which there is no room then. There is room for as much as was ever lent at a time, so
    /// that buffers which came from elsewhere cannot pile up.
    fn give(&mut self, buffer: Vec<f32>) -> Vec<Vec<f32>> {
        self.lent = self.lent.saturating_sub(buffer.capacity());
        self.held += buffer.capacity();
        self.buffers.push_back(buffer);
        let mut evicted = Vec::new();
        while self.held > self.most
            && let Some(buffer) = self.buffers.pop_front()
        {
            self.held -= buffer.capacity();
            evicted.push(buffer);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_where_it_fits() {
        let mut shelf = Shelf::new();
        for len in [100, 300, 200] {
            assert!(shelf.take(len).is_none());
        }
        for len in [100, 300, 200] {
            assert!(shelf.give(vec![1.0; len]).is_empty());
        }
        assert_eq!(shelf.take(120).map(|buffer| buffer.len()), Some(200));
        assert!(shelf.take(120).is_none(), "300 is more than twice too large");
        assert_eq!(shelf.take(80).map(|buffer| buffer.len()), Some(100));
        assert_eq!(shelf.held, 300);
    }

    #[test]
    fn buffers_from_elsewhere_push_out_the_longest_unused() {
        let mut shelf = Shelf::new();
        assert!(shelf.take(100).is_none());
        assert!(shelf.give(vec![0.0; 100]).is_empty());
        let evicted = shelf.give(vec![0.0; 60]);
        assert_eq!(evicted.iter().map(Vec::len).collect::<Vec<_>>(), [100]);
        assert_eq!((shelf.held, shelf.buffers.len()), (60, 1));
        assert_eq!(shelf.give(vec![0.0; 500]).len(), 2);
        assert_eq!((shelf.held, shelf.buffers.len()), (0, 0));
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
