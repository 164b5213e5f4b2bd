//! Counts how often verdicts are right, on pools of real runs and on simulated ones; `table` makes single cases. What counts takes long and prints
//! tables, so it is ignored unless asked for: `tests/slow.sh verdicts`.

mod compare;
mod coverage;
mod flags;
mod nights;
mod pool;
mod table;
