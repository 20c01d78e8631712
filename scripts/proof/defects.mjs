/**
 * Puts known defects back, one at a time, into a copy of the crates, and sees to it that a test fails for each:
 * those that such caches have had, each in the place where this one keeps it out.
 */

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../lib.mjs'
import { part } from './part.mjs'

const SHUTTLE = { flags: '--cfg shuttle', args: ['--test', 'shuttle'] }
const LOOM = { flags: '--cfg loom', args: ['--lib', '--', 'fence::', 'entry::', 'follow::'] }
const tests = (...names) => ({ flags: '', args: names.flatMap((name) => ['--test', name]) })

/**
 * What is put in the place of what, in a file of `crates/core/src`, and the tests that must notice.
 *
 * @type {{ name: string, file: string, from: RegExp, to: string, also?: [RegExp, string][],
 *   noticed: { flags: string, args: string[] } }[]}
 */
const known = [
  {
    name: 'a bound is looked at and then passed by two threads',
    file: 'shard/bounds.rs',
    from: /count\s*\.fetch_update\([\s\S]*?\.is_ok\(\)/,
    to: 'count.load(Ordering::Acquire) + more <= max && { count.fetch_add(more, Ordering::AcqRel); true }',
    noticed: SHUTTLE,
  },
  {
    name: 'a reader that saw an expired value removes the fresh one under its key',
    file: 'cache/remove.rs',
    from: /if shard\.holds\(entry\) \{\s*self\.remove_slot\(&mut shard, entry\.slot\(\), hash, event\);/,
    to: 'if let Some(entry) = self.table.find(hash, entry.key()) { self.remove_slot(&mut shard, entry.slot(), hash, event);',
    noticed: SHUTTLE,
  },
  {
    name: 'an entry that was just read is evicted',
    file: 'policy/lru.rs',
    from: /if used <= seen \{/,
    to: 'if used <= seen + 1_000_000 {',
    noticed: tests('model', 'behaviour'),
  },
  {
    name: 'a slot that moves down a level is lost to the timer wheel',
    file: 'shard/wheel.rs',
    from: /self\.insert\(slot, deadline\);\s*Step::Moved/,
    to: 'Step::Moved',
    noticed: tests('model', 'behaviour'),
  },
  {
    name: 'keys of two domains are one',
    file: 'shard/table.rs',
    from: /segment\.get\(hash, \|\(entry, _\)\| entry\.key\(\) == key\)\.map/,
    to: 'segment.get(hash, |(entry, _)| entry.key().bytes == key.bytes).map',
    also: [[/state\.write_u8\(key\.domain\);/, '']],
    noticed: tests('behaviour'),
  },
  {
    name: 'the fence is checked before the lock is taken',
    file: 'cache/insert.rs',
    from: /let mut shard = self\.shards\.lock\(Shards::of\(hash\)\);\s*let old = self\.table\.find\(hash, key\);\s*if let Some\(refusal\) = self\.refusal\(&insertion, old\.as_ref\(\)\)/,
    to: `let old = self.table.find(hash, key);
            let refused = self.refusal(&insertion, old.as_ref());
            let mut shard = self.shards.lock(Shards::of(hash));
            let old = self.table.find(hash, key);
            if let Some(refusal) = refused`,
    noticed: SHUTTLE,
  },
  {
    name: 'a write does not reach the copies of other threads',
    file: 'shard/table.rs',
    from: /if done \{\s*self\.versions\.wrote\(hash, new\.written\);\s*\}/,
    to: '',
    noticed: SHUTTLE,
  },
  {
    name: 'an invalidation is shown to copies before it is done',
    file: 'coherence/fence.rs',
    from: /self\.versions\.begin_invalidation\(sequence\);/,
    to: 'self.versions.end_invalidation(sequence);',
    noticed: LOOM,
  },
  {
    name: 'a load that began before its namespace was cleared is stored',
    file: 'cache/loading.rs',
    from: /self\.namespaces\.cleared\(space\) <= fence && /,
    to: '',
    noticed: tests('namespaces'),
  },
  {
    name: 'what a clearing left behind is counted out twice',
    file: 'namespaces.rs',
    from: /let counted = !self\.is_cleared\(entry\);/,
    to: 'let counted = true;',
    noticed: tests('namespaces'),
  },
  {
    name: 'a namespace is cleared while its values are written',
    file: 'cache/namespaces.rs',
    from: /let shards: Vec<_> = \(0\.\.SHARDS\)\.map\(\|number\| self\.shards\.lock\(number\)\)\.collect\(\);/,
    to: 'let shards = ();',
    noticed: SHUTTLE,
  },
  {
    name: 'an entry is overwritten while somebody reads it',
    file: 'shard/entry.rs',
    from: /if held\.header\(\)\.refs\.load\(Ordering::Acquire\) != 2 \{/,
    to: 'if held.header().refs.load(Ordering::Acquire) < 2 {',
    noticed: LOOM,
  },
  {
    name: 'a deadline that was put off is passed over',
    file: 'shard/wheel.rs',
    from: /if bucket < BUCKETS && deadline <= now \{/,
    to: 'if bucket < BUCKETS {',
    noticed: tests('atomic'),
  },
  {
    name: 'a touch does not reach the copies of other threads',
    file: 'cache/touch.rs',
    from: /self\.version_table\(\)\.wrote\(hash, self\.fence\.write\(\)\);/,
    to: '',
    noticed: tests('atomic'),
  },
  {
    name: 'an increment is made of what was read before the lock',
    file: 'cache/increment.rs',
    from: /let Some\(old\) = self\.table\.find\(hash, key\)\.filter\(\|entry\| self\.is_readable\(entry, lease\)\)\s*else \{\s*continue;?\s*\};/,
    to: 'let old = found;',
    also: [
      [/let lease = self\.follow\.take\(\);/, ''],
      [
        /let found = self\.find_readable\(key\)\.is_some\(\);\s*if !found \{/,
        'let Some(found) = self.find_readable(key) else {',
      ],
      [/_ => return Ok\(by\),\s*\}\s*\}/, '_ => return Ok(by) } };'],
    ],
    noticed: tests('atomic'),
  },
  {
    name: 'a clear waits until no reader is there',
    file: 'shard/table.rs',
    from: /locks\.map\(\|\(segment, waiting\)\| write\(segment, waiting\)\)/,
    to: 'locks.map(|(segment, _)| segment.write())',
    noticed: tests('starvation'),
  },
  {
    name: 'threads draw as many ticks at a time for a small cache as for a large one',
    file: 'policy/access_clock.rs',
    from: /\(max as u64 \/ PART\)\.clamp\(1, MOST\)/,
    to: 'MOST + (max as u64 / PART).min(0)',
    noticed: tests('recency'),
  },
  {
    name: 'when no more may be placed again the next entry goes, whatever it is',
    file: 'policy/lru.rs',
    from: /return Victim::Spent;/,
    to: 'return Victim::Found(slot);',
    noticed: tests('recency'),
  },
  {
    name: 'a tag loses its place before the floor is raised',
    file: 'coherence/tags.rs',
    from: /line\.floor\.store\(gone, Ordering::SeqCst\);\s*place\.store\(mark \| \(number \/ STEP\), Ordering::SeqCst\);/,
    to: 'place.store(mark | (number / STEP), Ordering::SeqCst); line.floor.store(gone, Ordering::SeqCst);',
    noticed: LOOM,
  },
  {
    name: 'an entry takes an invalidation under way for done',
    file: 'coherence/version_table.rs',
    from: /f64::from_bits\(word\) as u64/,
    to: 'f64::from_bits(word).ceil() as u64',
    noticed: LOOM,
  },
  {
    name: 'a change is counted before it stands in the word of its key',
    file: 'coherence/version_table.rs',
    from: /(self\.words\[self\.cell\(hash\)\]\.store\(word\(written, false\), Ordering::Release\);)\s*self\.count_change\(\);/,
    to: 'self.count_change(); self.words[self.cell(hash)].store(word(written, false), Ordering::Release);',
    noticed: LOOM,
  },
  {
    name: 'changes are counted by stores of their own',
    file: 'coherence/version_table.rs',
    from: /self\.words\[Self::CHANGES\]\.fetch_add\(1, Ordering::SeqCst\);/,
    to: `let count = self.words[Self::CHANGES].load(Ordering::SeqCst);
        self.words[Self::CHANGES].store(count + 1, Ordering::SeqCst);`,
    noticed: LOOM,
  },
  {
    name: 'an invalidation is counted when it is done, and not when it begins',
    file: 'coherence/version_table.rs',
    from: /(store\(word\(sequence - 1, true\), Ordering::SeqCst\);)\s*self\.count_change\(\);/,
    to: 'store(word(sequence - 1, true), Ordering::SeqCst);',
    noticed: LOOM,
  },
  {
    name: 'tags of one line are one',
    file: 'coherence/tags.rs',
    from: /u64::from\(tag\) >> self\.chosen << self\.number_bits\(\)/,
    to: 'u64::from(tag) * 0',
    noticed: tests('tags'),
  },
  {
    name: 'leases that nobody completes are kept',
    file: 'coherence/leases.rs',
    from: /stripe\.leases\.retain\(\|_, lease\| request\.now < lease\.ends\);/,
    to: '',
    noticed: tests('leases'),
  },
  {
    name: 'a purge of nothing never says that it is done',
    file: 'cache/maintenance.rs',
    from: /if budget == 0 && !self\.shards\.lock\(number\)\.has_expired\(now, STEPS_PER_LOCK\) \{\s*continue;\s*\}/,
    to: '',
    noticed: tests('behaviour'),
  },
  {
    name: 'a lease is extended without what was applied before',
    file: 'coherence/follow.rs',
    from: /self\.until\.fetch_max\(until, Ordering::Release\);/,
    to: 'self.until.fetch_max(until, Ordering::Relaxed);',
    noticed: LOOM,
  },
  {
    name: 'a lease is taken without what was applied before it was extended',
    file: 'coherence/follow.rs',
    from: /self\.until\.load\(Ordering::Acquire\) \} else/,
    to: 'self.until.load(Ordering::Relaxed) } else',
    noticed: LOOM,
  },
  {
    name: 'a lease is extended in an epoch that may have been left behind meanwhile',
    file: 'coherence/follow.rs',
    from: /(let is_current = epoch != 0 && epoch == state\.seen\.epoch;)/,
    to: 'let is_current = epoch != 0 && epoch == state.seen.epoch; drop(state);',
    noticed: LOOM,
  },
  {
    name: 'a lease is taken when the entry was found',
    file: 'cache/mod.rs',
    from: /let lease = self\.follow\.take\(\);\s*self\.find_current\(key\)\.filter\(\|_\| self\.answers\(lease\)\)/,
    to: 'self.find_current(key).filter(|_| self.answers(self.follow.take()))',
    noticed: SHUTTLE,
  },
]

const copy = path.join(root, 'target/defects')
const source = (file) => path.join('crates/core/src', file)

/** Runs tests of the copy; whether they passed, and what they said. */
function passes({ flags, args }) {
  const kind = flags.replace('--cfg ', '') || 'defects-plain'
  const { status, stdout, stderr, error } = spawnSync(
    'cargo',
    ['test', '--release', '--locked', '-p', 'sark-cache-core', ...args],
    {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      timeout: 600_000,
      env: {
        ...process.env,
        RUSTFLAGS: flags,
        CARGO_TARGET_DIR: path.join(root, 'target', kind),
        CARGO_PROFILE_RELEASE_LTO: 'off',
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
        SARK_CACHE_SCHEDULES: '3000',
      },
    },
  )
  const code = /** @type {NodeJS.ErrnoException | undefined} */ (error)?.code
  if (error !== undefined && code !== 'ETIMEDOUT') throw error
  const output = `${stdout}${stderr}`
  // A defect that does not compile would be noticed by nothing.
  if (/^error(\[E\d+\])?: (?!test failed)/m.test(output) && !/^test result:/m.test(output)) {
    throw new Error(`the tests could not be built:\n${output.slice(-4_000)}`)
  }
  return {
    passed: status === 0,
    failed: [...output.matchAll(/^test (\S+) \.\.\. FAILED/gm)].map((m) => m[1]),
  }
}

function freshCopy() {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const name of ['Cargo.toml', 'Cargo.lock', 'crates/node/Cargo.toml', 'crates/node/build.rs']) {
    cpSync(path.join(root, name), path.join(copy, name))
  }
  for (const name of ['crates/node/src', 'crates/core/Cargo.toml', 'crates/core/src', 'crates/core/tests']) {
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
  }
}

/**
 * `SARK_CACHE_DEFECTS` chooses those of which the name has this in it, or a part of them such as `1/3`.
 *
 * @returns {string | undefined} Why it was skipped, if it was.
 */
export function knownDefects() {
  const defects = part(known)
  freshCopy()
  for (const kind of new Set(defects.map(({ noticed }) => noticed))) {
    const { passed, failed } = passes(kind)
    if (!passed) throw new Error(`without a defect these fail: ${failed.join(', ')}`)
  }
  let missed = 0
  for (const { name, file, from, to, also = [], noticed } of defects) {
    const place = path.join(copy, source(file))
    const sound = readFileSync(place, 'utf8')
    let text = sound
    for (const [pattern, replacement] of /** @type {[RegExp, string][]} */ ([[from, to], ...also])) {
      if (!pattern.test(text))
        throw new Error(`${name}: the code in ${file} is no longer what the defect replaces`)
      text = text.replace(pattern, () => replacement)
    }
    writeFileSync(place, text)
    const { passed, failed } = passes(noticed)
    writeFileSync(place, sound)
    if (passed) missed++
    console.log(
      `${passed ? 'MISSED' : 'noticed'}: ${name} (${passed ? 'all tests pass' : failed.join(', ') || 'no end'})`,
    )
  }
  console.log(`${defects.length - missed} of ${defects.length} known defects were noticed`)
  if (missed > 0) process.exit(1)
  return undefined
}
