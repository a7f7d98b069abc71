import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createBeaconSamples } from '../../../geo/beacon-samples.ts';
import { readBeaconFile, writeBeaconFile } from '../../../zones/beacon-file.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { T } from '../../support/message.ts';
import { answering, bundledGeography } from '../../support/pharos.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-beacon-file-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Three sources of 1.208.7.0/24, which is in Korea, are fastest in Dublin. */
function measured(): ReturnType<typeof createBeaconSamples> {
  const samples = createBeaconSamples();
  for (const host of [1, 2, 3]) {
    const origin = { address: Uint8Array.of(1, 208, 7, host), country: 'KR', asn: 0 };
    samples.add(origin, new Map([['seoul', 250], ['dublin', 200 + host]]), Date.now()); // prettier-ignore
  }
  return samples;
}

test('what was written is read again', async () => {
  const samples = measured();
  await writeBeaconFile(folder, samples);
  const again = createBeaconSamples();
  again.restore(readBeaconFile(folder, expect.unreachable), Date.now());
  expect([...again.save()]).toEqual([...samples.save()]);
  expect(readdirSync(folder)).toEqual(['beacon.json']);
});

test('without a file there are no samples', () => {
  expect(readBeaconFile(join(folder, 'nowhere'), expect.unreachable)).toEqual([]);
});

test.for([
  ['no JSON', '{"version":1,', 0, 1],
  ['another version', '{"version":2,"networks":[]}', 0, 1],
  ['null', 'null', 0, 1],
  ['invalid entries', '{"version":1,"networks":[1,null,{"network":5},{"network":"x","country":"","asn":0,"samples":{"a":[[1,2]]}}]}', 0, 0], // prettier-ignore
  ['an invalid network', '{"version":1,"networks":[{"network":"192.0.2.0/25","country":"","asn":0,"samples":{"a":[[1,2,3]]}}]}', 1, 0], // prettier-ignore
] as const)('a broken file: %s', ([, text, read, warnings]) => {
  writeFileSync(join(folder, 'beacon.json'), text);
  const warned: string[] = [];
  const saved = readBeaconFile(folder, (message) => warned.push(message));
  expect([saved.length, warned.length]).toEqual([read, warnings]);
  const samples = createBeaconSamples();
  samples.restore(saved, 1);
  expect(samples.size().samples).toBe(0);
});

const YAML = `regions: { seoul: { at: KR }, dublin: { at: IE } }
beacon: { urls: { seoul: "https://a/", dublin: "https://b/" } }
`;
const ZONE = `zone: example.com
nameservers: [ns.example.net.]
services:
  www:
    vips: { s: { region: seoul, A: 203.0.113.1 }, d: { region: dublin, A: 203.0.113.2 } }
    steer: [latency]
`;

test('a start steers by what the last run kept; also without a table', async () => {
  const state = mkdtempSync(join(folder, 'state-'));
  await writeBeaconFile(state, measured());
  const server = answering({ 'pharos.yaml': `${YAML}state_dir: ${state}\n`, 'zones/example.com.yaml': ZONE });
  const ask = (from: string): string | undefined => server.ask('www.example.com', T.A, { from }).answer[0]?.data;
  expect(ask('1.208.7.200')).toBe('cb007102');
  expect(ask('1.208.8.1')).toBe('cb007101');
});

test('an unusable file is a warning: PH383', () => {
  const state = mkdtempSync(join(folder, 'state-'));
  writeFileSync(join(state, 'beacon.json'), '!');
  writeFileSync(join(state, 'pharos.yaml'), `${YAML}state_dir: ${state}\nzones: ${state}/example.com.yaml\n`);
  writeFileSync(join(state, 'example.com.yaml'), ZONE);
  const input = { file: join(state, 'pharos.yaml'), cwd: state, env: {}, cores: 1 };
  const outcome = loadGeneration({ ...input, geographyInUse: bundledGeography() });
  expect(outcome.ok).toBe(true);
  expect(outcome.diagnostics.map(({ code, severity }) => `${code} ${severity}`)).toContain('PH383 warning');
});
