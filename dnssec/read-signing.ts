/**
 * `dnssec` of a zone file (docs/dnssec.md), and the keys that it names.
 */
import { resolve } from 'node:path';
import type { Report } from '../config/diagnostics.ts';
import { boolean, choice, duration, map, optional, text, withDefault, type Read } from '../config/fields.ts';
import { anyOf, described, schemaOf } from '../config/schema.ts';
import { messageOf } from '../config/unknown-values.ts';
import { nodePlace, type YamlNode } from '../config/yaml.ts';
import { formatName, type Name } from '../wire/name.ts';
import { readKeys, type ZoneKey } from './key-files.ts';
import type { SigningRule } from './zone-signer.ts';

/** How a zone is signed, and its keys. */
export type Signing = { readonly rule: SigningRule; readonly keys: readonly ZoneKey[] };

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

type Cds = boolean | 'delete';

/** `true`, `false` or `delete`. */
const cds: Read<Cds> = described(
  () => anyOf(schemaOf(boolean(), 'cds'), schemaOf(choice(['delete']), 'cds')),
  (node, name, report) =>
    node.kind === 'scalar' && node.text === 'delete'
      ? 'delete'
      : boolean({ hint: 'write true, false, or delete' })(node, name, report),
);

const readMap = map('dnssec', {
  keys: optional(text({ hint: 'a folder: keys: ./keys' })),
  denial: withDefault(choice(['nsec', 'compact']), 'nsec'),
  lifetime: withDefault(duration({ minMs: HOUR_MS, maxMs: 365 * DAY_MS }), 14 * DAY_MS),
  refresh: optional(duration({ minMs: 60_000, maxMs: 365 * DAY_MS })),
  cds: withDefault(cds, true),
});

/** Values of `dnssec`; undefined if it is false. */
type Written = NonNullable<ReturnType<typeof readMap>> & { readonly at: YamlNode };

function readWritten(node: YamlNode, name: string, report: Report): Written | false | undefined {
  if (node.kind !== 'map') {
    const isOn = boolean({ hint: 'write dnssec: true, or a map with keys, lifetime, refresh, cds' })(
      node,
      name,
      report,
    );
    if (isOn === undefined) return undefined;
    return isOn && { keys: undefined, denial: 'nsec', lifetime: 14 * DAY_MS, refresh: undefined, cds: true, at: node };
  }
  const read = readMap(node, name, report);
  if (!read) return undefined;
  // RFC 6781 4.4.2: after a missed refresh, operators need time before the signatures end.
  if (read.refresh !== undefined && read.refresh > read.lifetime * 0.8) {
    const message = 'refresh must be at most 80 % of lifetime: signatures would end before they are made again';
    report.error('PH394', message, nodePlace(node), 'such as lifetime: 14d, refresh: 7d');
  }
  return { ...read, at: node };
}

/** Reads the value of the key `dnssec`. */
export const dnssec: Read<Written | false> = described(
  () => anyOf(schemaOf(boolean(), 'dnssec'), schemaOf(readMap, 'dnssec')),
  readWritten,
);

/** Reads the keys. `stateDir` has the default folder; `folder` is that of the zone file. */
export function signingOf(
  written: Written,
  {
    apex,
    stateDir,
    folder,
    report,
  }: { readonly apex: Name; readonly stateDir: string; readonly folder: string; readonly report: Report },
): Signing {
  const rule: SigningRule = {
    keys: written.keys === undefined ? resolve(stateDir, 'keys') : resolve(folder, written.keys),
    lifetimeSeconds: Math.floor(written.lifetime / 1000),
    refreshSeconds: Math.floor((written.refresh ?? written.lifetime / 2) / 1000),
    cds: written.cds === 'delete' ? 'delete' : written.cds ? 'publish' : 'none',
    denial: written.denial === 'compact' ? 'compact' : 'nsec',
  };
  try {
    const { keys, faults } = readKeys(rule.keys, apex);
    for (const { file, why } of faults) {
      const hint = 'correct the pair of files, or move both away';
      report.error('PH390', `a key of ${formatName(apex)} cannot be used: ${why}`, { file }, hint);
    }
    return { rule, keys };
  } catch (error) {
    const message = `the keys of ${formatName(apex)} cannot be read: ${messageOf(error)}`;
    report.error('PH390', message, { file: rule.keys }, 'make the folder readable for the user of the server');
    return { rule, keys: [] };
  }
}
