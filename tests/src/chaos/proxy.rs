//! A TCP connection that goes wrong: a listener on loopback which passes bytes on, unless told to
//! hold them back, tear them, swallow them or forget an answer.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;

/// How long the far end of a swallowed connection stays open after the near one has gone: as a
/// machine that vanished says no goodbye. Longer than a session may sit idle in a transaction.
const UNAWARE: Duration = Duration::from_secs(12);

/// What a connection leads to.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// A server on loopback.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
    /// Nobody.
    Nowhere,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trouble {
    /// Every piece is held back for so long, in both directions.
    pub delay: Duration,
    /// Share of the pieces of which only half arrives before the connection breaks.
    pub torn: f64,
    /// Share of the answers that are lost after their request went through; the connection breaks.
    pub lost_answers: f64,
    /// Bytes disappear, both ways, and no connection breaks. One that lost any stays like that.
    pub swallowed: bool,
    /// New connections are closed at once and old ones are broken.
    pub closed: bool,
}

/// What went wrong so far.
#[derive(Debug, Default)]
pub struct Damage {
    /// Connections broken in mid-piece.
    pub torn: AtomicU64,
    /// Answers lost.
    pub lost_answers: AtomicU64,
    /// Connections turned into black holes.
    pub swallowed: AtomicU64,
}

struct Shared {
    upstream: Mutex<Upstream>,
    trouble: watch::Sender<Trouble>,
    dice: Mutex<Dice>,
    damage: Damage,
}

/// A listener in front of something.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of loopback.
    pub async fn start(upstream: Upstream, dice: Dice) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            trouble: watch::Sender::new(Trouble::default()),
            dice: Mutex::new(dice),
            damage: Damage::default(),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listening })
    }

    /// New connections lead elsewhere from now on.
    pub fn lead_to(&self, upstream: Upstream) {
        *self.shared.upstream.lock().expect("nobody panics with it") = upstream;
    }

    /// From now on this goes wrong.
    pub fn suffer(&self, trouble: Trouble) {
        self.shared.trouble.send_replace(trouble);
    }

    /// Nothing goes wrong any more, except where bytes were swallowed.
    pub fn heal(&self) {
        self.suffer(Trouble::default());
    }

    /// What went wrong so far.
    pub fn damage(&self) -> &Damage {
        &self.shared.damage
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // Out of file handles, perhaps: the next moment is better.
        let Ok((near, _)) = listener.accept().await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        if shared.trouble.borrow().closed {
            continue;
        }
        tokio::spawn(pass(near, Arc::clone(&shared)));
    }
}

type Reading = Box<dyn AsyncRead + Send + Unpin>;
type Writing = Box<dyn AsyncWrite + Send + Unpin>;

async fn reach(upstream: &Upstream) -> std::io::Result<(Reading, Writing)> {
    match upstream {
        Upstream::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (read, write) = stream.into_split();
            Ok((Box::new(read), Box::new(write)))
        }
        Upstream::Unix(path) => {
            let (read, write) = UnixStream::connect(path).await?.into_split();
            Ok((Box::new(read), Box::new(write)))
        }
        Upstream::Nowhere => Err(std::io::ErrorKind::ConnectionRefused.into()),
    }
}

/// One connection, as both of its directions know it.
#[derive(Default)]
struct Link {
    /// Bytes of it were swallowed: it is a black hole for good.
    black: AtomicBool,
    /// A request went up whose answer has not come down yet.
    asked: AtomicBool,
    /// It breaks now.
    broken: CancellationToken,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Up,
    Down,
}

async fn pass(near: TcpStream, shared: Arc<Shared>) {
    let upstream = shared.upstream.lock().expect("nobody panics with it").clone();
    // Dropping the near end tells the caller that nobody is there.
    let Ok((far_read, far_write)) = reach(&upstream).await else { return };
    if near.set_nodelay(true).is_err() {
        return;
    }
    let (near_read, near_write) = near.into_split();
    let link = Arc::new(Link::default());
    let up = pump(Box::new(near_read), far_write, Way::Up, &shared, &link);
    let down = pump(far_read, Box::new(near_write), Way::Down, &shared, &link);
    tokio::join!(up, down);
}

/// Passes bytes on in one direction until either end is done or the connection breaks.
async fn pump(mut from: Reading, mut to: Writing, way: Way, shared: &Shared, link: &Link) {
    let mut piece = vec![0; 16 << 10];
    let mut changes = shared.trouble.subscribe();
    loop {
        let trouble = *changes.borrow_and_update();
        if trouble.closed {
            link.broken.cancel();
        }
        let read = tokio::select! {
            biased;
            () = link.broken.cancelled() => return,
            _ = changes.changed() => continue,
            read = from.read(&mut piece) => read.unwrap_or(0),
        };
        if trouble.swallowed && !link.black.swap(true, Ordering::Relaxed) {
            shared.damage.swallowed.fetch_add(1, Ordering::Relaxed);
        }
        if link.black.load(Ordering::Relaxed) {
            if read > 0 {
                continue;
            }
            // The other end does not learn that this one has gone.
            sleep(UNAWARE).await;
            return link.broken.cancel();
        }
        if read == 0 {
            // The other direction may still have something to say.
            let _gone = to.shutdown().await;
            return;
        }
        if trouble.delay > Duration::ZERO {
            sleep(trouble.delay).await;
        }
        match way {
            Way::Up => link.asked.store(true, Ordering::Relaxed),
            Way::Down => {
                let answers = link.asked.swap(false, Ordering::Relaxed);
                if answers && shared.rolls(trouble.lost_answers) {
                    shared.damage.lost_answers.fetch_add(1, Ordering::Relaxed);
                    return link.broken.cancel();
                }
            }
        }
        if shared.rolls(trouble.torn) {
            shared.damage.torn.fetch_add(1, Ordering::Relaxed);
            let _gone = to.write_all(&piece[..read / 2]).await;
            return link.broken.cancel();
        }
        if to.write_all(&piece[..read]).await.is_err() {
            return link.broken.cancel();
        }
    }
}

impl Shared {
    fn rolls(&self, probability: f64) -> bool {
        probability > 0.0 && self.dice.lock().expect("nobody panics with it").chance(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte with the next one.
    async fn successor() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_u8(byte + 1).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, byte: u8) -> Option<u8> {
        stream.write_u8(byte).await.ok()?;
        let answer = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
        answer.ok()?.ok()
    }

    #[tokio::test]
    async fn each_trouble_does_what_it_says_and_ends_when_it_is_healed() {
        let upstream = Upstream::Tcp(successor().await);
        let proxy = Proxy::start(upstream, Dice::new(1, "proxy")).await.unwrap();
        let connect = || TcpStream::connect(proxy.address);
        let mut first = connect().await.unwrap();
        assert_eq!(ask(&mut first, 1).await, Some(2));

        proxy.suffer(Trouble { delay: Duration::from_millis(50), ..Trouble::default() });
        let begun = std::time::Instant::now();
        assert_eq!(ask(&mut first, 2).await, Some(3));
        assert!(begun.elapsed() >= Duration::from_millis(100), "both ways");

        proxy.suffer(Trouble { lost_answers: 1.0, ..Trouble::default() });
        assert_eq!(ask(&mut first, 3).await, None);
        assert_eq!(proxy.damage().lost_answers.load(Ordering::Relaxed), 1);

        proxy.heal();
        let mut second = connect().await.unwrap();
        assert_eq!(ask(&mut second, 4).await, Some(5));
        proxy.suffer(Trouble { swallowed: true, ..Trouble::default() });
        assert_eq!(ask(&mut second, 5).await, None);
        proxy.heal();
        assert_eq!(ask(&mut second, 6).await, None, "a black hole stays one");
        assert_eq!(ask(&mut connect().await.unwrap(), 7).await, Some(8));

        proxy.suffer(Trouble { closed: true, ..Trouble::default() });
        assert_eq!(ask(&mut connect().await.unwrap(), 8).await, None);
    }
}
