//! Work on the threads of the current pool, split in a way that never depends on their number.

use std::cell::RefCell;

use rayon::prelude::*;

/// Calls `work` with the number of each piece of `out` of the length `len`.
pub fn each<T: Send>(out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if len == 0 {
        return;
    }
    if rayon::current_num_threads() == 1 {
        out.chunks_mut(len).enumerate().for_each(|(n, out)| work(n, out));
    } else {
        out.par_chunks_mut(len).enumerate().for_each(|(n, out)| work(n, out));
    }
}

/// Like [`each`], over two slices at once.
pub fn each_pair<T: Send, U: Send>(
    (first, first_len): (&mut [T], usize),
    (second, second_len): (&mut [U], usize),
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    if first_len == 0 || second_len == 0 {
        return;
    }
    if rayon::current_num_threads() == 1 {
        let pairs = first.chunks_mut(first_len).zip(second.chunks_mut(second_len));
        pairs.enumerate().for_each(|(n, (a, b))| work(n, a, b));
    } else {
        let pairs = first.par_chunks_mut(first_len).zip(second.par_chunks_mut(second_len));
        pairs.enumerate().for_each(|(n, (a, b))| work(n, a, b));
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of a line of the cache, and of the widest register: reads of a register that cross a line cost two.
const LINE: usize = 64;

/// Lends a buffer of this thread, whatever it holds, that starts at a line of the cache. Loans can be nested.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let room = len + LINE / size_of::<f32>();
    if buffer.len() < room {
        buffer.resize(room, 0.0);
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
    let result = work(&mut buffer[skip..][..len]);
    SCRATCH.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
