//! The process: arguments in, exit code out.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: plugway_heap::Heap = plugway_heap::Heap;

fn main() -> ExitCode {
    plugway::cli::main()
}
