//! The deployed binary. Everything is in the library, so that the tests, the tools and the local run can use it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    create_contact::run()
}
