//! A private PostgreSQL server in a data directory, run from the installed server binaries.
//!
//! [`Server::open`] gives a running server and its URL; dropping the last handle stops it. Any
//! number of processes may use one data directory at once, and any of them may be killed, the
//! server included:
//!
//! * **Who still needs it** is counted by locks, not by numbers: every user holds a shared `flock`
//!   on `users.lock`. The kernel drops a dead user's lock, so the count cannot go wrong. Whoever
//!   can turn its lock exclusive was the last, and stops the server.
//! * **Who may start or stop it** is whoever holds `start.lock` exclusively.
//! * **Whether it lives** is read from `postmaster.pid` and checked against the process table: a
//!   process of that number, not a zombie, that works in this very cluster.
//!
//! What lies in a data directory:
//!
//! | path | what it is |
//! |---|---|
//! | `postgres/` | the cluster (PGDATA), or a link to it; `strop.marker` in it says that it is ours |
//! | `run/` | the socket, or a link to the folder that holds it |
//! | `postgres.log` | what the server says |
//! | `users.lock`, `start.lock` | the two locks; empty files that may stay |
//!
//! Two things can push a folder elsewhere, each behind a link that stays in the data directory. A
//! socket path has at most 107 bytes, so a deep data directory gets its socket folder under
//! `$XDG_RUNTIME_DIR` or `/tmp`. And PostgreSQL refuses to run as root: then it runs as `postgres`
//! (else `nobody`), who must be able to reach the cluster. A data directory closed to others is
//! opened to that user's group for passing through; if a folder above is closed, as root's home
//! is, the cluster goes to `/var/lib/strop/<hash of the data directory's path>`.
//!
//! The server listens on no network address. Its socket lies in a folder of mode 0700, which is
//! why connections over it are trusted.

mod account;
mod binaries;
mod cluster;
mod error;
mod layout;
mod lock;
mod postmaster;
mod server;
mod wire;

pub use error::Error;
pub use server::Server;
