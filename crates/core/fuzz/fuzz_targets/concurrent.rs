//! Any calls of two threads at once leave the cache in order.

#![no_main]

use std::collections::{HashMap, HashSet};
use std::thread;

use libfuzzer_sys::fuzz_target;
use sark_cache_core::{Cache, Claim, Cursor, EntryRef, InsertOptions, Inserted, ManualClock, Value};
use sark_cache_fuzz::{Fence, Op, Pair};

/// Values and their encodings by key and its domain.
type Written = HashMap<(Vec<u8>, u8), HashSet<(Vec<u8>, u8)>>;

fuzz_target!(|pair: Pair<'_>| {
    let clock = ManualClock::at(pair.setup.start_ms() / 2);
    let options = pair.setup.options();
    let Ok(cache) = Cache::with_clock(options.clone(), clock.clone()) else {
        panic!("a setup has valid options");
    };
    let mut written = Written::new();
    for op in pair.threads.iter().flatten() {
        if let Op::Insert { key, text, encoding, .. } = op {
            let key = key.key();
            let values = written.entry((key.bytes.to_vec(), key.domain)).or_default();
            values.insert((text.bytes().into_owned(), *encoding));
        }
    }
    thread::scope(|scope| {
        let workers = pair.threads.each_ref().map(|ops| {
            let (cache, clock, written, options) = (&cache, &clock, &written, &options);
            scope.spawn(move || {
                let mut worker = Worker {
                    cache,
                    clock,
                    written,
                    fences: vec![cache.fence()],
                    leases: Vec::new(),
                    held: Vec::new(),
                };
                for op in ops {
                    worker.apply(op);
                    assert!(cache.len() <= options.max_entries.unwrap_or(usize::MAX));
                    assert!(cache.bytes() <= options.max_bytes.unwrap_or(u64::MAX));
                }
                for entry in &worker.held {
                    worker.check(Some(entry));
                }
            })
        });
        // The end of a scope does not wait for a thread to free what is local to it: to the leak check it would
        // seem lost.
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    cache.validate();
});

struct Worker<'a> {
    cache: &'a Cache<ManualClock>,
    clock: &'a ManualClock,
    written: &'a Written,
    fences: Vec<u64>,
    leases: Vec<u64>,
    held: Vec<EntryRef>,
}

impl Worker<'_> {
    /// What is read was written at some time, under this very key.
    fn check(&self, entry: Option<&EntryRef>) {
        let Some(entry) = entry else { return };
        let key = entry.key();
        let values = self.written.get(&(key.bytes.to_vec(), key.domain));
        let value = (entry.value().to_vec(), entry.encoding());
        assert!(values.is_some_and(|values| values.contains(&value)), "{entry:?}");
    }

    fn fence(&self, fence: Fence) -> Option<u64> {
        match fence {
            Fence::None => None,
            Fence::Taken(back) => Some(self.fences[usize::from(back) % self.fences.len()]),
            Fence::Any(fence) => Some(fence),
        }
    }

    fn apply(&mut self, op: &Op<'_>) {
        let Self { cache, clock, .. } = *self;
        match *op {
            Op::Insert { ref key, ref text, encoding, ttl, grace_ms, fence, ref tags, more_tags } => {
                let bytes = text.bytes();
                let tags = Op::tags(tags, more_tags);
                let fence = self.fence(fence);
                let grace_ms = grace_ms.unwrap_or(0);
                let options = InsertOptions {
                    ttl_ms: ttl.ms(),
                    grace_ms,
                    fence,
                    tags: &tags,
                    ..InsertOptions::default()
                };
                let outcome = cache.insert(key.key(), Value { bytes: &bytes, encoding }, options);
                assert!(outcome != Ok(Inserted::Fenced) || fence.is_some());
            }
            Op::Get(name) => self.check(cache.get(name.key()).as_ref()),
            Op::Peek(name) => self.check(cache.peek(name.key()).as_ref()),
            Op::Take(name) => self.check(cache.take(name.key()).as_ref()),
            Op::Remove(name) => {
                cache.remove(name.key());
            }
            Op::GetStale(name) => self.check(cache.get_stale(name.key()).map(|(entry, _)| entry).as_ref()),
            Op::Contains(name) => {
                let _ = cache.contains(name.key());
            }
            Op::IsDue(name, part) => {
                let _ = cache.is_due(name.key(), part);
            }
            Op::RemainingTtl(name) => {
                let _ = cache.remaining_ttl_ms(name.key());
            }
            Op::Hold(name) => self.held.extend(cache.peek(name.key())),
            Op::LetGo => {
                let entry = self.held.pop();
                self.check(entry.as_ref());
            }
            Op::Fence => self.fences.push(cache.fence()),
            Op::Permits { ref key, fence, ref tags } => {
                if let Some(fence) = self.fence(fence) {
                    let _ = cache.permits(key.key(), fence, &Op::tags(tags, 0));
                }
            }
            Op::Purge(budget) => assert!(cache.purge_expired(budget.into()).removed <= budget.into()),
            Op::Scan { shard, slot, limit } => {
                let (entries, _) = cache.scan(Cursor { shard, slot }, limit.into());
                for entry in &entries {
                    self.check(Some(entry));
                }
            }
            Op::Keys => {
                for entry in &cache.keys() {
                    self.check(Some(entry));
                }
            }
            Op::Clear => cache.clear(),
            Op::InvalidateTag(tag) => cache.invalidate_tag(tag.key()),
            Op::Claim { ref key, ref tags, owner, timeout_ms } => {
                let timeout_ms = timeout_ms.ms().unwrap_or(0);
                let claim = cache.claim(key.key(), &Op::tags(tags, 0), owner.into(), timeout_ms);
                if let Ok(Claim::Granted { lease, fence }) = claim {
                    self.leases.push(lease);
                    self.fences.push(fence);
                }
            }
            Op::Complete { key, lease } => {
                if let Some(lease) = lease.or_else(|| self.leases.pop()) {
                    cache.complete(key.key(), lease);
                }
            }
            Op::Release(owner) => cache.release(owner.into()),
            Op::Advance(ms) => clock.advance(ms.into()),
            // As often as this may come, the clock does not reach its end.
            Op::AdvanceFar(ms) => clock.advance(ms >> 12),
            Op::ResetStats => cache.reset_stats(),
        }
    }
}
