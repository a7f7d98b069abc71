/** `check` and `explain` over real files, with the real loader. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCheck } from '../../../cli/check.ts';
import { explain } from '../../../cli/explain.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { captureOutput } from './captured-output.ts';

const zone = (weight: string): string => `zone: example.com
nameservers: [ns1]
soa: { contact: hostmaster }
records:
  ns1: { A: 192.0.2.53 }
regions:
  seoul: { at: KR }
  dublin: { at: IE }
services:
  www:
    ttl: 20
    vips:
      seoul-a: { region: seoul, A: 203.0.113.10, weight: ${weight} }
      dublin-a: { region: dublin, A: 192.0.2.10 }
    steer: [{ geo: { KR: seoul, default: dublin } }]
`;

let folder: string;
let good: string;
let bad: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-cli-'));
  const write = (name: string, weight: string): string => {
    mkdirSync(join(folder, name, 'zones'), { recursive: true });
    writeFileSync(join(folder, name, 'zones', 'example.com.yaml'), zone(weight));
    writeFileSync(join(folder, name, 'pharos.yaml'), 'zones: ./zones\ngeo: { databases: [small.mmdb] }\n');
    writeFileSync(join(folder, name, 'small.mmdb'), writeMmdb([['1.208.0.0/12', { country: { iso_code: 'KR' } }]]));
    return join(folder, name, 'pharos.yaml');
  };
  good = write('good', '4');
  bad = write('bad', '-3');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('pharos check', () => {
  it('counts what would be served, and exits 0', () => {
    const { output, out } = captureOutput();
    expect(runCheck({ config: good, json: false }, output)).toBe(0);
    expect(out()).toMatch(/^ok: 1 zone, 3 records, 1 service, 2 VIPs/m);
  });

  it('shows a mistake with its place, excerpt and hint, and exits 1', () => {
    const { output, out, error } = captureOutput();
    expect(runCheck({ config: bad, json: false }, output)).toBe(1);
    expect(out()).toMatch(
      /example\.com\.yaml:13:\d+ error PH\d{3}: weight must be 0 to 65535, got -3\n.*weight: -3.*\n +\^\^/,
    );
    expect(out()).toMatch(/^1 error$/m);
    expect(error()).toBe('');
  });

  it.each<[title: string, config: () => string, code: number, found: object]>([
    ['good', () => good, 0, { ok: true, summary: { errors: 0, zones: 1, records: 3, services: 1, vips: 2 } }],
    ['bad', () => bad, 1, { ok: false, summary: { errors: 1, zones: 0 }, diagnostics: [{ severity: 'error' }] }],
    ['missing', () => join(folder, 'nowhere.yaml'), 1, { ok: false, summary: { errors: 1 } }],
  ])('--json of a %s configuration', (_title, config, code, found) => {
    const { output, out } = captureOutput();
    expect(runCheck({ config: config(), json: true }, output)).toBe(code);
    expect(JSON.parse(out())).toMatchObject(found);
  });
});

describe('pharos explain, from files', () => {
  const ask = async (
    name: string,
    config: string,
    json: boolean,
  ): Promise<{ code: number; out: string; error: string }> => {
    const { output, out, error } = captureOutput();
    const request = { name, type: 'A', country: 'KR' };
    const code = await explain({ request, config, api: undefined, token: undefined, json }, output);
    return { code, out: out(), error: error() };
  };

  it('decides as a server would, and says that no health is known', async () => {
    const { code, out } = await ask('www.example.com', good, false);
    expect(code).toBe(0);
    expect(out).toContain('www.example.com A = 203.0.113.10 (seoul-a)');
    expect(out).toContain('From files: health is unknown');
  });

  it('--json prints only the trace', async () => {
    const { code, out } = await ask('www.example.com', good, true);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ service: 'www.example.com', answer: { vips: ['seoul-a'] } });
  });

  it('shows the mistakes of unreadable files, on stderr', async () => {
    const { code, out, error } = await ask('www.example.com', bad, false);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(error).toContain('weight must be 0 to 65535');
  });
});
