//! [`Address`]: where the coordinator is.

use std::fmt;
use std::str::FromStr;

use tonic::transport::Endpoint;

/// The address of a coordinator, as a person wrote it and as a connection wants it.
#[derive(Clone, Debug)]
pub struct Address {
    text: String,
    endpoint: Endpoint,
}

/// Why a text is not the address of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL with a host.
    #[error("`{0}` is not an address: write http://HOST:PORT")]
    Malformed(String),
    /// A scheme other than http.
    #[error("`{0}` asks for `{1}`, but a worker speaks plain http: write http://HOST:PORT")]
    Scheme(String, String),
}

impl Address {
    /// What a connection is made from.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let text = text.trim().trim_end_matches('/');
        let malformed = || AddressError::Malformed(text.to_owned());
        let endpoint = Endpoint::from_shared(text.to_owned()).map_err(|_| malformed())?;
        if endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(malformed());
        }
        match endpoint.uri().scheme_str() {
            Some("http") => Ok(Address { text: text.to_owned(), endpoint }),
            Some(other) => Err(AddressError::Scheme(text.to_owned(), other.to_owned())),
            None => Err(malformed()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_plain_http_and_a_host() {
        let address: Address = "http://coordinator:50051/".parse().unwrap();
        assert_eq!(address.to_string(), "http://coordinator:50051");
        for wrong in ["coordinator:50051", "", "http://", "/run/strop.sock"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        let tls = "https://coordinator".parse::<Address>().unwrap_err();
        assert!(matches!(tls, AddressError::Scheme(..)), "{tls}");
    }
}
