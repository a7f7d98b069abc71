/**
 * `explain` says how an answer is signed, by which key, and until when (docs/dnssec.md).
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../../dnssec/key-files.ts';
import { explainFrom } from '../../../../server/explain/explain-answer.ts';
import type { TraceSigning } from '../../../../steering/trace.ts';
import { parseName } from '../../../../wire/name.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../../support/pharos.ts';

const NOW = Math.floor(Date.now() / 1000);
const DAY_MS = 86_400_000;

/** What explain says of the signatures of names in a zone; and the tag of its key. */
function signingOf(
  dnssec: string,
  names: readonly string[],
): { readonly tag: number; readonly told: readonly (TraceSigning | undefined)[] } {
  // `sticky`: a random pair may be one that is signed beforehand.
  const vips = Array.from({ length: 40 }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1} }`);
  const zone = `zone: example.com\ndnssec: ${dnssec}\nnameservers: [ns.example.net.]\nrecords: { a: { TXT: x } }\nservices:\n  www: { vips: { ${vips.join(', ')} } }\n  two: { answers: 2, steer: [sticky], vips: { ${vips.join(', ')} } }\n`;
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  const keys = join(folder.path, 'state', 'keys');
  makeKey(keys, parseName('example.com.'), NOW);
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const told = names.map((name) => {
    const explained = explainFrom(outcome.value, { name, type: 'A', client: '192.0.2.1' });
    if (!explained.ok) throw new Error(explained.message);
    return explained.trace.signing;
  });
  return { tag: readKeys(keys, parseName('example.com.')).keys[0]?.tag ?? 0, told };
}

test('an answer, a cut answer and denials', () => {
  const { tag, told } = signingOf('{ lifetime: 10d }', ['www.example.com', 'two.example.com', 'nope.example.com']);
  expect(told.map((each) => each?.how)).toEqual([
    'signed beforehand',
    '1 of 2 records: this set of VIPs is signed when it is first asked for with DO',
    'NSEC records that were signed beforehand',
  ]);
  for (const each of told) {
    expect(each?.keyTags).toEqual([tag]);
    const left = Date.parse(each?.validUntil ?? '') - Date.now();
    expect(left).toBeLessThanOrEqual(10 * DAY_MS);
    expect(left).toBeGreaterThan(8.9 * DAY_MS);
  }
});

test('compact denial, and a zone that is not signed', () => {
  const { told } = signingOf('{ denial: compact }', ['nope.example.com', 'a.example.com']);
  expect(told.map((each) => each?.how)).toEqual(Array.from({ length: 2 }, () => 'compact denial: an NSEC for the name alone (RFC 9824)')); // prettier-ignore
  expect(signingOf('false', ['www.example.com']).told).toEqual([undefined]);
});
