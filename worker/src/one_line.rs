//! An error and its causes as one line, for logs and for the details of a failure.

use std::error::Error;

/// `error: cause: cause`. A cause that its effect has quoted already is not repeated.
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file cannot\nbe read")]
    struct Unreadable(#[source] std::io::Error);

    #[test]
    fn causes_follow_on_the_same_line() {
        let error = Unreadable(std::io::Error::other("disk gone"));
        assert_eq!(one_line(&error), "the file cannot be read: disk gone");
    }
}
