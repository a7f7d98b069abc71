/**
 * A DNAME above other names makes no zone that can be served. Such an update was in the journal until the compile step
 * had refused it; after a crash in between, no start accepted the zone any more.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseName } from '../../../wire/name.ts';
import { parseRdataText } from '../../../wire/rdata.ts';
import { CLASS, RCODE, TYPE } from '../../../wire/types.ts';
import { formatEntry, formatMark, journalPath } from '../../../zones/journal/journal-file.ts';
import { processUpdate } from '../../../zones/journal/process-update.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { dig, eventually, serve } from '../../support/process.ts';

const APEX = parseName('example.com.');
const KEY = '{ algorithm: hmac-sha256, secret: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= }';
const FILES = {
  ...NO_GEOGRAPHY,
  'pharos.yaml': `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0 }
state_dir: state
geo: { databases: [small.mmdb] }
transfer: { keys: { k: ${KEY} } }
updates: [{ key: k }]
`,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.1 } }\n',
};

/** An update, as a line of the journal. */
function added(serial: number, ...records: readonly (readonly [name: string, type: number, data: string])[]): string {
  const sets = records.map(([name, type, data]) => ({
    name: parseName(name, APEX),
    ...{ type, base: '', ttlSeconds: 60, data: [parseRdataText(type, data, APEX)] },
  }));
  return formatEntry({ serial, sets });
}

const KEPT = added(5, ['kept', TYPE.A, '192.0.2.2']) + formatMark();
/** Both updates are of one batch. */
const INVALID =
  added(6, ['fine', TYPE.A, '192.0.2.3']) + added(6, ['d', TYPE.DNAME, 'e'], ['x.d', TYPE.A, '192.0.2.4']);
const VALID = added(6, ['fine', TYPE.A, '192.0.2.3']);

test('a batch that was not put in force is dropped if it is invalid', async () => {
  using folder = folderOf(FILES);
  const path = journalPath(join(folder.path, 'state'), APEX);
  mkdirSync(join(folder.path, 'state/journal'), { recursive: true });
  writeFileSync(path, KEPT + INVALID);
  await using server = await serve([], { cwd: folder.path });
  expect(server.stdout()).toContain('PH428');
  expect(await dig(server.port, 'kept.example.com', 'A')).toBe('192.0.2.2');
  expect(await dig(server.port, 'fine.example.com', 'A')).toBe('');
  // eslint-disable-next-line @typescript-eslint/require-await
  await eventually(async () => readFileSync(path, 'latin1'), (text) => text === KEPT); // prettier-ignore
});

test('a batch that is valid is put in force', async () => {
  using folder = folderOf(FILES);
  const path = journalPath(join(folder.path, 'state'), APEX);
  mkdirSync(join(folder.path, 'state/journal'), { recursive: true });
  writeFileSync(path, KEPT + VALID);
  await using server = await serve([], { cwd: folder.path });
  expect(await dig(server.port, 'fine.example.com', 'A')).toBe('192.0.2.3');
  // eslint-disable-next-line @typescript-eslint/require-await
  await eventually(async () => readFileSync(path, 'latin1'), (text) => text === KEPT + VALID + formatMark()); // prettier-ignore
});

test.each([
  ['a marked update that became invalid', KEPT + INVALID + formatMark(), FILES],
  ['files with mistakes', KEPT + VALID, { ...FILES, 'zones/example.com.yaml': 'zone: example.com\nrecords: {}\n' }],
])('no update is dropped for %s', (_, journal, files) => {
  using folder = folderOf({ ...files, 'state/journal/example.com.journal': journal });
  const { ok, diagnostics } = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  expect(ok).toBe(false);
  expect(diagnostics.map(({ code }) => code)).not.toContain('PH428');
});

test('records that fit no message are refused before they are in the journal', () => {
  const zone = { apex: APEX, setsOf: () => undefined, isSteered: () => false, mayChange: () => true };
  const texts = Array.from({ length: 300 }, (_, index) => Uint8Array.from([250, ...new Uint8Array(250).fill(index)]));
  const process = (data: readonly Uint8Array[]) =>
    processUpdate(
      {
        zone: { name: APEX, type: TYPE.SOA, class: CLASS.IN },
        prerequisites: [],
        updates: data.map((each) => ({ name: APEX, type: TYPE.TXT, class: CLASS.IN, ttlSeconds: 60, data: each })),
      },
      zone,
    );
  expect(process(texts.slice(0, 200))).toMatchObject({ ok: true });
  expect(process(texts)).toMatchObject({ ok: false, refusal: { rcode: RCODE.SERVFAIL } });
});
