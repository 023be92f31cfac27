//! `docs/HYPERPARAMETERS.md` says what the table says.

use std::{env, fmt::Write as _, fs, path::Path};

use recipe::Recipe;

const HEAD: &str = "\
# Hyperparameters of a Whetstone training

What a study may search, or fix under `[objective.fixed]`, and a training file (`strop train`) may set under
`[hyperparameters]`. What is left out takes its default. A name or a value outside the table is refused when
the study is created, and by `strop train` before it trains.

The network: `conv_blocks` convolutional blocks (convolution, batch norm, activation), of which the first
`downsampled_blocks` halve the image; `dense_layers` dense blocks; and an output block whose neurons vote
for classes. Each block ends in an activation that is sharpened into a threshold, one block after another:
`conv_blocks` + `dense_layers` + 1 in all.

With `sharpener` \"scheduled\", sharpening needs `sharpening_start` + blocks × `sharpening_duration` +
(blocks − 1) × `sharpening_intermission` + 1 epochs, and `epoch_policy` says what happens if `epochs` is
less. With \"adaptive\" the training loss decides, nobody knows beforehand how long it takes, and `epochs` is
the most it gets, whatever the policy.

| name | default | allowed | meaning |
|---|---|---|---|
";

const FOOT: &str = "
This page is written from the table in `recipe/src/table.rs`:
`STROP_WRITE_DOCS=1 cargo test -p recipe --test page`.
";

#[test]
fn the_page_of_hyperparameters_is_the_table() {
    let mut page = HEAD.to_owned();
    for parameter in Recipe::parameters() {
        let unit = match parameter.unit {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        let default = parameter.default_value().to_string();
        writeln!(
            page,
            "| `{}` | {} | {} | {}{unit} |",
            parameter.name,
            default.trim_matches('"'),
            parameter.kind(),
            parameter.meaning,
        )
        .unwrap();
    }
    page.push_str(FOOT);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/HYPERPARAMETERS.md");
    if env::var_os("STROP_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "run the command at the end of docs/HYPERPARAMETERS.md");
}
