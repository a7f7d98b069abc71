/**
 * Records of a VIP, or of `when_all_down`, that are not A, AAAA or CNAME (docs/steering.md#other-types): in
 * presentation format, as in `records`.
 */
import type { Report } from '../../config/diagnostics.ts';
import { type OtherKeys } from '../../config/fields.ts';
import { nodePlace, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { canonicalRdata } from '../../dnssec/rrsig.ts';
import type { Name } from '../../wire/name.ts';
import { STRUCTURAL_TYPES, TYPE, TYPE_NUMBERS, isMetaType, typeNumber, typeText } from '../../wire/types.ts';
import type { RrsetModel } from './model.ts';
import { readType, readValues, VALUES } from './read-records.ts';

/** Types with keys of their own. */
const OWN_KEYS: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA, TYPE.CNAME]);

function isSteerable(type: number): boolean {
  return !OWN_KEYS.has(type) && !STRUCTURAL_TYPES.has(type) && !isMetaType(type);
}

function isTypeKey(key: string): boolean {
  const type = typeNumber(key);
  return type !== undefined && !OWN_KEYS.has(type);
}

const names = [...TYPE_NUMBERS].flatMap(([name, type]) => (isSteerable(type) ? [name] : []));

/** The keys for `map`. */
export const TYPE_KEYS: OtherKeys = {
  isKey: isTypeKey,
  names,
  schemas: {
    [`^(?:${names.flatMap((name) => [name, name.toLowerCase()]).join('|')})$`]: VALUES,
    '^[Tt][Yy][Pp][Ee]\\d{1,5}$': VALUES,
  },
};

/** Whether a map has a key for a type besides A, AAAA and CNAME. */
export function hasRrsets(node: YamlNode): boolean {
  return node.kind === 'map' && node.entries.some(({ key }) => isTypeKey(key.text));
}

/** Reads the records of other types in a map. Undefined if there are none. Each mistake is reported. */
export function readRrsets(node: YamlNode, apex: Name, report: Report): readonly RrsetModel[] | undefined {
  const rrsets = new Map<number, { readonly key: YamlScalar; readonly rdata: Map<string, Uint8Array> }>();
  for (const { key, value } of node.kind === 'map' ? node.entries : []) {
    if (!isTypeKey(key.text)) continue;
    const type = readType(key, report);
    if (type === undefined) continue;
    if (!isSteerable(type)) {
      const message = `${typeText(type)} records cannot be steered: all clients must get the same`;
      report.error('PH246', message, nodePlace(key), 'write them under records');
      continue;
    }
    const first = rrsets.get(type);
    if (first) {
      const message = `${key.text} is the same type as ${first.key.text} on line ${nodePlace(first.key).line}`;
      report.error('PH109', message, nodePlace(key), 'write them as one list');
      continue;
    }
    const rdata = new Map<string, Uint8Array>();
    rrsets.set(type, { key, rdata });
    readValues(type, key, value, apex, report, (data) => {
      const text = Buffer.from(canonicalRdata(type, data)).toString('latin1');
      if (!rdata.has(text)) rdata.set(text, data);
    });
  }
  const read = [...rrsets].flatMap(([type, { rdata }]) => (rdata.size > 0 ? { type, rdata: [...rdata.values()] } : []));
  return read.length === 0 ? undefined : read.sort((a, b) => a.type - b.type);
}
