/**
 * A zone that stated `serial: 2026112001` and then changed to `auto` got the seconds since 1970 as its serial, a
 * smaller one, so no secondary took the change (RFC 1982): stated serials were not kept.
 */
import { expect, test } from 'vitest';
import { loadGeneration } from '../../../zones/load-generation.ts';
import type { Serials } from '../../../zones/serials.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = (serial: string, address: string): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nsoa: { serial: ${serial} }\nrecords: { www: { A: ${address} } }\n`;

function serve(text: string, serials: Serials): { readonly serial: number; readonly kept: Serials } {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': text });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1, serials });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return { serial: outcome.value.catalog.zones[0]?.serial ?? 0, kept: outcome.value.serials };
}

test('auto rises above the stated serial, whether there was an auto before or not', () => {
  const first = serve(zone('auto', '192.0.2.1'), new Map());
  const stated = serve(zone('4026112001', '192.0.2.1'), first.kept);
  expect(stated.serial).toBe(4_026_112_001);
  const again = serve(zone('auto', '192.0.2.1'), stated.kept);
  expect(again.serial).toBe(4_026_112_002);
  expect(serve(zone('auto', '192.0.2.1'), again.kept).serial).toBe(4_026_112_002);
  expect(serve(zone('auto', '192.0.2.2'), again.kept).serial).toBe(4_026_112_003);
});
