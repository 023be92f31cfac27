//! Stands between a coordinator and Postgres and changes SQL on its way: a mutant of the protocol
//! without a change to its code.
//!
//! It speaks as much of Postgres' protocol as it takes to find the text of a statement (`Parse` and
//! `Query`) and hands on all else as it is.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter},
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
};

/// A change to one statement.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// How the comment begins by which the statement opens: `module::function`, and more to tell it
    /// from others of that function.
    pub statement: &'static str,
    /// What to look for. How much space lies between the words is all one.
    pub find: &'static str,
    /// What to put in its place.
    pub put: &'static str,
}

impl Rewrite {
    /// The statement as changed; `None` if it is another, or does not have the words.
    pub fn apply(&self, sql: &str) -> Option<String> {
        sql.trim_start().strip_prefix("-- ")?.starts_with(self.statement).then_some(())?;
        let (from, to) = find(sql, self.find)?;
        Some(format!("{}{}{}", &sql[..from], self.put, &sql[to..]))
    }
}

/// Where the words lie in a text, whatever space is between them; never the front part of a longer word.
fn find(text: &str, words: &str) -> Option<(usize, usize)> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let first = words.first()?;
    text.match_indices(first).find_map(|(from, _)| {
        let mut to = from;
        for (place, word) in words.iter().enumerate() {
            let rest = &text[to..];
            let space = rest.len() - rest.trim_start().len();
            if place > 0 && space == 0 {
                return None;
            }
            let skipped = if place > 0 { space } else { 0 };
            rest[skipped..].strip_prefix(word)?;
            to += skipped + word.len();
        }
        let goes_on = |c: char| c.is_alphanumeric() || c == '_';
        let is_whole = !(text[..to].ends_with(goes_on) && text[to..].starts_with(goes_on));
        is_whole.then_some((from, to))
    })
}

/// The proxy. Dropping it cuts its connections.
pub struct SqlProxy {
    folder: tempfile::TempDir,
    counts: Arc<Vec<AtomicUsize>>,
    task: AbortHandle,
}

impl SqlProxy {
    /// Listens before the Postgres of `options`, which must be reached over a Unix socket.
    pub fn new(options: &PgConnectOptions, rewrites: &'static [Rewrite]) -> Self {
        let file = format!(".s.PGSQL.{}", options.get_port());
        let server = options.get_socket().expect("a private Postgres has a socket").join(&file);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join(&file)).expect("listens");
        let counts: Arc<Vec<_>> = Arc::new(rewrites.iter().map(|_| AtomicUsize::new(0)).collect());
        let task = tokio::spawn(serve(listener, server, rewrites, Arc::clone(&counts)));
        Self { folder, counts, task: task.abort_handle() }
    }

    /// How to reach the same database by way of the proxy.
    pub fn options(&self, options: &PgConnectOptions) -> PgConnectOptions {
        options.clone().socket(self.folder.path())
    }

    /// How often each rewrite has changed a statement.
    pub fn counts(&self) -> Vec<usize> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for SqlProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: UnixListener,
    server: PathBuf,
    rewrites: &'static [Rewrite],
    counts: Arc<Vec<AtomicUsize>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, counts) = (server.clone(), Arc::clone(&counts));
        connections.spawn(async move {
            // A connection that breaks is the client's to notice.
            let _ = connection(client, server, rewrites, &counts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    client: UnixStream,
    server: PathBuf,
    rewrites: &[Rewrite],
    counts: &[AtomicUsize],
) -> io::Result<()> {
    let server = UnixStream::connect(server).await?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let there = forward(BufReader::new(from_client), BufWriter::new(to_server), rewrites, counts);
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    // Whichever ends first ends the other.
    tokio::select! {
        outcome = there => outcome,
        outcome = back => outcome.map(drop),
    }
}

async fn forward(
    mut from: BufReader<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    rewrites: &[Rewrite],
    counts: &[AtomicUsize],
) -> io::Result<()> {
    // The first message has no type.
    let first = body(&mut from).await?;
    write(&mut to, None, &first).await?;
    loop {
        if from.buffer().is_empty() {
            to.flush().await?;
        }
        let kind = from.read_u8().await?;
        let mut message = body(&mut from).await?;
        if kind == b'P' || kind == b'Q' {
            rewrite(kind, &mut message, rewrites, counts);
        }
        write(&mut to, Some(kind), &message).await?;
    }
}

async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?.checked_sub(4).ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await?;
    Ok(body)
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    kind: Option<u8>,
    body: &[u8],
) -> io::Result<()> {
    if let Some(kind) = kind {
        to.write_u8(kind).await?;
    }
    to.write_u32(u32::try_from(body.len() + 4).expect("a message is below 4 GiB")).await?;
    to.write_all(body).await
}

/// `Parse` is a name, the text and the rest; `Query` is the text. Each text ends with a NUL.
fn rewrite(kind: u8, message: &mut Vec<u8>, rewrites: &[Rewrite], counts: &[AtomicUsize]) {
    let end_of_text = |from: usize, message: &[u8]| {
        message[from..].iter().position(|&byte| byte == 0).map(|length| from + length)
    };
    for (rewrite, count) in rewrites.iter().zip(counts) {
        let from = match kind {
            b'P' => end_of_text(0, message).map(|end| end + 1),
            _ => Some(0),
        };
        let Some(from) = from else { return };
        let Some(to) = end_of_text(from, message) else { return };
        let changed =
            std::str::from_utf8(&message[from..to]).ok().and_then(|sql| rewrite.apply(sql));
        if let Some(changed) = changed {
            count.fetch_add(1, Ordering::Relaxed);
            message.splice(from..to, changed.into_bytes());
        }
    }
}
