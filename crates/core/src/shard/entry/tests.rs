use proptest::prelude::*;

use super::*;

fn parts<'a>(key: &'a [u8], value: &'a [u8], tags: &'a [u32], grace: u32) -> Parts<'a> {
    Parts {
        key: Key { bytes: key, domain: 3, space: Space::ROOT },
        value: Value { bytes: value, encoding: 7 },
        tags,
        deadline: NEVER,
        grace,
        ttl: 5,
    }
}

fn check(entry: &EntryRef, parts: &Parts<'_>) {
    assert_eq!(entry.key(), parts.key);
    assert_eq!(entry.value(), parts.value.bytes);
    assert_eq!(entry.value().as_ptr() as usize % 2, 0);
    assert_eq!(entry.tags(), parts.tags);
    assert_eq!(entry.encoding(), parts.value.encoding);
    assert_eq!((entry.grace(), entry.has_grace()), (parts.grace, parts.grace != 0));
    assert_eq!(entry.deadline(), parts.deadline);
    let size = parts.key.bytes.len() + parts.value.bytes.len() + 4 * parts.charged_words();
    assert_eq!(entry.payload(), size as u64);
}

#[test]
fn gives_back_what_went_in_whatever_the_lengths() {
    for tag_count in (0..=18).chain([127, crate::MAX_TAGS]) {
        for key_len in [0, 1, 2, 19, 20, 253, 254, 255, 256, 70_000] {
            for value_len in [0, 1, 2, 63, 64, 4_096, 65_534, 65_535, 65_536] {
                let key: Vec<u8> = (0..key_len).map(|i: u32| i.to_le_bytes()[0]).collect();
                let value: Vec<u8> = (0..value_len).map(|i: u32| i.to_le_bytes()[0]).collect();
                let tags: Vec<u32> = (0..).take(tag_count).map(|i| i * 1_000_003).collect();
                let parts = parts(&key, &value, &tags, if key_len % 2 == 0 { 0 } else { 77 });
                let entry = EntryRef::new(&parts).unwrap();
                entry.set_sequences(1 << 48, (1 << 48) + (1 << 31));
                check(&entry, &parts);
                assert_eq!(entry.written(), (1 << 48) + (1 << 31));
                assert_eq!(entry.fence(), if tag_count == 0 { entry.written() } else { 1 << 48 });
                assert_eq!(entry.ttl(), 5);
            }
        }
    }
}

proptest! {
    #[test]
    fn an_overwritten_entry_is_as_a_new_one(
        key in prop::collection::vec(any::<u8>(), 0..300),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 1..20),
        tags in prop::collection::vec(any::<u32>(), 0..=crate::MAX_TAGS),
    ) {
        let mut held = EntryRef::new(&parts(&key, &values[0], &[], 0)).unwrap();
        let mut in_shard = held.clone();
        for (number, value) in values.iter().enumerate() {
            let old = held.shape();
            let tags = &tags[..number % (tags.len() + 1)];
            let parts = Parts {
                deadline: number as u64,
                ..parts(&key, value, tags, u32::try_from(number % 2).unwrap())
            };
            let fits = parts.shape().layout() == old.layout();
            let reader = (number % 3 == 0).then(|| held.clone());
            let done = EntryRef::overwrite(&mut held, &mut in_shard, &Overwrite { parts, fence: 3, written: 9 });
            prop_assert_eq!(done, fits && reader.is_none());
            if done {
                check(&held, &parts);
                prop_assert_eq!(held.written(), 9);
            } else {
                prop_assert_eq!(held.shape(), old);
            }
        }
    }

    #[test]
    fn a_ttl_is_kept_exactly(ttl in 1_u64.., tags in 0..=crate::MAX_TAGS, grace in 0_u32..2) {
        let tags = [9; crate::MAX_TAGS].split_at(tags).0;
        let parts = Parts { ttl, ..parts(b"key", b"value", tags, grace) };
        let entry = EntryRef::new(&parts).unwrap();
        entry.set_sequences(3, 9);
        check(&entry, &parts);
        prop_assert_eq!(entry.ttl(), ttl);
    }
}

#[test]
fn tags_may_be_known_beyond_the_entry() {
    let entry = EntryRef::new(&parts(b"key", b"value", &[1, 2], 7)).unwrap();
    entry.set_sequences(3, 9);
    assert_eq!((entry.fence(), entry.written()), (3, 9));
    for known in [9, 10, 9 + u64::from(u32::MAX >> 1)] {
        entry.set_fence(known);
        assert_eq!((entry.fence(), entry.written()), (known, 9));
    }
    let known = entry.fence();
    entry.set_fence(1 << 40);
    assert_eq!(entry.fence(), known);
}

#[test]
fn a_deadline_moves_and_nothing_else() {
    let parts = parts(b"key", b"value", &[1, 2], 7);
    let entry = EntryRef::new(&Parts { deadline: 100, ..parts }).unwrap();
    entry.extend_deadline(90);
    assert_eq!(entry.deadline(), 100);
    entry.extend_deadline(110);
    check(&entry, &Parts { deadline: 110, ..parts });
    entry.set_deadline(50);
    check(&entry, &Parts { deadline: 50, ..parts });
}

#[test]
fn the_header_stays_within_its_budget() {
    assert_eq!(size_of::<Header>(), 32);
    // 21 + 64 bytes in a block of 128, of which the allocator takes 8.
    let shape = Shape { words: 0, key_len: 21, value_len: 64 };
    assert_eq!(shape.layout().unwrap().size(), 120);
}

#[test]
fn outlives_every_other_reference() {
    let first = EntryRef::new(&parts(b"k", b"v", &[], 0)).unwrap();
    let clones: Vec<EntryRef> = (0..8).map(|_| first.clone()).collect();
    drop(first);
    let workers: Vec<_> = clones
        .into_iter()
        .map(|clone| {
            std::thread::spawn(move || {
                for _ in 0..1_000 {
                    assert_eq!(clone.clone().value(), b"v");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
}
