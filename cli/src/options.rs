//! What every command understands: where the coordinator is, and how to answer.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::plain::plain;

/// Where a coordinator listens unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:50051";

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the coordinator is. Default: what `coordinator.url` in the data directory says, else
    /// http://127.0.0.1:50051.
    #[arg(long, global = true, value_name = "URL", env = "STROP_COORDINATOR")]
    pub coordinator: Option<String>,

    /// Folder with the database, the logs and the coordinator's address.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "STROP_DATA_DIR",
        default_value = ".strop"
    )]
    pub data_dir: PathBuf,

    /// Answer with one JSON document on standard output (while watching: one a line).
    #[arg(long, global = true)]
    pub json: bool,

    /// Say nothing but the answer.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Options {
    /// Where to look for the coordinator.
    pub fn url(&self) -> String {
        let named = self.coordinator.clone().or_else(|| self.url_in_data_dir());
        with_scheme(named.as_deref().unwrap_or(DEFAULT_URL))
    }

    /// What the coordinator of the data directory wrote there while it served, if it did.
    pub fn url_in_data_dir(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.url_file()).ok()?;
        let url = text.trim();
        (!url.is_empty()).then(|| url.to_owned())
    }

    /// The file in which a coordinator leaves its address.
    pub fn url_file(&self) -> PathBuf {
        self.data_dir.join("coordinator.url")
    }

    /// A hint for people; nothing when quiet or when a program is listening.
    pub fn hint(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            eprintln!("{}", plain(text.as_ref()));
        }
    }

    /// The option that makes another `strop` look into the same data directory; empty if it would
    /// anyway.
    pub fn data_dir_argument(&self) -> String {
        match self.data_dir == Path::new(".strop") {
            true => String::new(),
            false => format!(" --data-dir {}", quoted(&self.data_dir.to_string_lossy())),
        }
    }
}

/// `host:port` means http, which is all that is spoken.
fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
}

/// As one word of a shell's command line.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_comes_from_the_option_then_the_data_directory_then_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_path_buf();
        let mut options = Options { coordinator: None, data_dir, json: false, quiet: false };
        assert_eq!(options.url(), DEFAULT_URL);
        std::fs::write(options.url_file(), "http://127.0.0.1:7\n").unwrap();
        assert_eq!(options.url(), "http://127.0.0.1:7");
        options.coordinator = Some("there:1".to_owned());
        assert_eq!(options.url(), "http://there:1");
    }

    #[test]
    fn a_word_is_quoted_for_the_shell_only_where_it_must_be() {
        assert_eq!(quoted("/tmp/x-1"), "/tmp/x-1");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
    }
}
