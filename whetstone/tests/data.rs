//! Reading data sets: good files, and every way of being bad.

use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use whetstone::data::{DataError, Dataset, Limits, load, names};

const ALL: Limits = Limits { train: None, test: None };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of these dimensions.
fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|dimension| dimension.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// The pixel that the synthetic image number `image` has at `place`.
fn pixel(image: usize, place: usize) -> u8 {
    ((image * 31 + place * 7) % 256) as u8
}

fn idx_images(count: usize) -> Vec<u8> {
    let values: Vec<u8> = (0..count).flat_map(|i| (0..784).map(move |p| pixel(i, p))).collect();
    idx(&[count as u32, 28, 28], &values)
}

fn idx_labels(count: usize) -> Vec<u8> {
    let values: Vec<u8> = (0..count).map(|i| (i * 3 % 10) as u8).collect();
    idx(&[count as u32], &values)
}

/// A folder with an MNIST of seven training and three test images.
fn small_mnist() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "mnist/train-images-idx3-ubyte", &idx_images(7));
    put(&folder, "mnist/train-labels-idx1-ubyte", &idx_labels(7));
    put(&folder, "mnist/t10k-images-idx3-ubyte", &idx_images(3));
    put(&folder, "mnist/t10k-labels-idx1-ubyte", &idx_labels(3));
    folder
}

/// CIFAR records from a first one on: `labels` bytes that end in the label, then three planes.
fn cifar_records(first: usize, count: usize, coarse: &[u8], classes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in first..first + count {
        bytes.extend(coarse);
        bytes.push((record % classes) as u8);
        bytes.extend((0..3072).map(|place| pixel(record, place)));
    }
    bytes
}

/// A folder with a CIFAR-10 of the training batches 1 and 3, two images each.
fn small_cifar_10() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "cifar-10/data_batch_1.bin", &cifar_records(0, 2, &[], 10));
    put(&folder, "cifar-10/data_batch_3.bin", &cifar_records(2, 2, &[], 10));
    put(&folder, "cifar-10/test_batch.bin", &cifar_records(9, 1, &[], 10));
    folder
}

fn put(folder: &TempDir, file: &str, bytes: &[u8]) {
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn remove(folder: &TempDir, file: &str) {
    fs::remove_file(folder.path().join(file)).unwrap();
}

fn load_all(name: &str, folder: &TempDir) -> Result<Dataset, DataError> {
    load(name, Some(folder.path()), ALL)
}

fn refusal(name: &str, folder: &TempDir) -> DataError {
    load_all(name, folder).expect_err("the files are bad")
}

/// The error's text, which must be one line; the folder is written as `~`.
fn text(error: &DataError, folder: &TempDir) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text.replace(&folder.path().display().to_string(), "~")
}

#[test]
fn idx_files_are_read_as_they_stand() {
    let data = load_all("mnist", &small_mnist()).unwrap();
    assert_eq!((data.name.as_str(), data.classes), ("mnist", 10));
    assert_eq!((data.height, data.width, data.channels, data.image_len()), (28, 28, 1, 784));
    assert_eq!((data.train.len(), data.test.len()), (7, 3));
    assert_eq!(data.train.labels(), [0, 3, 6, 9, 2, 5, 8]);
    for image in 0..7 {
        let expected: Vec<u8> = (0..784).map(|place| pixel(image, place)).collect();
        assert_eq!(data.train.pixels(image), expected);
    }
}

#[test]
fn gzip_is_recognised_by_its_contents() {
    let plain = load_all("mnist", &small_mnist()).unwrap();
    let folder = small_mnist();
    // One file gzipped under its plain name, one under `.gz`.
    put(&folder, "mnist/train-images-idx3-ubyte", &gzip(&idx_images(7)));
    remove(&folder, "mnist/t10k-labels-idx1-ubyte");
    put(&folder, "mnist/t10k-labels-idx1-ubyte.gz", &gzip(&idx_labels(3)));
    assert_eq!(load_all("mnist", &folder).unwrap(), plain);
}

#[test]
fn the_same_files_under_another_name_are_fashion() {
    let folder = tempfile::tempdir().unwrap();
    let mnist = small_mnist();
    fs::rename(mnist.path().join("mnist"), folder.path().join("fashion-mnist")).unwrap();
    assert_eq!(load_all("fashion-mnist", &folder).unwrap().name, "fashion-mnist");
}

#[test]
fn pixels_become_fractions_of_white_in_the_chosen_order() {
    let data = load_all("mnist", &small_mnist()).unwrap();
    let (mut images, mut labels) = (vec![9.0; 5], vec![9; 5]);
    data.train.gather(&[4, 0], &mut images, &mut labels);
    assert_eq!(labels, [2, 0]);
    assert_eq!(images.len(), 2 * 784);
    assert_eq!(images[10], f32::from(pixel(4, 10)) / 255.0);
    assert_eq!(images[784 + 783], f32::from(pixel(0, 783)) / 255.0);
    assert!(images.contains(&1.0), "white is exactly one");
    data.train.gather(&[], &mut images, &mut labels);
    assert_eq!((images.len(), labels.len()), (0, 0));
}

#[test]
fn limits_take_the_first_images() {
    let folder = small_mnist();
    let limits = Limits { train: Some(4), test: Some(100) };
    let data = load("mnist", Some(folder.path()), limits).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (4, 3));
    assert_eq!(data.train.labels(), [0, 3, 6, 9]);
    let error = load("mnist", Some(folder.path()), Limits { train: Some(0), test: None });
    assert!(matches!(error, Err(DataError::Empty { part: "training", .. })), "{error:?}");
}

#[test]
fn cifar_planes_become_pixels_and_present_batches_are_joined() {
    let data = load_all("cifar-10", &small_cifar_10()).unwrap();
    assert_eq!((data.height, data.width, data.channels, data.classes), (32, 32, 3, 10));
    assert_eq!(data.train.labels(), [0, 1, 2, 3]);
    assert_eq!(data.test.labels(), [9]);
    for image in 0..4 {
        for (y, x, channel) in [(0, 0, 0), (0, 0, 2), (3, 5, 1), (31, 31, 2)] {
            let stored = data.train.pixels(image)[(y * 32 + x) * 3 + channel];
            assert_eq!(stored, pixel(image, channel * 1024 + y * 32 + x));
        }
    }
}

#[test]
fn a_cifar_limit_may_end_within_a_batch() {
    let folder = small_cifar_10();
    for (limit, labels) in [(1, vec![0]), (2, vec![0, 1]), (3, vec![0, 1, 2])] {
        let limits = Limits { train: Some(limit), test: None };
        let data = load("cifar-10", Some(folder.path()), limits).unwrap();
        assert_eq!(data.train.labels(), labels);
    }
}

#[test]
fn cifar_100_counts_the_fine_label() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "cifar-100/train.bin", &cifar_records(95, 6, &[19], 100));
    put(&folder, "cifar-100/test.bin.gz", &gzip(&cifar_records(50, 2, &[200], 100)));
    let data = load_all("cifar-100", &folder).unwrap();
    assert_eq!(data.classes, 100);
    assert_eq!(data.train.labels(), [95, 96, 97, 98, 99, 0]);
    assert_eq!(data.train.pixels(0)[0], pixel(95, 0));
    assert_eq!(data.test.labels(), [50, 51]);
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = load("mnits", None, ALL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no data set `mnits`; known are digits, mnist, fashion-mnist, cifar-10, cifar-100"
    );
}

#[test]
fn every_set_but_the_built_in_one_asks_for_a_folder() {
    for name in names() {
        match load(name, None, ALL) {
            Ok(data) => assert_eq!(data.name, "digits"),
            Err(error) => assert!(matches!(error, DataError::FolderNeeded { .. }), "{error}"),
        }
    }
}

#[test]
fn a_missing_file_is_named_with_all_that_belong_there() {
    let folder = small_mnist();
    remove(&folder, "mnist/t10k-images-idx3-ubyte");
    assert_eq!(
        text(&refusal("mnist", &folder), &folder),
        "~/mnist/t10k-images-idx3-ubyte is missing; ~/mnist must hold train-images-idx3-ubyte, \
         train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each as it is \
         or gzipped"
    );
    for (name, first) in [
        ("mnist", "train-images-idx3-ubyte"),
        ("cifar-10", "data_batch_1.bin"),
        ("cifar-100", "train.bin"),
    ] {
        let empty = tempfile::tempdir().unwrap();
        match load_all(name, &empty) {
            Err(DataError::Missing { path, .. }) => assert!(path.ends_with(first)),
            other => panic!("{other:?}"),
        }
    }
    let folder = small_cifar_10();
    remove(&folder, "cifar-10/test_batch.bin");
    assert!(matches!(refusal("cifar-10", &folder), DataError::Missing { .. }));
}

#[test]
fn a_file_that_is_still_packed_is_answered_with_the_command() {
    let folder = small_cifar_10();
    put(&folder, "cifar-10/data_batch_2.bin.xz", b"packed");
    // A batch that lies there packed is not silently left out.
    assert_eq!(
        text(&refusal("cifar-10", &folder), &folder),
        "~/cifar-10/data_batch_2.bin is still packed; run `xz -d \
         ~/cifar-10/data_batch_2.bin.xz` first"
    );
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "cifar-100/train.bin.part1of2.xz", b"packed");
    put(&folder, "cifar-100/train.bin.part2of2.xz", b"packed");
    assert_eq!(
        text(&refusal("cifar-100", &folder), &folder),
        "~/cifar-100/train.bin is still packed; run `xz -dc ~/cifar-100/train.bin.part*.xz > \
         ~/cifar-100/train.bin` first"
    );
}

#[test]
fn a_file_cut_short_or_too_long_is_refused() {
    let cut_images = idx_images(7)[..5_000].to_vec();
    let mut long_labels = idx_labels(7);
    long_labels.push(0);
    for (file, bytes) in [
        ("mnist/train-images-idx3-ubyte", cut_images),
        ("mnist/train-images-idx3-ubyte", idx_images(7)[..9].to_vec()),
        ("mnist/train-images-idx3-ubyte", Vec::new()),
        ("mnist/train-labels-idx1-ubyte", long_labels),
        // Dimensions whose product is beyond 64 bits.
        ("mnist/train-images-idx3-ubyte", idx(&[u32::MAX, u32::MAX, u32::MAX], &[])),
    ] {
        let folder = small_mnist();
        put(&folder, file, &bytes);
        let error = refusal("mnist", &folder);
        assert!(matches!(error, DataError::WrongLength { .. }), "{error}");
        assert!(text(&error, &folder).starts_with(&format!("~/{file} holds {}", bytes.len())));
    }
    let folder = small_cifar_10();
    put(&folder, "cifar-10/data_batch_3.bin", &cifar_records(0, 2, &[], 10)[1..]);
    assert_eq!(
        text(&refusal("cifar-10", &folder), &folder),
        "~/cifar-10/data_batch_3.bin holds 6145 bytes where whole records of 3073 are expected; \
         it was cut short or is another file: fetch it again"
    );
}

#[test]
fn a_gzip_file_cut_short_is_refused() {
    let folder = small_mnist();
    let packed = gzip(&idx_images(7));
    put(&folder, "mnist/train-images-idx3-ubyte", &packed[..packed.len() / 2]);
    let error = refusal("mnist", &folder);
    assert!(matches!(error, DataError::Unreadable { .. }), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = small_mnist();
    put(&folder, "mnist/train-images-idx3-ubyte", &idx_labels(7));
    assert_eq!(
        text(&refusal("mnist", &folder), &folder),
        "~/mnist/train-images-idx3-ubyte begins with 0x00000801 and not with 0x00000803: it is \
         not an IDX file of images; fetch it again"
    );
}

#[test]
fn images_of_another_size_are_refused() {
    let folder = small_mnist();
    put(&folder, "mnist/train-images-idx3-ubyte", &idx(&[7, 8, 8], &[0; 7 * 64]));
    let error = refusal("mnist", &folder);
    assert!(matches!(error, DataError::WrongSize { found: [8, 8], .. }), "{error}");
}

#[test]
fn images_and_labels_that_do_not_pair_are_refused() {
    let folder = small_mnist();
    put(&folder, "mnist/t10k-labels-idx1-ubyte", &idx_labels(4));
    let error = refusal("mnist", &folder);
    assert!(matches!(error, DataError::Unpaired { images: 3, labels: 4, .. }), "{error}");
}

#[test]
fn a_label_that_is_no_class_is_refused() {
    let folder = small_mnist();
    put(&folder, "mnist/train-labels-idx1-ubyte", &idx(&[7], &[0, 1, 2, 10, 4, 5, 6]));
    assert_eq!(
        text(&refusal("mnist", &folder), &folder),
        "record 3 of ~/mnist/train-labels-idx1-ubyte is labelled 10, but labels go from 0 to 9; \
         it is damaged or another data set"
    );
    // CIFAR-100 records read as CIFAR-10 would not divide; the labels catch what does.
    let folder = small_cifar_10();
    put(&folder, "cifar-10/test_batch.bin", &cifar_records(11, 1, &[], 100));
    let error = refusal("cifar-10", &folder);
    let label_out = matches!(error, DataError::LabelOutOfRange { record: 0, label: 11, .. });
    assert!(label_out, "{error}");
}

#[test]
fn a_path_that_is_a_file_is_not_taken_for_an_absent_one() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "mnist", b"a file where a folder should be");
    let error = load("mnist", Some(Path::new(folder.path())), ALL).unwrap_err();
    assert!(matches!(error, DataError::Unreadable { .. }), "{error}");
}

#[test]
fn every_data_set_that_may_be_asked_for_can_be_loaded_and_no_other() {
    assert_eq!(names().collect::<Vec<_>>(), recipe::DATASETS);
}

#[test]
fn packed_files_are_looked_at_as_closely_as_plain_ones() {
    let folder = small_mnist();
    put(&folder, "mnist/train-images-idx3-ubyte", &gzip(&idx_labels(7)));
    assert!(matches!(refusal("mnist", &folder), DataError::WrongMagic { .. }));
    put(&folder, "mnist/train-images-idx3-ubyte", &gzip(&idx_images(7)[..4_000]));
    assert!(matches!(refusal("mnist", &folder), DataError::WrongLength { .. }));
    put(&folder, "mnist/train-images-idx3-ubyte", b"\x1f\x8bno gzip after all");
    assert!(matches!(refusal("mnist", &folder), DataError::Unreadable { .. }));
}

#[test]
fn the_files_of_another_data_set_are_refused() {
    // Two labels a record where one is expected, and the other way round.
    let folder = small_cifar_10();
    put(&folder, "cifar-10/data_batch_1.bin", &cifar_records(0, 5, &[3], 100));
    assert!(matches!(refusal("cifar-10", &folder), DataError::WrongLength { .. }));
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "cifar-100/train.bin", &cifar_records(0, 5, &[], 10));
    put(&folder, "cifar-100/test.bin", &cifar_records(0, 5, &[], 10));
    assert!(matches!(refusal("cifar-100", &folder), DataError::WrongLength { .. }));
    // MNIST where CIFAR is expected.
    put(&folder, "cifar-100/train.bin", &idx_images(7));
    assert!(matches!(refusal("cifar-100", &folder), DataError::WrongLength { .. }));
    // Another type of value in an IDX file: 32-bit floats.
    let folder = small_mnist();
    let mut floats = idx_images(7);
    floats[2] = 0x0d;
    put(&folder, "mnist/train-images-idx3-ubyte", &floats);
    assert!(matches!(refusal("mnist", &folder), DataError::WrongMagic { .. }));
    let folder = small_cifar_10();
    put(&folder, "cifar-10/test_batch.bin", b"");
    assert!(matches!(refusal("cifar-10", &folder), DataError::Empty { part: "test", .. }));
}
