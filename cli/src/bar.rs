//! What progress bars look like.

use indicatif::ProgressStyle;

/// The style of a bar; `template` as indicatif has it.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("is well formed because it is written here")
        .progress_chars("━╸─")
}
