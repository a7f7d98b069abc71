/**
 * Reports records that no zone may contain, from whichever files
 * (docs/diagnostics.md#content-of-zones-state-and-files). Diagnostics PH340 to PH379.
 *
 * The image compiler applies the same two rules: of exact duplicates (same owner with case folded, type and rdata
 * octets) the first is kept and the others are dropped; an RRset has the TTL of its first record (RFC 2181 5.2).
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { MAX_TTL_SECONDS } from '../../wire/limits.ts';
import { type Name, formatName, isWildcard, isWithin, labelOffsets } from '../../wire/name.ts';
import { get8 } from '../../wire/octets.ts';
import { BESIDE_CNAME } from '../../wire/rdata/table.ts';
import { additionalNameOffset } from '../../wire/rdata.ts';
import { TYPE, isMetaType, typeText } from '../../wire/types.ts';
import type { VipModel } from './model.ts';
import {
  type NameTable,
  createNameTable,
  endsWithName,
  findName,
  findOwner,
  nodeOfRow,
  firstRowOf,
} from './name-table.ts';
import {
  ownerOctets,
  ownerOf,
  ownerStart,
  rdataOctets,
  rdataStart,
  type RecordStore,
  recordTtl,
  recordType,
} from './record-store.ts';
import { type Findings, createFindings } from './validate-report.ts';
import { checkSets } from './validate-sets.ts';

/** `vips`: undefined: they have addresses. */
type SteeredOwner = {
  readonly owner: Name;
  readonly place: Place;
  readonly vips?: readonly Pick<VipModel, 'a' | 'aaaa' | 'cname'>[];
};

export type ZoneInput = {
  readonly apex: Name;
  readonly store: RecordStore;
  readonly serviceOwners: readonly SteeredOwner[];
  /** The owners of aliases, whose addresses may be among the records already. */
  readonly aliasOwners?: readonly SteeredOwner[];
  readonly report: Report;
  /** The place of mistakes that concern the whole zone; by default the start of its first file. */
  readonly place?: Place;
  /** Whether Pharos signs the zone. */
  readonly isSigned?: boolean;
};

/** Bits for the records of a node. */
export const NODE_HAS = {
  cname: 1,
  dname: 2,
  ns: 4,
  soa: 8,
  address: 16,
  /** Data that cannot coexist with a CNAME (RFC 2181 10.1; RFC 4034 and RFC 2535 permit KEY, NSEC, RRSIG). */
  other: 32,
  service: 64,
  /** A name server of the zone or of a delegation: its addresses are glue. */
  nsTarget: 128,
} as const;

const AT_CUT: ReadonlySet<number> = new Set([TYPE.NS, TYPE.DS, TYPE.NSEC, TYPE.RRSIG]);

/** The zone with the tables that validation made, for judgeNames. */
export type ValidatedZone = ZoneInput & {
  readonly table: NameTable;
  readonly findings: Findings;
  readonly has: Uint16Array;
  readonly apexNode: number;
  readonly hasCuts: boolean;
  readonly hasDnames: boolean;
};

/** The NODE_HAS bits of a node. */
export function bitsOf(has: Uint16Array, node: number): number {
  return has[node] ?? 0;
}

/** Reports every mistake of the zone's records and services. Linear in the records. */
export function validateZone(input: ZoneInput): ValidatedZone {
  const { store, apex } = input;
  const table = createNameTable(store);
  const findings = createFindings(store, input.report);
  const has = new Uint16Array(table.count);
  const apexNode = findName(table, apex);
  checkRows(store, table, has, findings);
  checkSignatures(store, findings, input.isSigned === true);
  checkSets(store, table, findings);

  let hasCuts = false;
  let hasDnames = false;
  for (let node = 0; node < table.count; node++) {
    hasCuts ||= node !== apexNode && (bitsOf(has, node) & NODE_HAS.ns) !== 0;
    hasDnames ||= (bitsOf(has, node) & NODE_HAS.dname) !== 0;
  }
  const zone: ValidatedZone = { ...input, table, findings, has, apexNode, hasCuts, hasDnames };
  checkServices(zone);
  checkOwners(zone);
  checkBesides(zone);
  checkTargets(zone);
  checkHidden(zone);
  checkApex(zone);
  findings.end();
  return zone;
}

/** Reports mistakes in single records, and gathers the bits of each node. */
function checkRows(store: RecordStore, table: NameTable, has: Uint16Array, findings: Findings): void {
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    const node = nodeOfRow(table, row);
    let bits = BESIDE_CNAME.has(type) ? 0 : NODE_HAS.other;
    if (type === TYPE.A || type === TYPE.AAAA) bits |= NODE_HAS.address;
    else if (type === TYPE.CNAME) bits |= NODE_HAS.cname;
    else if (type === TYPE.NS) bits |= NODE_HAS.ns;
    else if (type === TYPE.DNAME) bits |= NODE_HAS.dname;
    else if (type === TYPE.SOA) bits |= NODE_HAS.soa;
    else if (isMetaType(type)) {
      findings.row('error', 'PH340', row, `${typeText(type)} is a type of queries and messages, not of zones`);
    }
    has[node] = bitsOf(has, node) | bits;
    const ttl = recordTtl(store, row);
    if (ttl > MAX_TTL_SECONDS) {
      findings.row('error', 'PH341', row, `TTL must be 0 to ${MAX_TTL_SECONDS} seconds, got ${ttl}`, 'RFC 2181 8');
    }
  }
}

/** The types that signing adds. Validating resolvers treat answers without them as bogus (RFC 4035 5). */
const SIGNATURES: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3, TYPE.NSEC3PARAM]);
/** The types that announce that a zone is signed or will be (RFC 4034 2, RFC 7344 3). */
const KEYS: ReadonlySet<number> = new Set([TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY]);

/** One diagnostic for all signatures and one for all keys: a signed zone has one for each of its sets. */
function checkSignatures(store: RecordStore, findings: Findings, isSigned: boolean): void {
  const counts = new Map<number, { readonly first: number; count: number }>();
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (!SIGNATURES.has(type) && !KEYS.has(type)) continue;
    const seen = counts.get(type);
    if (seen) seen.count++;
    else counts.set(type, { first: row, count: 1 });
  }
  if (counts.size === 0) return;
  const among = (types: ReadonlySet<number>): { readonly text: string; readonly row: number } | undefined => {
    const found = [...counts].filter(([type]) => types.has(type));
    if (found.length === 0) return undefined;
    const text = found.map(([type, { count }]) => `${count} ${typeText(type)}`).join(', ');
    return { text, row: Math.min(...found.map(([, { first }]) => first)) };
  };
  const signatures = among(SIGNATURES);
  if (signatures) {
    const message = `the zone is already signed (${signatures.text}), and Pharos does not serve signatures made elsewhere`;
    const hint = isSigned
      ? 'include the unsigned zone: dnssec makes the signatures'
      : 'include the unsigned zone with dnssec and its keys, or remove the DS from the parent before the zone moves';
    findings.row('error', 'PH366', signatures.row, message, hint);
  }
  const keys = among(KEYS);
  if (!keys) return;
  if (isSigned) {
    const twice = `the zone has keys as records (${keys.text}) beside dnssec, which makes them from the key files`;
    findings.row('error', 'PH398', keys.row, twice, 'remove the records');
    return;
  }
  const message = `the zone has DNSSEC keys (${keys.text}), and Pharos does not sign it`;
  const hint =
    'remove them, or set dnssec: true; with a DS in the parent, validating resolvers answer SERVFAIL for the whole zone';
  findings.row('warning', 'PH367', keys.row, message, hint);
}

/** A service's owner may have no static records of the types that the service steers. */
function checkServices({ serviceOwners, aliasOwners = [], apex, table, has, findings }: ValidatedZone): void {
  for (const { owner } of aliasOwners) {
    const node = findName(table, owner);
    if (node >= 0) has[node] = bitsOf(has, node) | NODE_HAS.service;
  }
  for (const { owner, place, vips } of serviceOwners) {
    if (!isWithin(owner, apex)) {
      const message = `service ${formatName(owner)} is not in the zone ${formatName(apex)}`;
      findings.place('error', 'PH346', place, message, 'define it in the zone that its name belongs to');
    }
    const node = findName(table, owner);
    if (node < 0) continue;
    has[node] = bitsOf(has, node) | NODE_HAS.service;
    // A service of other types alone leaves the addresses of its name to static records.
    const isBare = vips?.every(({ a, aaaa, cname }) => !a && !aaaa && !cname) === true;
    if ((bitsOf(has, node) & (isBare ? NODE_HAS.cname : NODE_HAS.address | NODE_HAS.cname)) === 0) continue;
    const message = `service ${formatName(owner)} also has static A, AAAA or CNAME records, from ${findings.where(firstRowOf(table, node))} on`;
    findings.place('error', 'PH347', place, message, 'keep either the service or the records');
  }
}

/** Reports owners out of the zone, and wildcards without a defined meaning. */
function checkOwners({ store, table, has, apex, findings }: ValidatedZone): void {
  for (let node = 0; node < table.count; node++) {
    const row = firstRowOf(table, node);
    if (!endsWithName(store.bytes, ownerStart(store, row), ownerOctets(store, row), apex)) {
      const message = `${findings.ownerText(row)} is not in the zone ${formatName(apex)}`;
      findings.row('error', 'PH348', row, message, 'a name without a final dot is relative to the origin');
    }
    if ((bitsOf(has, node) & (NODE_HAS.ns | NODE_HAS.dname)) !== 0 && isWildcard(ownerOf(store, row))) {
      const message = `NS or DNAME at the wildcard ${findings.ownerText(row)}: resolvers disagree about what it means`;
      findings.row('warning', 'PH349', row, message, 'RFC 4592 4.2, 4.4');
    }
  }
}

/** Reports CNAME beside other data, and SOA below the apex. */
function checkBesides({ store, table, has, apexNode, apex, findings }: ValidatedZone): void {
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (type !== TYPE.CNAME && type !== TYPE.SOA) continue;
    const node = nodeOfRow(table, row);
    if (type === TYPE.CNAME && (bitsOf(has, node) & NODE_HAS.other) !== 0) {
      const message = `${findings.ownerText(row)} has a CNAME beside other records`;
      findings.row('error', 'PH350', row, message, 'RFC 2181 10.1: an owner with a CNAME has nothing else');
    }
    if (type === TYPE.SOA && node !== apexNode) {
      const message = `SOA at ${findings.ownerText(row)}, which is not the apex ${formatName(apex)}`;
      findings.row('error', 'PH351', row, message, 'give that zone a separate file');
    }
  }
}

const POINTS_AT_HOST: ReadonlySet<number> = new Set([TYPE.NS, TYPE.MX, TYPE.SRV]);

/** Reports mistakes in the targets of name servers, mail exchangers and services. */
function checkTargets(zone: ValidatedZone): void {
  const { store, table, has, apex, apexNode, findings } = zone;
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (!POINTS_AT_HOST.has(type)) continue;
    const from = additionalNameOffset(type) ?? 0;
    const at = rdataStart(store, row) + from;
    const octets = rdataOctets(store, row) - from;
    const target = findOwner(table, store.bytes, at, octets);
    const targetHas = target < 0 ? 0 : bitsOf(has, target);
    if ((targetHas & NODE_HAS.cname) !== 0) {
      const message = `${typeText(type)} points at ${formatName(store.bytes, at)}, which is a CNAME`;
      findings.row('warning', 'PH352', row, message, 'RFC 2181 10.3: point at the name that has the addresses');
    }
    if (type !== TYPE.NS) continue;
    if (target >= 0) has[target] = targetHas | NODE_HAS.nsTarget;
    if ((targetHas & (NODE_HAS.address | NODE_HAS.cname | NODE_HAS.service)) !== 0) continue;
    const atApex = table.nodeOf[row] === apexNode;
    if (!endsWithName(store.bytes, at, octets, atApex ? apex : ownerOf(store, row))) continue;
    const name = store.bytes.subarray(at, at + octets);
    if (isServiceOwner(zone, name) || (atApex && wildcardHasAddress(zone, name))) continue;
    const message = `name server ${formatName(name)} is in the zone and has no A or AAAA record`;
    findings.row('warning', 'PH353', row, atApex ? message : `${message}: the delegation lacks its glue`, 'add one');
  }
}

function isServiceOwner({ serviceOwners, aliasOwners = [] }: ValidatedZone, name: Name): boolean {
  const isOwner = ({ owner }: SteeredOwner): boolean => owner.length === name.length && isWithin(owner, name);
  return serviceOwners.some(isOwner) || aliasOwners.some(isOwner);
}

/** Whether a wildcard above `name` would answer for it. */
function wildcardHasAddress({ table, has }: ValidatedZone, name: Name): boolean {
  return labelOffsets(name).some((offset) => {
    const parent = name.subarray(offset + (name[offset] ?? 0) + 1);
    const node = findName(table, Uint8Array.of(1, 0x2a, ...parent));
    return node >= 0 && (bitsOf(has, node) & NODE_HAS.address) !== 0;
  });
}

/** Reports data that no query reaches or that RFC 6672 forbids: at and below delegations, below a DNAME. */
function checkHidden(zone: ValidatedZone): void {
  const { store, table, has, apexNode, findings, serviceOwners, aliasOwners = [] } = zone;
  if (!zone.hasCuts && !zone.hasDnames) return;
  const hiders = new Int32Array(table.count);
  for (let node = 0; node < table.count; node++) {
    const row = firstRowOf(table, node);
    hiders[node] = hiderOf(zone, store.bytes, ownerStart(store, row), ownerOctets(store, row));
  }
  for (let row = 0; row < store.count; row++) {
    const node = nodeOfRow(table, row);
    const type = recordType(store, row);
    const hider = hiders[node] ?? -1;
    if (hider >= 0) {
      const above = findings.ownerText(firstRowOf(table, hider));
      if ((bitsOf(has, hider) & NODE_HAS.dname) !== 0) {
        const message = `${findings.ownerText(row)} is below ${above}, which has a DNAME`;
        findings.row('error', 'PH354', row, message, 'RFC 6672 2.4: a DNAME has nothing below it');
      } else if (!isGlue(type, bitsOf(has, node))) {
        const message = `${typeText(type)} of ${findings.ownerText(row)} is below the delegation ${above}: Pharos never answers with it`;
        findings.row('warning', 'PH355', row, message, 'it belongs to the delegated zone');
      }
    } else if (node !== apexNode && (bitsOf(has, node) & NODE_HAS.ns) !== 0 && !AT_CUT.has(type)) {
      if (isGlue(type, bitsOf(has, node))) continue;
      const message = `${typeText(type)} beside the delegation of ${findings.ownerText(row)}: Pharos never answers with it`;
      findings.row('warning', 'PH355', row, message, 'it belongs to the delegated zone');
    }
  }
  const steered = [
    ...serviceOwners.map((each) => ({ ...each, what: 'service' })),
    ...aliasOwners.map((each) => ({ ...each, what: 'ALIAS' })),
  ];
  for (const { owner, place, what } of steered) {
    const node = findName(table, owner);
    const atCut = node >= 0 && node !== apexNode && (bitsOf(has, node) & NODE_HAS.ns) !== 0;
    const hider = atCut ? node : hiderOf(zone, owner, 0, owner.length);
    if (hider < 0) continue;
    const above = findings.ownerText(firstRowOf(table, hider));
    const message = `${what} ${formatName(owner)} is at or below ${above}, which has NS or DNAME records: Pharos never answers with it`;
    findings.place('error', 'PH356', place, message, `remove the delegation or the ${what}`);
  }
}

function isGlue(type: number, nodeHas: number): boolean {
  return (type === TYPE.A || type === TYPE.AAAA) && (nodeHas & NODE_HAS.nsTarget) !== 0;
}

/** The node above the name, nearest to the apex, that delegates or renames everything below it; or -1. */
export function hiderOf(
  { table, has, apex, apexNode }: ValidatedZone,
  bytes: Uint8Array,
  at: number,
  octets: number,
): number {
  let hider = -1;
  while (octets > apex.length) {
    const label = get8(bytes, at) + 1;
    at += label;
    octets -= label;
    const node = findOwner(table, bytes, at, octets);
    if (node >= 0 && (bitsOf(has, node) & (node === apexNode ? NODE_HAS.dname : NODE_HAS.dname | NODE_HAS.ns)) !== 0)
      hider = node;
  }
  return hider;
}

function checkApex({ apex, store, has, apexNode, findings, place, serviceOwners }: ValidatedZone): void {
  const whole = place ?? { file: store.files[0] ?? serviceOwners[0]?.place.file ?? '', line: 1, column: 1 };
  const apexHas = apexNode < 0 ? 0 : bitsOf(has, apexNode);
  if ((apexHas & NODE_HAS.soa) === 0) {
    const hint = 'give the zone soa and nameservers, or an included file with an SOA record at @';
    findings.place('error', 'PH357', whole, `zone ${formatName(apex)} has no SOA record`, hint);
  }
  if ((apexHas & NODE_HAS.ns) === 0) {
    const hint = 'list its name servers under nameservers';
    findings.place('error', 'PH358', whole, `zone ${formatName(apex)} has no NS record at its apex`, hint);
  }
}
