//! What a server needs to check a password by SCRAM-SHA-256 (RFC 5802, RFC 7677), without the password.

use sha2::{Digest as _, Sha256};

/// As Postgres itself does: more costs every log-in that much.
pub const ITERATIONS: u32 = 4_096;

/// A block of SHA-256 in bytes, which HMAC pads its key to.
const BLOCK: usize = 64;

/// What is kept of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Proves that whoever logs in knows it.
    pub stored: [u8; 32],
    /// Proves to them that the server does.
    pub server: [u8; 32],
}

/// The keys of a password of printable ASCII; others would have to be normalised first.
///
/// # Panics
///
/// If the password has other characters.
pub fn keys(password: &str, salt: &[u8]) -> Keys {
    assert!(is_plain(password), "passwords were checked where they were read");
    let salted = salted(password.as_bytes(), salt);
    let stored = Sha256::digest(hmac(&salted, b"Client Key")).into();
    Keys { stored, server: hmac(&salted, b"Server Key") }
}

/// Whether a password is one that [`keys`] takes.
pub fn is_plain(password: &str) -> bool {
    !password.is_empty() && password.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC, one block of it.
fn salted(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()[..]].concat());
    let mut sum = last;
    for _ in 1..ITERATIONS {
        last = hmac(password, &last);
        for (sum, byte) in sum.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    sum
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    match key.len() > BLOCK {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_the_published_vectors() {
        // RFC 4231, test cases 1, 2 and 6.
        let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn passwords_are_printable_ascii() {
        assert!(is_plain("pencil ~!"));
        for other in ["", "p\u{e4}ncil", "pencil\n"] {
            assert!(!is_plain(other), "{other:?}");
        }
    }
}
