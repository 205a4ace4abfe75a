//! PyTorch files: what is read, and what is refused. Nothing in a file may run, hang, or take memory without bound.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
    path::Path,
    time::{Duration, Instant},
};

use memscope_torch_file::{ElementType, TorchFile, TorchFileError, is_torch_file, read_state_dict};
use safetensors::{Dtype, SafeTensors};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// An archive of the given entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn pickled(pickle: &[u8], storage: &[u8]) -> Result<TorchFile, TorchFileError> {
    TorchFile::from_bytes(archive(&[("model/data.pkl", pickle), ("model/data/0", storage)]))
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn int(value: i32) -> Vec<u8> {
    [&b"J"[..], &value.to_le_bytes()].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [&b"("[..], &items.concat(), b"t"].concat()
}

/// What torch.save writes for a tensor of float32.
fn tensor(key: &str, elements: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let storage = [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(key), text("cpu"), int(elements)];
    let sizes = |sizes: &[i32]| tuple(&sizes.iter().map(|size| int(*size)).collect::<Vec<_>>());
    let arguments = [
        [tuple(&storage), b"Q".to_vec()].concat(),
        int(offset),
        sizes(shape),
        sizes(strides),
        vec![0x89],
        b"ccollections\nOrderedDict\n)R".to_vec(),
    ];
    [&b"ctorch._utils\n_rebuild_tensor_v2\n"[..], &tuple(&arguments), b"R"].concat()
}

/// A dictionary of one item.
fn state_dict(value: &[u8]) -> Vec<u8> {
    [&b"\x80\x02}"[..], &text("weight"), value, b"s."].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Name → type as safetensors has it, shape, bytes: what torch read back (`scripts/fixtures/make_torch_files.py`).
fn expected(prefix: &str) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(fixture("values.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let below = file.iter().filter_map(|(name, view)| Some((name.strip_prefix(prefix)?.to_owned(), view)));
    below.map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))).collect()
}

fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F32 => Dtype::F32,
        ElementType::F64 => Dtype::F64,
        ElementType::F16 => Dtype::F16,
        ElementType::Bf16 => Dtype::BF16,
        ElementType::I64 => Dtype::I64,
        ElementType::U8 => Dtype::U8,
        ElementType::Bool => Dtype::BOOL,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_torchscript_archive_has_the_names_of_its_modules() {
    let file = TorchFile::open(&fixture("module.pt")).unwrap();
    for (name, (_, shape, bytes)) in expected("module.") {
        let tensor = file.read(&name).unwrap();
        assert_eq!((tensor.element, tensor.shape, tensor.bytes), (ElementType::F32, shape, bytes), "{name}");
    }
    assert_eq!(file.number("power"), Some(3.0));
}

#[test]
fn what_a_trainer_saved_is_read_as_torch_reads_it() {
    let expected = expected("model.");
    assert_eq!(expected.len(), 15);
    for name in ["zip.ckpt", "legacy.ckpt"] {
        let read = read_state_dict(&fixture(name)).unwrap();
        assert_eq!(read.len(), expected.len(), "{name}");
        let file = TorchFile::open(&fixture(name)).unwrap();
        assert_eq!(file.number("global_step"), Some(470000.0));
        let whole = std::fs::read(fixture(name)).unwrap();
        for (tensor, (kind, shape, bytes)) in &expected {
            let stored = &read[&format!("state_dict.model.{tensor}")];
            let stored = (dtype(stored.element), &stored.shape, &stored.bytes);
            assert_eq!(stored, (*kind, shape, bytes), "{name}: {tensor}");
            let place = file.place(&format!("state_dict.model.{tensor}")).unwrap();
            let is_strided = ["transposed", "channels_last", "column"].contains(&tensor.as_str());
            assert_eq!(place.strides.is_some(), is_strided, "{name}: {tensor}");
            if !is_strided {
                assert_eq!(&whole[place.start as usize..][..bytes.len()], bytes, "{name}: {tensor}");
            }
        }
    }
}

#[test]
fn a_tensor_by_hand() {
    let values = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let file = pickled(&state_dict(&tensor("0", 6, 0, &[2, 3], &[3, 1])), &values).unwrap();
    assert_eq!(file.read("weight").unwrap().bytes, values);
    // The transpose of the same storage, and its last row from an offset.
    let file = pickled(&state_dict(&tensor("0", 6, 0, &[3, 2], &[1, 3])), &values).unwrap();
    assert_eq!(file.read("weight").unwrap().bytes, floats(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    let file = pickled(&state_dict(&tensor("0", 6, 3, &[3], &[1])), &values).unwrap();
    assert_eq!(file.read("weight").unwrap().bytes, floats(&[3.0, 4.0, 5.0]));
    let file = pickled(&state_dict(&tensor("0", 6, 6, &[0, 4], &[4, 1])), &values).unwrap();
    assert_eq!(file.read("weight").unwrap().bytes, Vec::<u8>::new());
    assert!(matches!(file.read("other"), Err(TorchFileError::NoSuchTensor { .. })));
}

#[test]
fn unknown_names_are_refused() {
    for (module, name) in [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("__torch", "Model")] {
        let pickle = [format!("\x02c{module}\n{name}\n").as_bytes(), &text("echo"), b"\x85R."].concat();
        let error = pickled(&[&[0x80][..], &pickle].concat(), b"").unwrap_err();
        let expected =
            matches!(&error, TorchFileError::UnknownGlobal { module: m, name: n } if m == module && n == name);
        assert!(expected, "{error}");
    }
}

#[test]
fn names_stand_in_messages_as_they_are_but_for_what_steers_a_terminal() {
    let (module, name) = ("it's", "\"mine\"\u{1b}[2J");
    let pickle = format!("\u{2}c{module}\n{name}\n)R.");
    let error = pickled(&[&[0x80], pickle.as_bytes()].concat(), b"").unwrap_err();
    let expected = "its pickle asks for 'it's.\"mine\"\\u{1b}[2J'";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn instructions_that_torch_does_not_write_are_refused() {
    // INST, OBJ, REDUCE of a class, GET by text, EXT1, BINBYTES, STACK_GLOBAL, NEXT_BUFFER.
    for opcode in [b'i', b'o', b'g', 0x82, b'B', 0x93, 0x97] {
        let error = pickled(&[0x80, 2, opcode, 1, 0, 0, 0, 0, b'.'], b"").unwrap_err();
        assert!(matches!(error, TorchFileError::Opcode { opcode: got, offset: 2 } if got == opcode), "{error}");
    }
    let error = pickled(b"\x80\x02c__torch__\nModel\n)R.", b"").unwrap_err();
    assert!(matches!(error, TorchFileError::Pickle { .. }), "{error}");
}

#[test]
fn sizes_beyond_the_storage_are_refused() {
    let storage = floats(&[1.0; 6]);
    let cases = [
        // One row too many; an offset beyond the end; strides that reach out; a storage said to be larger.
        tensor("0", 6, 0, &[3, 3], &[3, 1]),
        tensor("0", 6, 6, &[1], &[1]),
        tensor("0", 6, 0, &[2, 3], &[4, 1]),
        tensor("0", 1_000_000, 0, &[2, 3], &[3, 1]),
        tensor("0", 6, 0, &[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0]),
        // A small storage that claims to be a large tensor.
        tensor("0", 6, 0, &[1_000_000, 6], &[0, 1]),
        tensor("7", 6, 0, &[6], &[1]),
    ];
    for value in cases {
        let error = pickled(&state_dict(&value), &storage).unwrap_err();
        assert!(matches!(&error, TorchFileError::Tensor { tensor, .. } if tensor == "weight"), "{error}");
    }
    let error = pickled(&state_dict(&tensor("0", 6, -1, &[6], &[1])), &storage).unwrap_err();
    assert!(matches!(error, TorchFileError::Pickle { .. }), "{error}");
    let error = pickled(&state_dict(&tensor("0", -6, 0, &[6], &[1])), &storage).unwrap_err();
    assert!(matches!(error, TorchFileError::Pickle { .. }), "{error}");
}

#[test]
fn names_that_reach_out_are_refused() {
    for key in ["../0", "/etc/passwd", "C:0", "0/../0", "", "000000000000000000000"] {
        let error = pickled(&state_dict(&tensor(key, 6, 0, &[6], &[1])), &floats(&[1.0; 6])).unwrap_err();
        assert!(matches!(error, TorchFileError::EntryName { .. }), "{key}: {error}");
    }
    for name in ["../model/data.pkl", "/model/data.pkl", "model/../data.pkl", "model\\data.pkl", "C:/data.pkl"] {
        let error = TorchFile::from_bytes(archive(&[(name, b"\x80\x02}.")])).unwrap_err();
        assert!(matches!(error, TorchFileError::EntryName { .. }), "{name}: {error}");
    }
}

#[test]
fn other_archives_are_refused() {
    let cases: [&[(&str, &[u8])]; 3] =
        [&[("model/other", b"")], &[("a/data.pkl", b"\x80\x02}."), ("b/data.pkl", b"\x80\x02}.")], &[]];
    for entries in cases {
        let error = TorchFile::from_bytes(archive(entries)).unwrap_err();
        assert!(matches!(error, TorchFileError::NotAnArchive { .. }), "{error}");
    }
    for bytes in [&b""[..], b"PK\x05\x06", b"\x80\x02}.", &[0; 100]] {
        let error = TorchFile::from_bytes(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, TorchFileError::NotAnArchive { .. }), "{error}");
    }
    let big = archive(&[("model/data.pkl", b"\x80\x02}."), ("model/byteorder", b"big")]);
    assert!(matches!(TorchFile::from_bytes(big), Err(TorchFileError::BigEndian)));
}

#[test]
fn deep_nesting_and_endless_references_are_refused_at_once() {
    let start = Instant::now();
    // A hundred thousand dictionaries, one in the other.
    let mut deep = b"\x80\x02".to_vec();
    (0..100_000).for_each(|_| deep.extend(b"}X\x01\0\0\0a"));
    deep.push(b'}');
    deep.extend(vec![b's'; 100_000]);
    deep.push(b'.');
    let error = pickled(&deep, b"").unwrap_err();
    assert!(matches!(error, TorchFileError::TooLarge { .. }), "{error}");
    // Lists do not count, however deep: nothing walks through them.
    let lists = [&b"\x80\x02"[..], &vec![b']'; 500_000], &vec![b'a'; 499_999], b"."].concat();
    assert_eq!(pickled(&lists, b"").unwrap().names().count(), 0);
    // A dictionary that holds the one before twice, forty times over: 2^40 leaves.
    let mut doubled = b"\x80\x02}q\0".to_vec();
    for i in 0..40_u8 {
        doubled.extend(
            [b"}".as_slice(), &text("a"), &[b'h', i], b"s", &text("b"), &[b'h', i], &[b's', b'q', i + 1]].concat(),
        );
    }
    doubled.push(b'.');
    let error = pickled(&doubled, b"").unwrap_err();
    assert!(matches!(error, TorchFileError::TooLarge { .. }), "{error}");
    // A dictionary that holds itself.
    let own = [&b"\x80\x02}q\0"[..], &text("a"), b"h\0s."].concat();
    assert!(matches!(pickled(&own, b"").unwrap_err(), TorchFileError::TooLarge { .. }));
    // Two million values.
    let many = [&b"\x80\x02"[..], &vec![b'N'; 2_000_000], b"."].concat();
    assert!(matches!(pickled(&many, b"").unwrap_err(), TorchFileError::TooLarge { .. }));
    // A long tuple as the arguments of a million calls.
    let mut calls = b"\x80\x02c__torch__\nM\nq\x01(".to_vec();
    calls.extend(vec![b'N'; 400_000]);
    calls.extend(b"tq\x02");
    (0..400_000).for_each(|_| calls.extend(b"ctorch\nSize\nh\x02R"));
    calls.push(b'.');
    assert!(pickled(&calls, b"").is_ok());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn many_views_of_one_storage_are_refused() {
    let mut pickle = b"\x80\x02}(".to_vec();
    for i in 0..100 {
        pickle.extend(text(&format!("view{i}")));
        pickle.extend(tensor("0", 100_000, 0, &[100_000], &[1]));
    }
    pickle.extend(b"u.");
    let error = pickled(&pickle, &vec![0; 400_000]).unwrap_err();
    assert!(matches!(error, TorchFileError::TooLarge { .. }), "{error}");
}

/// Offsets of an archive's central headers.
fn central_headers(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect()
}

#[test]
fn entries_that_share_bytes_or_lie_about_their_size_are_refused() {
    let good = archive(&[("m/data.pkl", b"\x80\x02}."), ("m/data/0", &[1; 64]), ("m/data/1", &[2; 64])]);
    let headers = central_headers(&good);
    // The local header of entry 1 takes the place of that of entry 2.
    let mut overlapping = good.clone();
    let place = overlapping[headers[1] + 42..headers[1] + 46].to_vec();
    overlapping[headers[2] + 42..headers[2] + 46].copy_from_slice(&place);
    let error = TorchFile::from_bytes(overlapping).unwrap_err();
    assert!(matches!(error, TorchFileError::Overlap { .. }), "{error}");
    // A size of four gigabytes, in the central header.
    let mut huge = good.clone();
    for at in [headers[1] + 20, headers[1] + 24] {
        huge[at..at + 4].copy_from_slice(&0xfff0_0000_u32.to_le_bytes());
    }
    let error = TorchFile::from_bytes(huge).unwrap_err();
    assert!(matches!(error, TorchFileError::NotAnArchive { .. } | TorchFileError::Overlap { .. }), "{error}");
    // A compressed entry that would unpack to more than it has.
    let mut bomb = good;
    for at in [headers[0] + 10, 8] {
        bomb[at..at + 2].copy_from_slice(&8_u16.to_le_bytes());
    }
    let error = TorchFile::from_bytes(bomb).unwrap_err();
    assert!(matches!(error, TorchFileError::Compressed { .. }), "{error}");
}

#[test]
fn only_the_first_bytes_tell_what_a_file_is() {
    for name in ["zip.ckpt", "legacy.ckpt", "module.pt"] {
        assert!(is_torch_file(&std::fs::read(fixture(name)).unwrap()[..8]), "{name}");
    }
    // A header of 640 bytes begins with 0x80 0x02, as a pickle does.
    for head in [&640_u64.to_le_bytes()[..], b"", b"PK", b"\x80\x02}q\0.\0\0"] {
        assert!(!is_torch_file(head), "{head:?}");
    }
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let one = tensor("0", 1, 0, &[1], &[1]);
    let inner = [&b"}"[..], &text("b"), &one, b"s"].concat();
    let pickle = [&b"\x80\x02}"[..], &text("a.b"), &one, b"s", &text("a"), &inner, b"s."].concat();
    let error = pickled(&pickle, &floats(&[1.0])).unwrap_err();
    assert!(error.to_string().contains("'a.b'"), "{error}");
}

/// The old layout: magic number, protocol, machine, object, keys, then count and bytes of each storage.
fn legacy(version: &[u8], object: &[u8], keys: &[&str], storages: &[u8]) -> Result<TorchFile, TorchFileError> {
    let keys = [&b"\x80\x02]("[..], &keys.iter().flat_map(|key| text(key)).collect::<Vec<_>>(), b"e."].concat();
    let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
    TorchFile::from_bytes([&magic[..], version, b"\x80\x02}.", object, &keys, storages].concat())
}

#[test]
fn old_files_that_lie_about_their_storages_are_refused() {
    let object = state_dict(&tensor("123456789012345", 2, 0, &[2], &[1]));
    let version = b"\x80\x02M\xe9\x03.";
    let whole = [&2_i64.to_le_bytes()[..], &floats(&[1.0, 2.0])].concat();
    let key = "123456789012345";
    let file = legacy(version, &object, &[key], &whole).unwrap();
    assert_eq!(file.read("weight").unwrap().bytes, floats(&[1.0, 2.0]));
    let huge = [&i64::MAX.to_le_bytes()[..], &floats(&[1.0, 2.0])].concat();
    let negative = [&(-2_i64).to_le_bytes()[..], &floats(&[1.0, 2.0])].concat();
    for (version, keys, storages) in [
        (&version[..], &[key][..], &whole[..12]),
        (version, &[key], &whole[..4]),
        (version, &[key], &huge),
        (version, &[key], &negative),
        (version, &[], &whole),
        (version, &[key, key], &[&whole[..], &whole].concat()),
        (version, &["7"], &whole),
        (b"\x80\x02M\xe8\x03.", &[key], &whole),
    ] {
        let error = legacy(version, &object, keys, storages).map(|_| ()).unwrap_err();
        assert!(matches!(error, TorchFileError::NotAnArchive { .. } | TorchFileError::Tensor { .. }), "{error}");
    }
    let error = legacy(version, b"\x80\x02cos\nsystem\n)R.", &[], b"").unwrap_err();
    assert!(matches!(&error, TorchFileError::UnknownGlobal { module, .. } if module == "os"), "{error}");
}

#[test]
fn a_file_that_ends_too_early_is_refused() {
    for name in ["zip.ckpt", "legacy.ckpt", "module.pt"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(31) {
            let error = TorchFile::from_bytes(whole[..length].to_vec()).unwrap_err();
            assert!(error.to_string().len() < 400, "{error}");
        }
    }
}

#[test]
fn changed_bytes_never_panic() {
    // xorshift with a fixed seed.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for name in ["zip.ckpt", "legacy.ckpt", "module.pt"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let mut refused = 0;
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            match TorchFile::from_bytes(bytes) {
                Ok(file) => file.names().for_each(|name| assert!(file.read(name).is_ok(), "{name}")),
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() < 600, "{error}");
                }
            }
        }
        assert!(refused > 0, "no change was noticed");
    }
}
