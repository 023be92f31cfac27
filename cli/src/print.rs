//! Answers on standard output.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value as Json;

use crate::{plain, table::WIDTH};

/// Prints lines, and a line's end after them; what is no text in them is shown as such.
///
/// A reader that has seen enough (`strop study list | head -1`) ends this process quietly.
pub fn lines(text: &str) {
    write(&plain::plain(text));
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => 0,
            _ => {
                eprintln!("error: could not write the answer: {error}");
                1
            }
        };
        std::process::exit(code);
    }
}

/// Prints a JSON document: indented for a terminal, on one line for a program.
pub fn json(document: &Json) {
    match is_terminal() {
        true => write(&plain::json(&format!("{document:#}"))),
        false => write(&plain::json(&document.to_string())),
    }
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of the terminal; a fixed number elsewhere, so that files do not depend on windows.
pub fn width() -> u16 {
    match is_terminal() {
        true => comfy_table::Table::new().width().unwrap_or(WIDTH),
        false => WIDTH,
    }
}
