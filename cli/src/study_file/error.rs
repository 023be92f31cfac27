//! What is wrong with a study or training file: which file, which line, which key, and what would be right.

use std::ops::Range;

/// A file that is not in order: `studies/x.toml:12: …`.
#[derive(Debug, thiserror::Error)]
#[error("{label}{}: {text}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Error {
    /// The file.
    label: String,
    /// The line, from 1; absent if it is about what is not there.
    line: Option<usize>,
    /// What is wrong, naming the key.
    text: String,
}

/// The file that errors are about.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// Its text.
    pub text: &'t str,
    /// What errors call it.
    pub label: &'t str,
}

impl Source<'_> {
    /// Something wrong with the whole, such as a missing key.
    pub fn whole(self, text: impl Into<String>) -> Error {
        Error { label: self.label.to_owned(), line: None, text: text.into() }
    }

    /// Something wrong with the bytes of `span`.
    pub fn at(self, span: Range<usize>, text: impl Into<String>) -> Error {
        let line = 1 + self.before(span.start).matches('\n').count();
        Error { label: self.label.to_owned(), line: Some(line), text: text.into() }
    }

    /// Something that TOML or the tables' shapes rule out.
    pub fn syntax(self, error: &toml::de::Error) -> Error {
        let message = error.message().replace('\n', ", ");
        let Some(span) = error.span() else { return self.whole(message) };
        // Of a wrong type the message tells only the type; the line tells the key.
        let line_start = self.before(span.start).rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let key = line.split_once('=').map(|(key, _)| key.trim());
        match key.filter(|key| message.starts_with("invalid") && !key.is_empty()) {
            Some(key) => self.at(span, format!("`{key}`: {message}")),
            None => self.at(span, message),
        }
    }

    fn before(&self, at: usize) -> &str {
        self.text.get(..at).unwrap_or(self.text)
    }
}

/// `"a", "b" or "c"`.
pub fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
