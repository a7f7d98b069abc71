/**
 * Serials are saved some time after an update is answered. After a crash in between, a zone with `soa.serial: auto` had
 * a serial that it had already had with other content, or a smaller one: secondaries did not transfer it.
 */
import { expect, test } from 'vitest';
import { nameKey, parseName } from '../../../wire/name.ts';
import { TYPE } from '../../../wire/types.ts';
import { formatEntry, formatMark } from '../../../zones/journal/journal-file.ts';
import { formatDifference } from '../../../zones/journal/zone-history.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const KEY = '{ algorithm: hmac-sha256, secret: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= }';
const ZONE = nameKey(parseName('example.com.'));
/** Later than the times of the files. */
const SERIAL = 3_000_000_000;
const line = (serial: number): string => {
  const data = [Uint8Array.of(192, 0, 2, serial & 255)];
  return formatEntry({ serial, sets: [{ name: parseName('new.example.com.'), type: TYPE.A, base: '', ttlSeconds: 60, data }] }) + formatMark(); // prettier-ignore
};
const FILES = {
  ...NO_GEOGRAPHY,
  'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}state_dir: state\ntransfer: { keys: { k: ${KEY} } }\nupdates: [{ key: k }]\n`,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.1 } }\n',
  'state/serials.json': JSON.stringify({ [ZONE]: { serial: SERIAL, digest: 'before both updates' } }),
  'state/journal/example.com.journal': line(SERIAL + 1) + line(SERIAL + 2),
};

function serialOf(files: Readonly<Record<string, string | Uint8Array>>) {
  using folder = folderOf(files);
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return { serial: outcome.value.catalog.zones[0]?.serial, digest: outcome.value.serials.get(ZONE)?.digest ?? '' };
}

test('the serial is later than that of the last update', () => {
  expect(serialOf(FILES).serial).toBe(SERIAL + 3);
});

test('the serial is that of the last difference, if the content is the same', () => {
  const { digest } = serialOf(FILES);
  const history = (of: string) => {
    const soa = new Uint8Array(0);
    const text = formatDifference({ from: SERIAL + 1, to: SERIAL + 2, digest: of, soaBefore: soa, soaAfter: soa, removed: [], added: [] }); // prettier-ignore
    return { ...FILES, 'state/journal/example.com.history': text };
  };
  expect(serialOf(history(digest)).serial).toBe(SERIAL + 2);
  expect(serialOf(history('other content')).serial).toBe(SERIAL + 3);
});
