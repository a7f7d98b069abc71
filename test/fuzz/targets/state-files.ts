/**
 * Files of the state folder: a crash, a full disk or a person may leave anything in them. The server starts, says what
 * it lost, and keeps the file.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as fc from 'fast-check';
import { createHistoryFile } from '../../../cli/serve/history-file.ts';
import { createAlarms } from '../../../config/alarms.ts';
import { createReport } from '../../../config/diagnostics.ts';
import { readTokens } from '../../../config/read-tokens.ts';
import { makeKey, readKeys } from '../../../dnssec/key-files.ts';
import { systemClock } from '../../../health/clock.ts';
import { openStateStore } from '../../../health/state-file.ts';
import { parseName } from '../../../wire/name.ts';
import { readBeaconFile } from '../../../zones/beacon-file.ts';
import { formatEntry, formatMark, readJournal, type JournalEntry } from '../../../zones/journal/journal-file.ts';
import { setKey } from '../../../zones/journal/record-set.ts';
import { readSerials } from '../../../zones/serials.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedJson, editedOctets } from '../mutations.ts';

const ISO = '2026-11-01T00:00:00.000Z';
const TARGET = 'www.example.com/a';
const STATES = { version: 1, targets: [{ target: TARGET, address: '192.0.2.1:80', probed: 'down', since: ISO, changes: [ISO] }] }; // prettier-ignore
const OVERRIDES = { version: 1, overrides: [{ target: TARGET, state: 'drain', reason: 'x', since: ISO, until: ISO, by: 'operator' }] }; // prettier-ignore
const WEIGHTS = { version: 1, weights: [{ target: TARGET, weight: 7, since: ISO, by: 'node' }] };
const SERIALS = { 'example.com': { serial: 7, digest: 'x', content: 'y', keys: ['k'] } };
const BEACON = { version: 1, networks: [{ network: '192.0.2.0/24', country: 'KR', asn: 1, samples: { seoul: [[1, 2, 3]] } }] }; // prettier-ignore
const HISTORY = { m: 29_000_000, r: [1, 2], all: true, n: { 0: TARGET }, s: { up: [0] } };
const KEYS = ['version', 'targets', 'overrides', 'weights', 'networks', 'since', ISO, TARGET];

const file = (base: unknown): fc.Arbitrary<Buffer> =>
  fc.oneof(
    editedJson(base, KEYS).map((value) => Buffer.from(JSON.stringify(value))),
    editedOctets(fc.constant(Buffer.from(JSON.stringify(base)))),
  );
type StateInput = Readonly<
  Record<'health' | 'overrides' | 'weights' | 'serials' | 'beacon' | 'history' | 'tokens', Buffer>
>;

export const stateFiles = fuzzTarget<StateInput>({
  name: 'state-files',
  about: 'health.json, overrides.json, weights.json, serials.json, beacon.json, history.log, tokens',
  trials: 400,
  inputs: fc.record({
    ...{ health: file(STATES), overrides: file(OVERRIDES), weights: file(WEIGHTS) },
    ...{ serials: file(SERIALS), beacon: file(BEACON) },
    history: fc
      .array(file(HISTORY), { maxLength: 4 })
      .map((lines) => Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))),
    tokens: editedOctets(
      fc.constant(Buffer.from(`tokens:\n  - { name: ops, sha256: ${'ab'.repeat(32)}, may: [read, write] }\n`)),
    ),
  }),
  open: () => {
    const folder = mkdtempSync(join(tmpdir(), 'pharos-fuzz-'));
    return {
      run: async (input) => {
        for (const [name, octets] of Object.entries(input)) {
          writeFileSync(join(folder, name === 'history' ? 'history.log' : name === 'tokens' ? 'tokens.yaml' : `${name}.json`), octets); // prettier-ignore
        }
        const alarms = createAlarms();
        const store = openStateStore(folder, systemClock, alarms);
        for (const { weight } of store.weights)
          if (!(weight >= 0 && weight <= 65_535)) throw new Error(`weight ${weight}`);
        for (const { since } of store.overrides) if (Number.isNaN(Date.parse(since))) throw new Error(`since ${since}`);
        await store.close();
        for (const { message } of alarms.list()) judgeText(message);
        // Diagnostics and alarms make these texts plain.
        const warn = (): void => undefined;
        for (const { serial } of readSerials(folder, warn).values())
          if (!(serial >= 0)) throw new Error(`serial ${serial}`);
        readBeaconFile(folder, warn);
        const path = join(folder, 'history.log');
        const kept = createHistoryFile({
          file: path,
          alarms,
          mayWrite: () => false,
          wallMs: () => 29_000_010 * 60_000,
        });
        await kept.open();
        readTokens(join(folder, 'tokens.yaml'), {}, createReport());
        for (const name of ['health', 'overrides', 'weights'])
          rmSync(join(folder, `${name}.json.bad`), { force: true });
      },
      close: () => {
        rmSync(folder, { recursive: true });
      },
    };
  },
});

/** A message for operators: one line, without control characters. */
function judgeText(message: string): void {
  // eslint-disable-next-line no-control-regex -- that is what must not be in it
  if (/[\u0000-\u001f\u007f]/.test(message)) throw new Error(`control characters in ${JSON.stringify(message)}`);
}

const NAME = parseName('a\\.b.example.com.');
const entry = fc.record({
  data: fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 3 }),
  isForgotten: fc.boolean(),
  isMarked: fc.boolean(),
  step: fc.nat(2),
});

type JournalInput = {
  readonly entries: readonly { readonly data: readonly Uint8Array[]; readonly isForgotten: boolean; readonly isMarked: boolean; readonly step: number }[]; // prettier-ignore
  /** The file ends after this many octets, modulo its length + 1. */
  readonly cut: number;
  /** Octets after the cut, and a changed octet: undefined for none. */
  readonly rest: Buffer;
  readonly changed: { readonly at: number; readonly bit: number } | undefined;
};

export const journals = fuzzTarget<JournalInput>({
  name: 'journals',
  about: 'journals of dynamic records, cut and damaged anywhere',
  trials: 1500,
  inputs: fc.record({
    entries: fc.array(entry, { minLength: 1, maxLength: 8 }),
    cut: fc.nat(0xffff),
    rest: fc.uint8Array({ maxLength: 20 }).map((octets) => Buffer.from(octets)),
    changed: fc.option(fc.record({ at: fc.nat(0xffff), bit: fc.nat(7) }), { nil: undefined }),
  }),
  open: () => {
    const folder = mkdtempSync(join(tmpdir(), 'pharos-fuzz-'));
    const path = join(folder, 'zone.journal');
    return {
      run: ({ entries, cut, rest, changed }) => {
        let serial = 1;
        const lines: string[] = [];
        /** The data of the set after each entry. */
        const after: string[] = [''];
        for (const { data, isForgotten, isMarked, step } of entries) {
          serial += step;
          const set = { name: NAME, type: 16, base: '', ttlSeconds: 60, data, ...(isForgotten ? { isForgotten } : {}) };
          const made: JournalEntry = { serial, sets: [set] };
          lines.push(formatEntry(made) + (isMarked ? formatMark() : ''));
          after.push(isForgotten ? '' : textOf(data));
        }
        const whole = Buffer.from(lines.join(''), 'latin1');
        const kept = Buffer.from(whole.subarray(0, cut % (whole.length + 1)));
        if (changed && kept.length > 0) kept[changed.at % kept.length] = (kept[changed.at % kept.length] ?? 0) ^ (1 << changed.bit); // prettier-ignore
        const octets = Buffer.concat([kept, rest]);
        writeFileSync(path, octets);
        const read = readJournal(path);
        if (read.octets > octets.length) throw new Error('more octets than the file has');
        const found = read.sets.get(setKey(NAME, 16));
        if (!after.includes(found ? textOf(found.data) : '')) throw new Error('records that no entry has');
        const isWhole = changed === undefined && rest.length === 0;
        if (isWhole && read.damage !== undefined) throw new Error(`a cut is damage: ${read.damage}`);
        if (isWhole && kept.length === whole.length && (found ? textOf(found.data) : '') !== after.at(-1)) {
          throw new Error('the last entry does not count');
        }
        // A file that was cut where reading ended is read to the same records.
        writeFileSync(path, octets.subarray(0, read.octets));
        const again = readJournal(path);
        if (again.damage !== undefined || again.octets !== read.octets)
          throw new Error('it is damaged after it was cut');
      },
      close: () => {
        rmSync(folder, { recursive: true });
      },
    };
  },
});

function textOf(data: readonly Uint8Array[]): string {
  return JSON.stringify(data.map((each) => Buffer.from(each).toString('hex')));
}

/** One of the two files of a key, by its suffix. */
type KeyInput = { readonly suffix: '.key' | '.private'; readonly octets: Buffer };

/** The files of a new key, by suffix, and their name without it. */
const KEY_FILES = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-fuzz-'));
  const { file: path } = makeKey(folder, parseName('example.com.'), 1_790_000_000);
  const base = path.replace(/\.private$/, '');
  const files = { name: basename(base), '.key': readFileSync(`${base}.key`), '.private': readFileSync(path) };
  rmSync(folder, { recursive: true });
  return files;
})();

export const keyFiles = fuzzTarget<KeyInput>({
  name: 'key-files',
  about: 'DNSSEC key files',
  trials: 300,
  inputs: fc
    .constantFrom<KeyInput['suffix'][]>('.key', '.private')
    .chain((suffix) => editedOctets(fc.constant(KEY_FILES[suffix])).map((octets) => ({ suffix, octets }))),
  open: () => {
    const folder = mkdtempSync(join(tmpdir(), 'pharos-fuzz-'));
    const base = join(folder, KEY_FILES.name);
    return {
      run: ({ suffix, octets }) => {
        for (const each of ['.key', '.private'] as const)
          writeFileSync(base + each, each === suffix ? octets : KEY_FILES[each], { mode: 0o600 });
        const { keys, faults } = readKeys(folder, parseName('example.com.'));
        // Diagnostics make these texts plain.
        for (const { why } of faults) if (why === '') throw new Error('refused without words');
        if (keys.length + faults.length !== 1) throw new Error(`${keys.length} keys and ${faults.length} faults`);
        // Edits of files that are refused would not get far.
        if (faults.length > 0 && octets.equals(KEY_FILES[suffix])) throw new Error('whole files are refused');
      },
      close: () => {
        rmSync(folder, { recursive: true });
      },
    };
  },
});
