//! The few words of PostgreSQL's protocol that it takes to see whether a server is ready, and to
//! create a database without a client program.
//!
//! Reference: PostgreSQL documentation, "Frontend/Backend Protocol", version 3.0.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Version 3.0: the major number in the upper half.
const PROTOCOL: i32 = 3 << 16;
/// A server that lives answers within milliseconds; creating a database copies a template.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Far above any message in these exchanges: a guard against talking to something else.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a server said to an attempt to connect.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// Connected.
    Ready(Connection),
    /// It lives and will be ready (SQLSTATE 57P03), or is stopping (57P01, 57P02).
    NotNow,
    /// It has no such database (3D000).
    NoDatabase,
    /// Any other refusal, in its words.
    Refused(String),
}

/// An open connection of user `strop`.
#[derive(Debug)]
pub(crate) struct Connection(UnixStream);

/// A refusal: SQLSTATE and message.
struct Refusal {
    code: String,
    message: String,
}

/// Connects as `strop`.
///
/// # Errors
///
/// If nobody listens at the socket, or what listens does not speak the protocol.
pub(crate) fn greet(socket: &Path, database: &str) -> io::Result<Greeting> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for word in ["user", "strop", "database", database, "application_name", "strop-server"] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    stream.write_all(&framed(&body))?;
    let mut connection = Connection(stream);
    Ok(match connection.until_ready()? {
        None => Greeting::Ready(connection),
        Some(refusal) => match refusal.code.as_str() {
            "57P01" | "57P02" | "57P03" => Greeting::NotNow,
            "3D000" => Greeting::NoDatabase,
            _ => Greeting::Refused(refusal.message),
        },
    })
}

impl Connection {
    /// Runs a statement whose rows, if any, are not wanted; the refusal's text if it fails.
    pub fn execute(&mut self, statement: &str) -> io::Result<Result<(), String>> {
        let mut message = vec![b'Q'];
        let mut body = statement.as_bytes().to_vec();
        body.push(0);
        message.extend_from_slice(&framed(&body));
        self.0.write_all(&message)?;
        let refusal = self.until_ready()?;
        Ok(refusal.map_or(Ok(()), |refusal| Err(refusal.message)))
    }

    /// Reads up to `ReadyForQuery`, or up to a refusal that ends the connection.
    fn until_ready(&mut self) -> io::Result<Option<Refusal>> {
        let mut refusal = None;
        loop {
            let mut head = [0; 5];
            match self.0.read_exact(&mut head) {
                Ok(()) => {}
                // A refused connection is closed after the error.
                Err(_) if refusal.is_some() => return Ok(refusal),
                Err(error) => return Err(error),
            }
            let [kind, length @ ..] = head;
            let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
            if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                return Err(not_postgres());
            }
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body)?;
            match kind {
                b'Z' => return Ok(refusal),
                b'E' => refusal = Some(self::refusal(&body)),
                // Authentication: only "none needed" (0) can come, as the socket is trusted.
                b'R' if body != [0; 4] => return Err(not_postgres()),
                _ => {}
            }
        }
    }
}

/// A length in front, which counts itself.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).expect("fits because statements here are short");
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(body);
    framed
}

/// The fields of an `ErrorResponse`: a letter and a text each, with a zero after it.
fn refusal(body: &[u8]) -> Refusal {
    let field = |letter: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&letter))
            .map_or_else(String::new, |field| String::from_utf8_lossy(&field[1..]).into_owned())
    };
    Refusal { code: field(b'C'), message: field(b'M') }
}

fn not_postgres() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not PostgreSQL's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_gives_its_code_and_message() {
        let body = b"SFATAL\0VFATAL\0C3D000\0Mdatabase \"x\" does not exist\0\0";
        let refusal = refusal(body);
        assert_eq!(refusal.code, "3D000");
        assert_eq!(refusal.message, "database \"x\" does not exist");
    }

    #[test]
    fn a_listener_that_speaks_another_language_is_an_error_and_no_hang() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        assert!(greet(&socket, "strop").is_err());
        other.join().unwrap();
    }
}
