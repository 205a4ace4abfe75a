//! What a prompt of a long list takes in memory while the list is measured: counted byte by byte, on this thread alone.
#![allow(unsafe_code, reason = "an allocator is made of unsafe functions")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
};

use memscope_eval::{
    MeasurementStore,
    prompts::read_file,
    spec::{DetectorEntry, DetectorName, NoiseSharing},
    store::RecordId,
    task::{CachePolicy, KnownRecords, ModelIdentity, NoisePlan, PlannedRecords, Task, open_units, price},
    tasks::Detection,
};
use memscope_metric::Protocol;
use memscope_model::{Blueprint, Execution, ModelSource, NoiseGenerator, NoisePrecision, ScheduleCheck};

/// The system's allocator, with the bytes that each thread has taken and not given back, and the most at once.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends counts no more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held while a list of so many prompts is measured, and the most of reading and planning.
struct Bytes {
    measuring: isize,
    planning: isize,
}

fn of_list(count: usize) -> Bytes {
    let blueprint = Blueprint::read(&ModelSource::Embedded("emoji-eps".into()), ScheduleCheck::default()).unwrap();
    let protocol = Protocol::default().resolve(blueprint.schedule().parameterization()).unwrap();
    let detector = DetectorEntry::from(DetectorName::Anisotropy).build(protocol, &blueprint).unwrap();
    let noise = NoisePlan {
        generator: NoiseGenerator::A6000,
        precision: NoisePrecision::F32,
        seeds: vec![42],
        generations: 1,
        sharing: NoiseSharing::Shared,
    };
    let detection = Detection { detectors: vec![(DetectorName::Anisotropy, detector)], noise, batch: 32 };
    let identity = ModelIdentity::planned(&blueprint, Execution::default(), "fingerprint".into());
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("prompts.txt");
    fs::write(&list, (0..count).map(|i| format!("prompt number {i:07}\n")).collect::<String>()).unwrap();

    let before = HELD.get();
    PEAK.set(before);
    // As `detect --out` does it.
    let file = read_file(&list, None).unwrap();
    let mut store = MeasurementStore::open(folder.path(), "fingerprint").unwrap();
    let task = detection.task(identity, &file.texts);
    price(&task, &mut KnownRecords::new(&store, &mut PlannedRecords::default()), CachePolicy::Reuse);
    let open = open_units(&task, &KnownRecords::new(&store, &mut PlannedRecords::default()));
    let planning = PEAK.get() - before;
    for unit in &open {
        let records = task.parts(unit.unit).into_iter().flat_map(|part| part.records);
        let numbers = |record| match record {
            RecordId::Numbers { key, count } => (key, vec![0.1; count.unwrap()]),
            other => panic!("{other:?}"),
        };
        store.append(records.map(numbers).collect()).unwrap();
    }
    let measuring = HELD.get() - before;
    assert_eq!((file.rows.len(), open.len()), (count, count.div_ceil(32)));
    Bytes { measuring, planning }
}

/// A prompt of 21 characters and its two records. Text, places of text and records, and the list of what is to be done:
/// 21 + 6 + 2 · 18 + 2 bytes.
#[test]
fn a_prompt_takes_its_text_and_fifty_bytes() {
    let (few, many) = (of_list(4_000), of_list(24_000));
    let measuring = (many.measuring - few.measuring) / 20_000;
    assert!(measuring < 21 + 50, "{measuring} bytes a prompt");
    // Tables of keys double.
    let planning = (many.planning - few.planning) / 20_000;
    assert!(planning < 250, "{planning} bytes a prompt");
}
