//! The program: everything happens in the library's `cli`.

fn main() -> std::process::ExitCode {
    harness::cli::main()
}
