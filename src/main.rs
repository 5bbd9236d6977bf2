//! The deployed binary; everything is in the library, where tests, benchmarks and the local run find it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    create_contact::run()
}
