//! Nothing is taken for what it is not: one test for each way in which a sweep, a night or an array once was. The last table of
//! `docs/promises.md` lists them by number; `tests/slow.sh trust` tries hundreds of random ones.

mod arrays;
mod kit;
mod sweeps;
