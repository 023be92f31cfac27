//! `strop train`: files, interruption and going on, and bad input.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use whetstone::network::Network;

/// What a training leaves.
const FILES: [&str; 4] =
    ["checkpoint.safetensors", "curves.svg", "epochs.csv", "network.safetensors"];

/// `strop train` in a folder, of a file of this repository.
fn train(folder: &Path, file: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strop"));
    command
        .current_dir(folder)
        .arg("train")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file))
        .args(arguments)
        .env_remove("STROP_DATA_FOLDER");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn done(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output
}

/// Exit code and error of a training that should not be.
fn refused(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{said}");
    (output.status.code().unwrap(), last.to_owned())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The table of epochs without the last column: how long each took.
fn timeless(folder: &Path) -> Vec<String> {
    let table = fs::read_to_string(folder.join("epochs.csv")).unwrap();
    table.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

#[test]
fn the_example_trains_and_leaves_a_network_its_numbers_and_its_curves() {
    let temporary = tempfile::tempdir().unwrap();
    let here = temporary.path();
    let output = done(train(here, "examples/train.toml", &["--epochs", "3"]));
    let answer = text(&output.stdout);
    for part in [
        "first, seed 1, on digits",
        "on 300 validation images",
        "on 360 test images",
        "not finished: 0 of 4 layers are thresholds",
        "seconds per epoch",
        "57,400",
        "351,232 for one image",
        "mean sharpness",
        "in `first-1`: network.safetensors, epochs.csv, curves.svg",
    ] {
        assert!(answer.contains(part), "`{part}` is not in:\n{answer}");
    }
    let said = text(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "a line an epoch, no bar outside of a terminal: {said}");
    assert!(lines[1].starts_with("epoch   2/3  loss "), "{said}");
    assert!(lines[1].contains("sharpness 0.00 0.00 0.00 0.00"), "{said}");

    let folder = here.join("first-1");
    assert_eq!(names(&folder), FILES);
    let network = fs::read(folder.join("network.safetensors")).unwrap();
    let saved = Network::from_bytes(&network).unwrap();
    assert_eq!(saved.network.recipe().conv1_features, 32);
    let table = fs::read_to_string(folder.join("epochs.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    for column in ["loss", "binary_accuracy", "sharpness_conv2", "flips_dense", "dead_output"] {
        assert!(table.lines().next().unwrap().split(',').any(|name| name == column), "{table}");
    }
    let curves = fs::read_to_string(folder.join("curves.svg")).unwrap();
    assert!(curves.starts_with("<svg ") && curves.ends_with("</svg>\n"));

    let (code, error) = refused(train(here, "examples/train.toml", &["--epochs", "1"]));
    assert_eq!(code, 6, "{error}");
    assert!(error.contains("first-1") && error.contains("--force"), "{error}");
    assert_eq!(fs::read(folder.join("network.safetensors")).unwrap(), network);

    let forced = ["--epochs", "1", "--force", "--json", "--seed", "1"];
    let output = done(train(here, "examples/train.toml", &forced));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["epochs"], &json["folder"]), (&1.into(), &"first-1".into()));
    assert!(json["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.05), "{json}");
    assert!(output.stderr.is_empty(), "a program listens");
    assert_eq!(fs::read_to_string(folder.join("epochs.csv")).unwrap().lines().count(), 2);
}

/// Starts a training and interrupts it after some epochs; what it said.
fn interrupted(mut command: Command, after: u32) -> String {
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Whatever fails below, no process stays.
    let mut child = Killed(child);
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    let mut said = String::new();
    while !said.lines().any(|line| line.starts_with(&format!("epoch {after:>3}/"))) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let pid = Pid::from_raw(child.0.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130), "{said}");
    said
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let here = temporary.path();
    // Long enough that it cannot end before the signal comes; every layer sharpens.
    let same = ["--set", "sharpening_start=30", "--set", "sharpening_intermission=0"];
    let training = |more: &[&str]| train(here, "examples/train.toml", &[&same, more].concat());
    done(training(&["--out", "straight", "--threads", "1"]));

    let said = interrupted(training(&["--out", "two parts", "--threads", "2"]), 2);
    for part in ["stopped after", "--set sharpening_start=30", "--out 'two parts' --resume"] {
        assert!(said.contains(part), "{said}");
    }
    let parts = here.join("two parts");
    assert_eq!(names(&parts), ["checkpoint.safetensors", "epochs.csv"]);

    let output = done(training(&["--out", "two parts", "--threads", "2", "--resume"]));
    let said = text(&output.stderr);
    assert!(said.starts_with("goes on after "), "{said}");
    let straight = here.join("straight");
    for file in ["network.safetensors", "checkpoint.safetensors"] {
        assert!(
            fs::read(straight.join(file)).unwrap() == fs::read(parts.join(file)).unwrap(),
            "{file}"
        );
    }
    assert_eq!(timeless(&straight), timeless(&parts));
    assert_eq!(names(&parts), FILES);
    assert!(text(&output.stdout).contains("finished: all 4 layers are thresholds"));

    // Once more, from its own end.
    let network = fs::read(parts.join("network.safetensors")).unwrap();
    done(training(&["--out", "two parts", "--resume"]));
    assert!(fs::read(parts.join("network.safetensors")).unwrap() == network);

    let other = ["--out", "two parts", "--resume", "--set", "rho=0.5"];
    let (code, error) = refused(training(&other));
    assert_eq!(code, 6, "{error}");
    assert!(error.contains("`rho` = 0.9; this training has 0.5"), "{error}");
    assert!(error.contains("--force"), "{error}");
    fs::write(parts.join("checkpoint.safetensors"), "no").unwrap();
    let (code, error) = refused(training(&["--out", "two parts", "--resume"]));
    assert_eq!(code, 6, "{error}");
    assert!(fs::read(parts.join("network.safetensors")).unwrap() == network, "nothing was touched");
}

#[test]
fn a_study_file_trains_at_its_defaults_and_says_which() {
    let temporary = tempfile::tempdir().unwrap();
    let arguments = [
        "--epochs",
        "1",
        "--set",
        "conv_blocks=1",
        "--set",
        "dense_layers=0",
        "--set",
        "conv1_features=4",
        "--out",
        "x",
    ];
    let output = done(train(temporary.path(), "studies/topology.toml", &arguments));
    let said = text(&output.stderr);
    assert!(said.starts_with("`topology` searches these; not set, they take"), "{said}");
    assert!(said.contains("conv1_filter=5 ") && !said.contains("conv1_features="), "{said}");
    let network = fs::read(temporary.path().join("x/network.safetensors")).unwrap();
    let recipe = Network::from_bytes(&network).unwrap().network.recipe().clone();
    assert_eq!((recipe.conv_blocks, recipe.conv1_features, recipe.warmup_epochs), (1, 4, 1));
}

#[test]
fn what_is_not_in_order_is_said_in_one_line_before_anything_is_made() {
    let temporary = tempfile::tempdir().unwrap();
    let here = temporary.path();
    let file = |name: &str, content: &str| -> PathBuf {
        let path = here.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let data = "[data]\ndataset = \"mnist\"\n";
    let mnist = file("mnist.toml", data);
    let typo = file("typo.toml", &format!("{data}[hyperparameters]\nlerning_rate = 1\n"));
    let greedy = file("greedy.toml", "[data]\ndataset = \"digits\"\nvalidation_images = 2000\n");
    let nowhere = here.join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let cases: [(&Path, &[&str], i32, &[&str]); 8] = [
        (&typo, &[], 2, &["typo.toml:4: ", "`lerning_rate`", "`learning_rate`"]),
        (&mnist, &["--set", "rho=2"], 2, &["--set rho=2", "below 1"]),
        (&mnist, &[], 2, &["--data-folder", "a folder `mnist`"]),
        (&mnist, &["--data-folder", nowhere], 1, &["nowhere/mnist", "is missing"]),
        (&greedy, &[], 2, &["2000 validation images", "at least one must be left"]),
        (&here.join("none.toml"), &[], 2, &["none.toml: No such file"]),
        (&greedy, &["--out", typo.to_str().unwrap()], 6, &["is a file", "--out"]),
        (
            &file("deep.toml", "[data]\ndataset = \"digits\"\n"),
            &["--set", "conv_blocks=6", "--set", "downsampled_blocks=6"],
            2,
            &["does not fit the data set `digits`"],
        ),
    ];
    let before = names(here);
    for (file, arguments, expected, parts) in cases {
        let (code, error) = refused(train(here, file.to_str().unwrap(), arguments));
        assert_eq!(code, expected, "{error}");
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
    assert_eq!(names(here), before);
}
