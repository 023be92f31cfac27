//! Text from elsewhere as it may stand on a terminal.
//!
//! A worker's label, a failure's detail, a choice of a study's: somebody else has written them. Characters
//! that would move the cursor, change colours, ring the bell or turn the line around are shown, not sent.

/// Text of any number of lines.
pub fn plain(text: &str) -> String {
    with(text, |c| c != '\n' && c != '\t')
}

/// Text that stays on one line and in its column.
pub fn line(text: &str) -> String {
    with(&text.replace(['\n', '\r', '\t'], " "), |_| true)
}

/// A JSON document, in which such characters can only stand within strings: as JSON writes them.
pub fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        match is_unsafe(c) && c != '\n' {
            true => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    safe
}

fn with(text: &str, counts: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) && counts(c) {
            true => safe.extend(c.escape_unicode()),
            false => safe.push(c),
        }
    }
    safe
}

/// Controls of ASCII and Latin-1, and those that change the direction of writing; all below U+10000.
fn is_unsafe(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\u{7}\u{202e}b\r\nשלום 🦀";

    #[test]
    fn what_would_move_the_cursor_is_shown_and_letters_of_all_scripts_stay() {
        assert_eq!(plain(HOSTILE), "a\\u{1b}[31m\\u{9b}2J\\u{7}\\u{202e}b\\u{d}\nשלום 🦀");
        assert_eq!(line(HOSTILE), "a\\u{1b}[31m\\u{9b}2J\\u{7}\\u{202e}b  שלום 🦀");
    }

    #[test]
    fn a_document_stays_the_same_document() {
        let value = serde_json::json!({ "text": HOSTILE });
        let safe = json(&format!("{value:#}"));
        assert!(!safe.chars().any(|c| is_unsafe(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
