//! The directions of dependency, kept by a program.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace")
}

/// What a crate of ours depends on, tests aside.
fn dependencies(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let package = metadata.packages.iter().find(|package| package.name.as_str() == name);
    package
        .unwrap_or_else(|| panic!("there is no crate `{name}`"))
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.clone())
        .collect()
}

fn ours(metadata: &Metadata) -> BTreeSet<String> {
    metadata.packages.iter().map(|package| package.name.to_string()).collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let metadata = metadata();
    let ours = ours(&metadata);
    let may: &[(&str, &[&str])] = &[
        ("proto", &[]),
        ("migrations", &[]),
        ("tuner", &[]),
        ("recipe", &[]),
        ("embedded-postgres", &[]),
        ("kernels", &[]),
        ("whetstone", &["kernels", "recipe"]),
        ("coordinator", &["embedded-postgres", "migrations", "proto", "recipe", "tuner"]),
        ("worker", &["proto", "recipe", "whetstone"]),
        ("cli", &["embedded-postgres", "proto", "recipe", "whetstone"]),
    ];
    for (name, allowed) in may {
        let allowed: BTreeSet<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        let known: BTreeSet<String> =
            dependencies(&metadata, name).intersection(&ours).cloned().collect();
        let excess: Vec<_> = known.difference(&allowed).collect();
        assert!(excess.is_empty(), "`{name}` must not know {excess:?}");
    }
}

#[test]
fn the_computing_crates_wait_for_nothing() {
    let metadata = metadata();
    let waiting = ["tokio", "tonic", "prost", "sqlx", "proto", "axum", "hyper"];
    for name in ["tuner", "recipe", "kernels", "whetstone"] {
        let known = dependencies(&metadata, name);
        for other in waiting {
            assert!(!known.contains(other), "`{name}` must not depend on `{other}`");
        }
    }
}

#[test]
fn the_computing_crates_read_neither_clock_nor_environment() {
    for name in ["tuner", "recipe", "kernels", "whetstone"] {
        for (path, text) in sources(&root().join(name).join("src")) {
            for word in ["SystemTime", "Instant::now", "env::var", "thread_rng", "from_entropy"] {
                assert!(!text.contains(word), "{} reads {word}", path.display());
            }
        }
    }
}

#[test]
fn sql_stands_in_storage_alone_and_opens_with_its_functions_name() {
    for (path, text) in sources(&root().join("coordinator/src")) {
        let in_storage = path.components().any(|part| part.as_os_str() == "storage");
        let calls = text.matches("sqlx::query").count();
        let allowed = in_storage || path.ends_with("src/storage.rs");
        assert!(calls == 0 || allowed, "{} speaks SQL", path.display());
        // A statement that is at work breaks when a migration adds to what `*` means.
        let unnamed = text.lines().find(|line| line.contains("select * from"));
        assert_eq!(unnamed, None, "{} does not name its columns", path.display());
        for line in text.lines().filter(|line| line.trim_start().starts_with("\"-- ")) {
            let label = line.trim_start().trim_start_matches("\"-- ");
            let label = label.split(['\\', ',', '"']).next().expect("splits").trim();
            if label.is_empty() {
                // The macro of `trials` puts the name in.
                continue;
            }
            let (module, function) = label.split_once("::").expect("module::function");
            assert!(
                text.contains(&format!("fn {function}")),
                "{}: no function for label `{label}`",
                path.display()
            );
            let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
            let file = format!("{module}.rs");
            assert!(
                parts.contains(&module) || parts.contains(&file.as_str()),
                "{}: label `{label}` names another module",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_api_names_a_status_and_only_convert_sees_both_worlds() {
    for (path, text) in sources(&root().join("coordinator/src")) {
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let api = parts.contains(&"api") || path.ends_with("api.rs");
        let speaks = api || path.ends_with("error.rs");
        assert!(!text.contains("tonic::Status") || speaks, "{}", path.display());
        let wire = text.contains("proto::v1");
        assert!(!wire || api || path.ends_with("serve.rs"), "{} sees the wire", path.display());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("reads the folder") {
        let path = entry.expect("reads the entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("reads the file");
            found.push((path, text));
        }
    }
    found
}
