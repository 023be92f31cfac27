//! Named arrays of numbers and a description of them, as one safetensors file.
//!
//! The format is that of <https://github.com/huggingface/safetensors>: eight bytes that give the
//! length of a JSON header, the header, the numbers, little end first. The description stands in
//! the header's `__metadata__`, as JSON under the one key `strop`. Other programs can read the
//! arrays without knowing anything of it.
//!
//! Files come from elsewhere, so reading trusts nothing: it never allocates more than a small
//! multiple of the bytes that are there.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Under which name the header holds the description.
const DESCRIPTION: &str = "strop";
/// Where the format keeps what is no array.
const METADATA: &str = "__metadata__";
/// The length of the header's length.
const LENGTH: usize = 8;
/// Several hundred times the header of the deepest network; more is no file of ours.
const HEADER_MAX: usize = 4 << 20;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are no safetensors file, or were cut short.
    #[error("it is cut short, damaged, or no safetensors file: {0}")]
    Malformed(String),
    /// The file is sound, but was not written here.
    #[error("its description cannot be understood: {0}")]
    Description(String),
    /// The file holds something else.
    #[error("it holds a {found}, not a {needed}")]
    OtherKind {
        /// What it holds.
        found: String,
        /// What it should hold.
        needed: &'static str,
    },
    /// Written by a version of Strop that does it differently.
    #[error("it has format {found}; this version reads format {needed}")]
    Version {
        /// The format found.
        found: u32,
        /// The format that is read here.
        needed: u32,
    },
    /// An array is missing.
    #[error("it holds no array `{name}`")]
    Missing {
        /// The array's name.
        name: String,
    },
    /// An array has another shape or type than the network it should fill.
    #[error("its array `{name}` is {found}; the network needs {needed}")]
    Unfit {
        /// The array's name.
        name: String,
        /// Type and shape found.
        found: String,
        /// Type and shape needed.
        needed: String,
    },
    /// An array is there that nothing needs, so that the file describes something else.
    #[error("it holds an array `{name}` that the network has no place for")]
    Excess {
        /// The array's name.
        name: String,
    },
}

/// What a file holds, in which format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The word for it.
    pub(crate) name: &'static str,
    /// Changes whenever older programs would misread it, or this one older files.
    pub(crate) version: u32,
}

/// The description as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u32,
    /// CRC-32 of the contents and all arrays.
    checksum: u32,
    contents: Value,
}

/// A number type that archives hold.
pub(crate) trait Number: Copy {
    const DTYPE: Dtype;
    fn write(self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! number {
    ($number:ident, $dtype:ident) => {
        impl Number for $number {
            const DTYPE: Dtype = Dtype::$dtype;

            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Vec<Self> {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|bytes| $number::from_le_bytes(*bytes)).collect()
            }
        }
    };
}
number!(f32, F32);
number!(f64, F64);

/// One array: its numbers as bytes, little end first, so that every bit survives.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Arrays by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Archive {
    arrays: BTreeMap<String, Array>,
}

impl Archive {
    /// Adds an array, row-major.
    pub(crate) fn put<N: Number>(&mut self, name: impl Into<String>, shape: &[usize], of: &[N]) {
        debug_assert_eq!(shape.iter().product::<usize>(), of.len());
        let mut bytes = Vec::with_capacity(size_of_val(of));
        of.iter().for_each(|number| number.write(&mut bytes));
        let array = Array { dtype: N::DTYPE, shape: shape.to_vec(), bytes };
        self.arrays.insert(name.into(), array);
    }

    /// The numbers of an array, if it has this type and shape.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Missing`], [`ArchiveError::Unfit`].
    pub(crate) fn get<N: Number>(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<N>, ArchiveError> {
        let array =
            self.arrays.get(name).ok_or_else(|| ArchiveError::Missing { name: name.to_owned() })?;
        if array.dtype != N::DTYPE || array.shape != shape {
            return Err(ArchiveError::Unfit {
                name: name.to_owned(),
                found: format!("{:?} {:?}", array.dtype, array.shape),
                needed: format!("{:?} {shape:?}", N::DTYPE),
            });
        }
        Ok(N::read(&array.bytes))
    }

    /// Makes sure that there is no array but these.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Excess`] names one that is not among them.
    pub(crate) fn only(&self, names: &BTreeSet<String>) -> Result<(), ArchiveError> {
        match self.arrays.keys().find(|name| !names.contains(*name)) {
            Some(name) => Err(ArchiveError::Excess { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// The file that holds these arrays and a description. The same contents give the same bytes.
    pub(crate) fn to_bytes(&self, kind: Kind, contents: &impl Serialize) -> Vec<u8> {
        let contents = serde_json::to_value(contents).expect("JSON, because every key is a text");
        let description = json!(Envelope {
            kind: kind.name.to_owned(),
            version: kind.version,
            checksum: self.checksum(&contents),
            contents,
        })
        .to_string();
        let metadata = HashMap::from([(DESCRIPTION.to_owned(), description)]);
        let views = self.arrays.iter().map(|(name, array)| {
            let view = TensorView::new(array.dtype, array.shape.clone(), &array.bytes);
            (name, view.expect("as many bytes as the shape says, because `put` wrote them"))
        });
        safetensors::serialize(views, Some(metadata))
            .expect("a header within the format's limit, because layers are few")
    }

    /// Of everything that is not checked otherwise: a bit that fell over would train on unseen.
    fn checksum(&self, contents: &Value) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(contents.to_string().as_bytes());
        for (name, array) in &self.arrays {
            crc.update(format!("{name} {:?} {:?}", array.dtype, array.shape).as_bytes());
            crc.update(&array.bytes);
        }
        crc.sum()
    }

    /// Reads a file of this kind back.
    ///
    /// # Errors
    ///
    /// Any [`ArchiveError`] but those of [`Archive::get`] and [`Archive::only`].
    pub(crate) fn from_bytes<D: DeserializeOwned>(
        kind: Kind,
        bytes: &[u8],
    ) -> Result<(Archive, D), ArchiveError> {
        let (header, numbers) = parts(bytes).ok_or_else(|| malformed("its header is not whole"))?;
        let mut header: BTreeMap<String, Value> =
            serde_json::from_slice(header).map_err(|error| malformed(&error.to_string()))?;
        let metadata = header.remove(METADATA);
        let text = metadata
            .as_ref()
            .and_then(|metadata| metadata.get(DESCRIPTION)?.as_str())
            .ok_or_else(|| ArchiveError::Description("it has none by Strop".into()))?;
        let unclear = |error: serde_json::Error| ArchiveError::Description(error.to_string());
        // Two steps, since what another version has inside is no matter.
        let envelope: Envelope = serde_json::from_str(text).map_err(unclear)?;
        let Envelope { kind: found, version, checksum, contents } = envelope;
        if found != kind.name {
            return Err(ArchiveError::OtherKind { found, needed: kind.name });
        }
        if version != kind.version {
            return Err(ArchiveError::Version { found: version, needed: kind.version });
        }
        let mut archive = Archive::default();
        let mut unclaimed = numbers.len();
        for (name, entry) in header {
            // Arrays that share bytes could make of a small file a large one.
            let array = array(entry, numbers).filter(|array| array.bytes.len() <= unclaimed);
            let array =
                array.ok_or_else(|| malformed(&format!("`{name}` is not what the header says")))?;
            unclaimed -= array.bytes.len();
            archive.arrays.insert(name, array);
        }
        if checksum != archive.checksum(&contents) {
            return Err(malformed("its checksum is another"));
        }
        Ok((archive, serde_json::from_value(contents).map_err(unclear)?))
    }
}

/// What the header says of one array.
#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

fn malformed(what: &str) -> ArchiveError {
    ArchiveError::Malformed(what.to_owned())
}

/// Header and numbers of a file. The crate's own reader adds up unchecked sizes here.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    (length <= HEADER_MAX).then(|| rest.split_at_checked(length)).flatten()
}

/// The array of a header's entry, or nothing if its bytes are not there or not as many as its
/// shape needs.
fn array(entry: Value, numbers: &[u8]) -> Option<Array> {
    let Entry { dtype, shape, data_offsets: (start, end) } = serde_json::from_value(entry).ok()?;
    let bytes = numbers.get(start..end)?;
    let width = match dtype {
        Dtype::F32 => size_of::<f32>(),
        Dtype::F64 => size_of::<f64>(),
        _ => return None,
    };
    let needed = shape.iter().try_fold(width, |size, length| size.checked_mul(*length))?;
    (needed == bytes.len()).then(|| Array { dtype, shape, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    const KIND: Kind = Kind { name: "example", version: 3 };

    fn read(bytes: &[u8]) -> Result<(Archive, Vec<f64>), ArchiveError> {
        Archive::from_bytes(KIND, bytes)
    }

    fn example() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.put("a", &[2, 3], &[1.0f32, f32::NAN, -0.0, 4.0, 1e-45, f32::INFINITY]);
        archive.put("b", &[2], &[0.1f64, -5e-324]);
        archive.put("nothing", &[0], &[0f32; 0]);
        archive.to_bytes(KIND, &vec![1.5, 2.5])
    }

    #[test]
    fn every_bit_survives_and_others_can_read_it() {
        let bytes = example();
        let (archive, said) = read(&bytes).unwrap();
        assert_eq!(said, [1.5, 2.5]);
        let bits: Vec<u32> =
            archive.get::<f32>("a", &[2, 3]).unwrap().iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits[1..3], [f32::NAN.to_bits(), (-0.0f32).to_bits()]);
        assert_eq!(archive.get::<f64>("b", &[2]).unwrap(), [0.1, -5e-324]);
        assert!(archive.get::<f32>("nothing", &[0]).unwrap().is_empty());
        assert_eq!(archive.to_bytes(KIND, &said), bytes, "the same contents, the same bytes");

        let foreign = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(foreign.tensor("a").unwrap().shape(), [2, 3]);
        assert_eq!(foreign.tensor("b").unwrap().data()[..8], 0.1f64.to_le_bytes());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (archive, _) = read(&example()).unwrap();
        let of = |error: ArchiveError| error.to_string();
        assert!(of(archive.get::<f32>("c", &[2]).unwrap_err()).contains("`c`"));
        assert!(of(archive.get::<f32>("b", &[2]).unwrap_err()).contains("F64 [2]"));
        assert!(of(archive.get::<f64>("b", &[1, 2]).unwrap_err()).contains("[1, 2]"));
        let mut names = ["a", "b", "c", "nothing"].map(str::to_owned).into();
        assert_eq!(archive.only(&names), Ok(()));
        names.remove("b");
        assert!(of(archive.only(&names).unwrap_err()).contains("`b`"));
    }

    #[test]
    fn another_kind_or_version_is_told_apart() {
        let bytes = example();
        let other = Kind { name: "another", ..KIND };
        let error = Archive::from_bytes::<Vec<f64>>(other, &bytes).unwrap_err();
        assert_eq!(error.to_string(), "it holds a example, not a another");
        let later = Kind { version: 4, ..KIND };
        let error = Archive::from_bytes::<Vec<f64>>(later, &bytes).unwrap_err();
        assert_eq!(error, ArchiveError::Version { found: 3, needed: 4 });
        let error = Archive::from_bytes::<Vec<String>>(KIND, &bytes).unwrap_err();
        assert!(matches!(error, ArchiveError::Description(_)), "{error}");
    }

    #[test]
    fn no_damage_gets_through_or_brings_it_down() {
        let whole = example();
        for length in 0..whole.len() {
            read(&whole[..length]).unwrap_err();
        }
        for place in 0..whole.len() {
            for change in [1, 4, 0x40, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] ^= change;
                assert!(read(&damaged).is_err(), "byte {place} changed by {change}");
            }
        }
        let file = |header: &str| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 16]);
            bytes
        };
        // Sound but for the checksum, which is looked at last.
        const SAID: &str = r#"{\"kind\":\"example\",\"version\":3,\"checksum\":0,\"contents\":[]}"#;
        let unsummed = Err(malformed("its checksum is another"));
        let with =
            |entry: &str| file(&format!(r#"{{"__metadata__":{{"strop":"{SAID}"}},"a":{entry}}}"#));
        let read = |bytes: &[u8]| read(bytes).map(|_| ());
        assert_eq!(read(&with(r#"{"dtype":"F32","shape":[4],"data_offsets":[0,16]}"#)), unsummed);
        for entry in [
            r#"{"dtype":"F32","shape":[4],"data_offsets":[0,17]}"#,
            r#"{"dtype":"F32","shape":[4],"data_offsets":[16,0]}"#,
            r#"{"dtype":"F32","shape":[5],"data_offsets":[0,16]}"#,
            r#"{"dtype":"I32","shape":[4],"data_offsets":[0,16]}"#,
            r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}"#,
            r#"{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}"#,
            r#"{"dtype":"F32","shape":[4],"data_offsets":[0,18446744073709551615]}"#,
            "7",
        ] {
            let refused = matches!(read(&with(entry)), Err(ArchiveError::Malformed(_)));
            assert!(refused && read(&with(entry)) != unsummed, "{entry}");
        }
        let shared = r#"{"dtype":"F64","shape":[2],"data_offsets":[0,16]}, "b":
            {"dtype":"F64","shape":[1],"data_offsets":[8,16]}"#;
        assert!(matches!(read(&with(shared)), Err(ArchiveError::Malformed(_))));
        assert_ne!(read(&with(shared)), unsummed);
        let undescribed = file("{}");
        assert!(matches!(read(&undescribed), Err(ArchiveError::Description(_))));
        let mut endless = whole.clone();
        endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(read(&endless), Err(ArchiveError::Malformed(_))));
        let nested = file(&format!("{{\"a\":{}", "[".repeat(100_000)));
        assert!(matches!(read(&nested), Err(ArchiveError::Malformed(_))));
    }
}
