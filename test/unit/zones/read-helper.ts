/**
 * Reads a zone file in a temporary folder, with the settings of a small pharos.yaml.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createReport, type Diagnostic } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { formatName } from '../../../wire/name.ts';
import { formatRdata } from '../../../wire/rdata.ts';
import { typeText } from '../../../wire/types.ts';
import type { ServiceModel, ZoneModel } from '../../../zones/read/model.ts';
import { readZone } from '../../../zones/read/read-zone.ts';
import { ownerOf, rdataOf } from '../../../zones/read/record-store.ts';

const folders: string[] = [];
afterAll(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

export function makeFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-zone-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

const PHAROS = `
regions: { seoul: { at: KR }, virginia: { at: US }, nowhere: {}, dublin: { at: IE } }
checks: { shared: { type: tcp, port: 443 }, portless: { type: tcp } }
`;

export function readZoneText(
  yaml: string,
  files: Readonly<Record<string, string>> = {},
): { zone: ZoneModel | undefined; diagnostics: Diagnostic[]; folder: string } {
  const folder = makeFolder({ 'pharos.yaml': PHAROS, 'zone.yaml': yaml, ...files });
  const report = createReport();
  const isCountry = (code: string): boolean => /^(?:KR|US|IE|JP|AS)$/.test(code);
  const base = { env: { SORRY: 'sorry.example.net.' }, report, isCountry };
  const file = join(folder, 'pharos.yaml');
  const settings = readSettings({ file, baseDir: folder, cores: 2, ...base });
  report.diagnostics.length = 0; // about the folder zones, which these tests do not have
  const zone = settings && readZone({ file: join(folder, 'zone.yaml'), settings, ...base });
  return { zone, diagnostics: report.diagnostics, folder };
}

/** `www.example.com 300 A 192.0.2.1` of every record, in the store's order. */
export function recordsOf(zone: ZoneModel | undefined): string[] {
  if (!zone) return [];
  const { records } = zone;
  return Array.from({ length: records.count }, (_, row) => {
    const type = records.type[row] ?? 0;
    const rdata = formatRdata(type, rdataOf(records, row));
    return `${formatName(ownerOf(records, row))} ${records.ttlSeconds[row] ?? 0} ${typeText(type)} ${rdata}`;
  });
}

/** The first lines of a zone without mistakes: nine of them. */
export const HEAD = `zone: example.com
ttl: 300
nameservers: [ns1, ns2]
soa: { serial: 7 }
records: # the lines below are its owners
  ns1: { A: 192.0.2.53 }
  ns2: { A: 198.51.100.53 }
`;

/** HEAD with a service `www`, whose lines begin on the tenth line with four spaces before each. */
function serviceText(...body: readonly string[]): string {
  return `${HEAD}\nservices:\n  www:\n${body.map((line) => `    ${line}`).join('\n')}\n`;
}

export const VIPS = 'vips: { a: { region: seoul, A: 203.0.113.1 }, b: { region: virginia, A: 203.0.113.2 } }';

export function readServiceText(...body: readonly string[]): {
  service: ServiceModel | undefined;
  diagnostics: Diagnostic[];
  folder: string;
} {
  const { zone, diagnostics, folder } = readZoneText(serviceText(...body), { 'rtt.csv': '' });
  return { service: zone?.services[0], diagnostics, folder };
}
