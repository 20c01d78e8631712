use loom::sync::{Arc, RwLock};
use loom::thread;

use super::*;

fn parts(value: &[u8]) -> Parts<'_> {
    let key = Key { bytes: b"k", domain: 0, space: Space::ROOT };
    let value = Value { bytes: value, encoding: 0 };
    Parts { key, value, tags: &[], deadline: NEVER, grace: 0, ttl: 5 }
}

/// What a reader cloned stays as it is, however long it reads, while its writer overwrites or replaces it.
#[test]
fn an_overwrite_never_changes_what_somebody_reads() {
    loom::model(|| {
        let entry = EntryRef::new(&parts(b"old")).unwrap();
        let mut in_shard = entry.clone();
        let shard = Arc::new(RwLock::new(entry));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let shard = Arc::clone(&shard);
                thread::spawn(move || {
                    let held = shard.read().unwrap().clone();
                    let first = held.value().to_vec();
                    assert!(first == b"old" || first == b"new");
                    thread::yield_now();
                    assert_eq!(held.value(), first);
                })
            })
            .collect();
        {
            let mut held = shard.write().unwrap();
            let new = Overwrite { parts: parts(b"new"), fence: 1, written: 1 };
            if !EntryRef::overwrite(&mut held, &mut in_shard, &new) {
                *held = EntryRef::new(&parts(b"new")).unwrap();
            }
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(shard.read().unwrap().value(), b"new");
    });
}

/// The last reference frees, whichever thread drops it, and none does before.
#[test]
fn the_last_reference_frees() {
    loom::model(|| {
        let entry = EntryRef::new(&parts(b"value")).unwrap();
        let other = entry.clone();
        let thread = thread::spawn(move || {
            let third = other.clone();
            drop(other);
            assert_eq!(third.value(), b"value");
        });
        assert_eq!(entry.value(), b"value");
        drop(entry);
        thread.join().unwrap();
    });
}
