//! What a store withstands.

use super::*;

fn record(i: usize) -> (Key, Vec<f64>) {
    (Key::new(&["model", &i.to_string()]), vec![i as f64, 1.0 / 3.0, -0.0, 1e-300])
}

/// A folder whose store `abc` holds these records.
fn stored(records: &[usize]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    store.append(records.iter().map(|i| record(*i)).collect()).unwrap();
    let path = folder.path().join("abc.jsonl");
    (folder, path)
}

#[test]
fn values_come_back_to_the_last_bit_and_a_cut_line_is_dropped() {
    let (folder, path) = stored(&[1, 2]);
    let whole = fs::read(&path).unwrap();
    // A crash may cut the file anywhere.
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
        for i in [1, 2] {
            let (key, values) = record(i);
            assert!(store.get(&key).is_none_or(|v| v.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits())));
            if store.get(&key).is_none() {
                store.append(vec![record(i)]).unwrap();
            }
        }
        drop(store);
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn a_damaged_line_is_set_aside_and_the_others_are_kept() {
    let (folder, path) = stored(&[1, 2, 3]);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for damaged in [format!("#{}", lines[1]), lines[1].replace("[2.0", "[-2.0"), lines[1].replace(",1e-300", "")] {
        assert_ne!(damaged, lines[1]);
        fs::write(&path, format!("{}\n{damaged}\n{}\n", lines[0], lines[2])).unwrap();
        // Looking at it changes nothing.
        let seen = MeasurementStore::peek(folder.path(), "abc").unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains(&damaged));
        let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
        for store in [&seen, &store] {
            let there = [1, 2, 3].map(|i| store.get(&record(i).0).is_some());
            assert_eq!(there, [true, false, true]);
        }
        assert!(matches!(MeasurementStore::open(folder.path(), "abc"), Err(Error::StoreInUse { .. })));
        store.append(vec![record(2)]).unwrap();
        drop(store);
        assert_eq!(fs::read_to_string(&path).unwrap(), [lines[0], lines[2], lines[1], ""].join("\n"));
        let aside = fs::read_to_string(folder.path().join("abc.jsonl.damaged")).unwrap();
        assert!(aside.ends_with(&format!("{damaged}\n")), "{aside}");
    }
}

#[test]
fn two_records_of_one_key_must_agree() {
    let (folder, path) = stored(&[1, 2]);
    let mut text = fs::read_to_string(&path).unwrap();
    let first = text.lines().next().unwrap().to_owned();
    text.push_str(&first);
    text.push('\n');
    fs::write(&path, &text).unwrap();
    assert!(MeasurementStore::open(folder.path(), "abc").is_ok(), "the same once more");
    let other = Entry::Record(record(1).0, vec![7.0]).to_line().unwrap();
    fs::write(&path, format!("{text}{other}\n")).unwrap();
    let error = MeasurementStore::open(folder.path(), "abc").err().unwrap().to_string();
    assert!(error.contains("abc.jsonl, line 4") && error.contains(&record(1).0.to_string()), "{error}");
}

#[test]
fn removed_records_are_measured_again_and_the_later_one_counts() {
    let (folder, _) = stored(&[1, 2]);
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    let (key, _) = record(1);
    store.remove([&key]).unwrap();
    assert_eq!(store.get(&key), None);
    drop(store);
    // A run that was killed here goes on with measuring.
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    assert_eq!(store.get(&key), None);
    store.append(vec![(key, vec![7.0])]).unwrap();
    drop(store);
    assert_eq!(MeasurementStore::open(folder.path(), "abc").unwrap().get(&key).as_deref(), Some([7.0].as_slice()));
}

#[test]
fn a_short_record_does_not_count() {
    let (folder, _) = stored(&[1]);
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    let (key, values) = record(1);
    assert!(store.holds(&key, Some(values.len())) && store.holds(&key, None) && !store.holds(&key, Some(5)));
    store.remove_misshapen(&[RecordId::Numbers { key, count: Some(5) }]).unwrap();
    assert_eq!(store.get(&key), None);
}

#[test]
fn a_store_has_one_writer_or_a_file_for_each() {
    let (folder, _) = stored(&[1]);
    let first = MeasurementStore::open(folder.path(), "abc").unwrap();
    assert!(matches!(MeasurementStore::open(folder.path(), "abc"), Err(Error::StoreInUse { .. })));
    let mut second = MeasurementStore::open_shared(folder.path(), "abc").unwrap();
    assert!(second.get(&record(1).0).is_some());
    second.append(vec![record(2)]).unwrap();
    drop((first, second));
    let third = MeasurementStore::open_shared(folder.path(), "abc").unwrap();
    assert!([1, 2].iter().all(|i| third.get(&record(*i).0).is_some()));
    assert!(MeasurementStore::peek(folder.path(), "abc").unwrap().get(&record(2).0).is_some());
}

/// Most records are not held: they are read again from their file, also after damaged lines were set aside and by a store
/// that goes on.
#[test]
fn records_beyond_those_held_are_read_from_the_file() {
    const COUNT: usize = 200;
    let many = |i: usize| (Key::new(&["many", &i.to_string()]), (0..2_000).map(|n| (i * n) as f64 / 7.0).collect());
    let (folder, path) = stored(&[1]);
    let assert_all = |store: &MeasurementStore| {
        for i in 0..COUNT {
            let (key, values): (Key, Vec<f64>) = many(i);
            assert_eq!(store.get(&key).as_deref(), Some(values.as_slice()), "{i}");
            assert!(store.holds(&key, Some(2_000)) && !store.holds(&key, Some(3)));
        }
    };
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    store.append((0..COUNT).map(many).collect()).unwrap();
    assert_all(&store);
    drop(store);
    assert_all(&MeasurementStore::open(folder.path(), "abc").unwrap());
    // A damaged first line moves all others.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("#{text}")).unwrap();
    let mut store = MeasurementStore::open(folder.path(), "abc").unwrap();
    store.append(vec![record(1)]).unwrap();
    assert_all(&store);
    assert_eq!(store.get(&record(1).0).as_deref(), Some(record(1).1.as_slice()));
    drop(store);
    assert_all(&MeasurementStore::peek(folder.path(), "abc").unwrap());
    // In no file: all are held.
    let mut store = MeasurementStore::in_memory();
    store.append((0..COUNT).map(many).collect()).unwrap();
    assert_all(&store);
}
