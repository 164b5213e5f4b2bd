//! Data sets and arrays of others, through the library's public interface.

mod arrays;
mod cli;
mod fetch;
mod published;
mod sets;
