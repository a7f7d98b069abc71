/**
 * Reads `records`, `nameservers` and `soa` of a zone file (docs/configuration.md#records) into a RecordStore.
 */
import { domainToASCII } from 'node:url';
import type { Report } from '../../config/diagnostics.ts';
import {
  entriesOf,
  list,
  map,
  scalar,
  seconds,
  show,
  text,
  withDefault,
  type Read,
  optional,
} from '../../config/fields.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import { anyOf, like, oneOrMore, openMap, SCALAR, schemaOf, type JsonSchema } from '../../config/schema.ts';
import { parseInteger } from '../../config/units.ts';
import {
  isDoubleQuoted,
  placeInText,
  nodePlace,
  refuseReference,
  type YamlNode,
  type YamlScalar,
} from '../../config/yaml.ts';
import { MAX_TTL_SECONDS } from '../../wire/limits.ts';
import { NameError, ROOT, formatName, isWithin, nameKey, parseName, type Name } from '../../wire/name.ts';
import { NAMES_ONLY } from '../../wire/rdata/table.ts';
import { RdataError, parseRdataText } from '../../wire/rdata.ts';
import { TYPE, TYPE_NUMBERS, isMetaType, typeNumber, typeText } from '../../wire/types.ts';
import { mistakenForHost } from './host-names.ts';
import type { AliasModel } from './model.ts';
import { addRecord, ownerOf, rdataOf, type RecordStore } from './record-store.ts';

/** The destination of records. `file` is the YAML file's number in the store. */
export type RecordsTarget = {
  readonly apex: Name;
  readonly store: RecordStore;
  readonly file: number;
  readonly defaultTtlSeconds: number;
  /** Where aliases are added. */
  readonly aliases: AliasModel[];
  readonly report: Report;
};

/** RFC 2181 8. */
export const ttl: Read<number> = seconds({ min: 0, max: MAX_TTL_SECONDS, code: 'PH111' });

/** Reads a name relative to `origin`. A mistake is reported with `code`. */
export function readName(node: YamlScalar, origin: Name, code: string, report: Report): Name | undefined {
  try {
    const name = parseName(node.text, origin);
    // The most common mistake in zone files: the full name without its final dot.
    const zone = formatName(origin).toLowerCase();
    if (!node.text.endsWith('.') && origin.length > 1 && `.${node.text.toLowerCase()}`.endsWith(`.${zone}`)) {
      const message = `${node.text} without a final dot is ${formatName(name)}.`;
      report.warning('PH113', message, nodePlace(node), `write ${node.text}. or leave out the zone's name`);
    }
    warnBeyondAscii(node, report);
    warnIdleBackslash(node, undefined, report);
    return name;
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    report.error(code, error.message, nodePlace(node), 'names are relative to the zone unless they end with a dot');
    return undefined;
  }
}

/** RFC 5890 2.3.2.1: clients ask for A-labels, so they would not find a name that is written in Unicode. */
export function warnBeyondAscii(node: YamlScalar, report: Report): void {
  // eslint-disable-next-line no-control-regex -- all of ASCII is meant
  const word = node.text.split(/\s+/).find((each) => /[^\u0000-\u007f]/.test(each));
  if (word === undefined) return;
  const asked = word.split('.').map((label) => domainToASCII(label) || label);
  const message = `${show(word)} is not ASCII: clients ask for ${asked.join('.')}`;
  report.warning('PH118', message, nodePlace(node), 'write that name, or escapes (\\195) for these octets');
}

/**
 * Names and values use the escapes of master files (RFC 1035 5.1), even in YAML quotes: `DOMAIN\\user` loses its
 * backslash. A backslash before a letter, or before fewer than three digits, has no other meaning.
 */
function warnIdleBackslash(node: YamlScalar, type: string | undefined, report: Report): void {
  if (!node.text.includes('\\')) return;
  for (const match of node.text.matchAll(/\\(?:\d{3}|[^])/g)) {
    const sign = match[0].slice(1);
    if (!/^[A-Za-z0-9]$/.test(sign)) continue;
    const message = `${type === undefined ? '' : `${type}: `}the backslash before "${sign}" is dropped: it starts an escape`;
    const itself = isDoubleQuoted(node) ? '\\\\\\\\' : '\\\\';
    report.warning('PH089', message, placeInText(node, match.index, 2), `write ${itself} for a backslash`);
    return;
  }
}

/** Reads the owner in a key of `records` or `services`. Reports an owner out of the zone. */
export function readOwner(key: YamlScalar, apex: Name, report: Report): Name | undefined {
  const owner = readName(key, apex, 'PH107', report);
  if (!owner || isWithin(owner, apex)) return owner;
  const message = `${key.text} is not in the zone ${formatName(apex)}`;
  report.error('PH112', message, nodePlace(key), 'leave out the final dot, or move it to the zone that it belongs to');
  return undefined;
}

/** The schema of `records`: owners with their types. Whether data is that of its type, only the reader knows. */
export function recordsSchema(): JsonSchema {
  const types = [...TYPE_NUMBERS.keys()].flatMap((type) => [type, type.toLowerCase()]);
  const ttlSchema = schemaOf(ttl, 'ttl');
  const properties = Object.fromEntries(types.map((type) => [type, VALUES]));
  return openMap({
    type: 'object',
    minProperties: 1,
    properties: {
      ttl: anyOf(ttlSchema, {
        type: 'object',
        properties: Object.fromEntries([...types, ...ALIAS_KEYS].map((type) => [type, ttlSchema])),
        patternProperties: { '^[Tt][Yy][Pp][Ee]\\d{1,5}$': ttlSchema },
        additionalProperties: false,
      }),
      ...properties,
      ...Object.fromEntries(ALIAS_KEYS.map((key) => [key, { type: 'string' }])),
    },
    patternProperties: { '^[Tt][Yy][Pp][Ee]\\d{1,5}$': VALUES },
    additionalProperties: false,
  });
}
/** The schema of the values of a type. */
export const VALUES = oneOrMore(SCALAR, 1, Infinity);

/** ALIAS is not a type of DNS: the zone answers with the addresses of the name that it gives. */
const ALIAS = -1;
const ALIAS_KEYS = ['ALIAS', 'alias', 'ANAME', 'aname'];

function isAliasKey({ text }: YamlScalar): boolean {
  return /^(?:ALIAS|ANAME)$/i.test(text);
}

/** Reads `records`: owners with their types. */
export function readRecords(node: YamlNode, target: RecordsTarget): void {
  const { apex, report } = target;
  const owners = new Map<string, YamlScalar>();
  for (const { key, value } of entriesOf(node, 'records', report) ?? []) {
    const owner = readOwner(key, apex, report);
    if (!owner) continue;
    const first = owners.get(nameKey(owner));
    if (first) {
      const message = `${key.text} is the same name as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH108', message, nodePlace(key), 'put all its records under one of the two');
      continue;
    }
    owners.set(nameKey(owner), key);
    readOwnersRecords(owner, key, value, target);
  }
}

function readOwnersRecords(owner: Name, key: YamlScalar, node: YamlNode, target: RecordsTarget): void {
  const { apex, store, file, report } = target;
  const entries = entriesOf(node, `records of ${key.text}`, report);
  if (!entries) return;
  const own = entries.find((entry) => entry.key.text === 'ttl');
  const ttlOf = own ? readTtls(own.value, target) : undefined;
  const types = new Map<number, YamlScalar>();
  for (const entry of entries) {
    if (entry === own) continue;
    const type = isAliasKey(entry.key) ? ALIAS : readType(entry.key, report);
    if (type === undefined) continue;
    const first = types.get(type);
    if (first) {
      const message = `${entry.key.text} is the same type as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH109', message, nodePlace(entry.key), 'write them as one list');
      continue;
    }
    types.set(type, entry.key);
    if (type === ALIAS) {
      readAlias(owner, ttlOf?.(ALIAS), entry.key, entry.value, target);
      continue;
    }
    const ttlSeconds = ttlOf?.(type) ?? target.defaultTtlSeconds;
    readValues(type, entry.key, entry.value, apex, report, (rdata, line) => {
      addRecord(store, owner, type, ttlSeconds, rdata, file, line);
    });
  }
  reportIdleTtls(own?.value, types, report);
  if (entries.length > (own ? 1 : 0)) return;
  report.error(
    'PH114',
    `${key.text} has no records`,
    nodePlace(key),
    'add some, such as { A: 192.0.2.1 }, or remove it',
  );
}

/** `ttl` of an owner: one for all its types, or one per type, such as `{ MX: 1h }`. */
function readTtls(node: YamlNode, { report }: RecordsTarget): (type: number) => number | undefined {
  if (node.kind !== 'map') {
    const all = ttl(node, 'ttl', report);
    return () => all;
  }
  const byType = new Map<number, number>();
  for (const { key, value } of node.entries) {
    const type = isAliasKey(key) ? ALIAS : readType(key, report);
    const seconds = ttl(value, `ttl of ${key.text}`, report);
    if (type !== undefined && seconds !== undefined) byType.set(type, seconds);
  }
  return (type) => byType.get(type);
}

/** Reads the name of an ALIAS. */
function readAlias(
  owner: Name,
  ttlSeconds: number | undefined,
  key: YamlScalar,
  node: YamlNode,
  { apex, aliases, report }: RecordsTarget,
): void {
  const items = node.kind === 'list' ? node.items : [node];
  const [value] = items;
  if (items.length !== 1 || value?.kind === 'list') {
    report.error('PH450', `${key.text} takes one name`, nodePlace(key), 'such as ALIAS: www');
    return;
  }
  if (value?.kind === 'broken' || text()(value ?? node, key.text, report) === undefined || value?.kind !== 'scalar')
    return;
  const mistaken = mistakenForHost(value.text);
  if (mistaken !== undefined) {
    const hint = 'write addresses as A and AAAA';
    report.error('PH450', `${key.text} takes a name, got ${mistaken}`, nodePlace(value), hint);
    return;
  }
  const target = readName(value, apex, 'PH450', report);
  if (target) aliases.push({ owner, target, ttlSeconds, place: nodePlace(value) });
}

/** Reports TTLs for types that their owner does not have: the type is mistyped, or its record was removed. */
function reportIdleTtls(node: YamlNode | undefined, types: ReadonlyMap<number, unknown>, report: Report): void {
  for (const { key } of node?.kind === 'map' ? node.entries : []) {
    const type = isAliasKey(key) ? ALIAS : typeNumber(key.text);
    if (type === undefined || types.has(type)) continue;
    report.error('PH117', `a TTL for ${key.text}, but no ${key.text} record`, nodePlace(key), 'remove it');
  }
}

/** The hint for an unknown type. */
export function typeHint(text: string): string {
  if (/^(?:ALIAS|ANAME)$/i.test(text)) return 'ALIAS is for names under records: a VIP has addresses, or CNAME';
  const hint = nearestHint(text, ['ttl', ...TYPE_NUMBERS.keys()]);
  return hint.startsWith('did you') ? hint : 'write a type without a name as TYPE65400';
}

/** Reads a key that must be a type of records. */
export function readType(key: YamlScalar, report: Report): number | undefined {
  const type = typeNumber(key.text);
  if (type === undefined) {
    report.error('PH105', `${key.text} is not a record type`, nodePlace(key), typeHint(key.text));
    return undefined;
  }
  if (!isMetaType(type)) return type;
  report.error('PH110', `${key.text} is a type that zones cannot contain (RFC 6895 3.1)`, nodePlace(key), 'remove it');
  return undefined;
}

/** Reads the values of a type: one, or a list. Calls `add` for each with its data and its line. */
export function readValues(
  type: number,
  key: YamlScalar,
  node: YamlNode,
  apex: Name,
  report: Report,
  add: (rdata: Uint8Array, line: number) => void,
): void {
  const items = node.kind === 'list' ? node.items : [node];
  if (items.length === 0) report.error('PH114', `${key.text} has no values`, nodePlace(key), 'remove it, or add one');
  for (const item of items) {
    if (item.kind === 'broken') continue;
    if (item.kind === 'reference') {
      refuseReference(item, key.text, report, ': it would be published');
    } else if (item.kind === 'null') {
      report.error('PH011', `${key.text} has no value`, nodePlace(item.start === item.end ? key : item));
    } else if (item.kind !== 'scalar') {
      const hint = 'write it as in a master file, such as MX: 10 mail; the TTL is the key "ttl" beside the types';
      report.error('PH115', `a value of ${key.text} must be text, got a ${item.kind}`, nodePlace(item, 0, 1), hint);
    } else {
      const rdata = readRdata(type, item, apex, report);
      if (rdata) add(rdata, nodePlace(item).line);
    }
  }
}

/** Reads a value in presentation format. A mistake is shown at its word. */
function readRdata(type: number, node: YamlScalar, origin: Name, report: Report): Uint8Array | undefined {
  try {
    const rdata = parseRdataText(type, node.text, origin);
    if (NAMES_ONLY.has(type)) warnBeyondAscii(node, report);
    warnIdleBackslash(node, typeText(type), report);
    return rdata;
  } catch (error) {
    if (!(error instanceof RdataError || error instanceof NameError)) throw error;
    const offset = error instanceof RdataError ? error.offset : undefined;
    const word = offset === undefined ? undefined : (/^\S+/.exec(node.text.slice(offset))?.[0].length ?? 1);
    const place = offset === undefined ? nodePlace(node) : placeInText(node, offset, word);
    const named = error.message.startsWith(`${typeText(type)} `);
    report.error('PH106', named ? error.message : `${typeText(type)}: ${error.message}`, place);
    return undefined;
  }
}

/** Reads `nameservers`: names in the file's order. Reports addresses. */
export function nameServers(apex: Name): Read<{ name: Name; line: number }[]> {
  const read: Read<{ name: Name; line: number }> = like(text(), (node: YamlNode, name: string, report: Report) => {
    if (text()(node, name, report) === undefined || node.kind !== 'scalar') return undefined;
    const mistaken = mistakenForHost(node.text);
    if (mistaken !== undefined) {
      const hint = 'name it, and give the name an address under records: ns1: { A: 192.0.2.53 }';
      report.error('PH102', `a name server is a name, got ${mistaken}`, nodePlace(node), hint);
      return undefined;
    }
    const found = readName(node, apex, 'PH102', report);
    return found && { name: found, line: nodePlace(node).line };
  });
  return list(read, { min: 1, hint: 'such as [ns1, ns2]' });
}

/** The fields of `soa`. The MNAME is the first name server. */
export type SoaFields = {
  readonly contact: Name | undefined;
  readonly serial: number | 'auto';
  readonly refreshSeconds: number;
  readonly retrySeconds: number;
  readonly expireSeconds: number;
  readonly negativeTtlSeconds: number;
};

const SERIAL_LIMIT = 0xffff_ffff; // RFC 1982 3: 32 bits

export function soa(apex: Name): Read<SoaFields> {
  const serial = scalar<number | 'auto'>(
    `auto, or 0 to ${SERIAL_LIMIT}`,
    (value) => {
      const number = value === 'auto' ? 'auto' : parseInteger(value);
      return number === 'auto' || (number !== undefined && number >= 0 && number <= SERIAL_LIMIT) ? number : undefined;
    },
    {
      code: 'PH104',
      hint: 'auto rises with every change',
      schema: anyOf({ const: 'auto' }, { type: 'integer', minimum: 0, maximum: SERIAL_LIMIT }),
    },
  );
  const readFields = map('soa', {
    contact: optional(contact(apex)),
    serial: withDefault(serial, 'auto'),
    refresh: withDefault(ttl, 2 * 3600),
    retry: withDefault(ttl, 30 * 60),
    expire: withDefault(ttl, 14 * 86_400),
    negative_ttl: withDefault(ttl, 60),
  });
  return like(readFields, (node: YamlNode, name: string, report: Report): SoaFields | undefined => {
    const read = readFields(node, name, report);
    return (
      read && {
        contact: read.contact,
        serial: read.serial,
        refreshSeconds: read.refresh,
        retrySeconds: read.retry,
        expireSeconds: read.expire,
        negativeTtlSeconds: read.negative_ttl,
      }
    );
  });
}

/** `hostmaster`, `hostmaster.example.com.` or `first.last@example.com` (RFC 1035 8: dots before the @ are escaped). */
function contact(apex: Name): Read<Name> {
  return like(text(), (node: YamlNode, name: string, report: Report): Name | undefined => {
    if (text()(node, name, report) === undefined || node.kind !== 'scalar') return undefined;
    const mailbox = /^([^@]+)@([^@]+)$/.exec(node.text);
    if (!mailbox) return readName(node, apex, 'PH103', report);
    const [, local = '', domain = ''] = mailbox;
    const escaped = local.replace(/[\\.]/g, (sign) => `\\${sign}`);
    try {
      return parseName(`${escaped}.${domain.replace(/\.$/, '')}.`, ROOT);
    } catch (error) {
      if (!(error instanceof NameError)) throw error;
      report.error('PH103', `${show(node.text)} is not a mail address: ${error.message}`, nodePlace(node));
      return undefined;
    }
  });
}

/** SOA data (RFC 1035 3.3.13), uncompressed. With `serial: auto` the serial is 0. */
export function soaRdata(fields: SoaFields, mname: Name, rname: Name): Uint8Array {
  const numbers = new DataView(new ArrayBuffer(20));
  const { serial, refreshSeconds, retrySeconds, expireSeconds, negativeTtlSeconds } = fields;
  [serial === 'auto' ? 0 : serial, refreshSeconds, retrySeconds, expireSeconds, negativeTtlSeconds].forEach(
    (value, index) => {
      numbers.setUint32(index * 4, value);
    },
  );
  return Uint8Array.from(Buffer.concat([mname, rname, new Uint8Array(numbers.buffer)]));
}

/** The data of the first record of a type at the apex, or undefined. */
export function findAtApex(store: RecordStore, apex: Name, type: number): Uint8Array | undefined {
  const key = nameKey(apex);
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] !== type || store.ownerOctets[row] !== apex.length) continue;
    if (nameKey(ownerOf(store, row)) === key) return rdataOf(store, row);
  }
  return undefined;
}

/** Adds an NS record at the apex for each of `nameservers`. */
export function addNameServers(servers: readonly { name: Name; line: number }[], target: RecordsTarget): void {
  const { store, apex, defaultTtlSeconds, file } = target;
  for (const { name, line } of servers) addRecord(store, apex, TYPE.NS, defaultTtlSeconds, name, file, line);
}
