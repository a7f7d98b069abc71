/**
 * Warns of names in records and services that are valid but probably not intended: a missing final dot, an address or
 * URL instead of a host name, a target in this zone that does not exist. It reads wire form, so that YAML and master
 * files are judged alike, in one pass over the records.
 */
import type { Place } from '../../config/diagnostics.ts';
import { canonical, formatName, labelOffsets, nameKey, type Name } from '../../wire/name.ts';
import { get8 } from '../../wire/octets.ts';
import { nameAt, namesIn } from '../../wire/rdata.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { mistakenForHost, tldKind } from './host-names.ts';
import type { AliasModel, RrsetModel, ServiceModel } from './model.ts';
import { endsWithName, findName, findOwner, nodeOfRow, firstRowOf } from './name-table.ts';
import { ownerOctets, ownerStart, rdataOctets, rdataOf, rdataStart, recordType } from './record-store.ts';
import { createFindings, type Findings } from './validate-report.ts';
import { NODE_HAS, hiderOf, type ValidatedZone, bitsOf } from './validate.ts';

export type NamesInput = {
  readonly zone: ValidatedZone;
  readonly services: readonly ServiceModel[];
  readonly aliases: readonly AliasModel[];
  /** Rows from this one on come from `nameservers` and `soa`, whose names were judged when they were read. */
  readonly madeFrom: number;
  /** Apexes of all served zones, as keys of `nameKey`: names below another apex do not belong to this zone. */
  readonly apexes: ReadonlySet<string>;
};

type Work = NamesInput & {
  readonly findings: Findings;
  readonly serviceOf: ReadonlyMap<string, ServiceModel>;
  /** The owners (`nameKey`) of services and aliases. */
  readonly steered: ReadonlySet<string>;
  /** `shop.example`, in lower case. */
  readonly apexText: string;
  readonly zoneTld: string;
};

/** A name in the data of a record, and its offset in the store's octets. */
type Target = { readonly row: number; readonly type: number; readonly at: number; readonly name: Name };

/** By type: the records that a target needs. Other types name mailboxes and subtrees, which need no records. */
const NEEDS: ReadonlyMap<number, 'address' | 'data'> = new Map([
  ...[TYPE.NS, TYPE.MX, 18, 21, TYPE.SRV, 36, TYPE.SVCB, TYPE.HTTPS].map((type) => [type, 'address'] as const), // AFSDB, RT, KX
  ...[TYPE.CNAME, TYPE.PTR, TYPE.NAPTR].map((type) => [type, 'data'] as const),
]);

/** CNAMEs followed to find a loop; resolvers follow about as many. */
const MAX_HOPS = 16;

export function judgeNames(input: NamesInput): void {
  const { zone, services, aliases, madeFrom } = input;
  const { apex, store, report } = zone;
  const work: Work = {
    ...input,
    findings: createFindings(store, report),
    serviceOf: new Map(services.map((service) => [nameKey(service.owner), service])),
    steered: new Set([...services, ...aliases].map(({ owner }) => nameKey(owner))),
    apexText: rawText(apex).toLowerCase(),
    zoneTld: rawText(apex.subarray(labelOffsets(apex).at(-1) ?? 0)),
  };
  judgeOwners(work);
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (isOrdinary(zone, row, type)) continue;
    const dataAt = rdataStart(store, row);
    for (const at of namesIn(type, store.bytes, dataAt)) {
      if (store.bytes[at] === 0) continue; // the root: no mail, no service, or the owner itself
      if (type === TYPE.SOA && row >= madeFrom && at === dataAt) continue; // the first of `nameservers`
      judgeTarget(work, { row, type, at, name: nameAt(store.bytes, at) });
    }
  }
  for (const service of services) judgeService(work, service);
  work.findings.end();
}

/** Offset of the only name in the data of the most frequent types; -1 for other types. */
const ONE_NAME_AT = new Int8Array(256).fill(-1);
for (const type of [TYPE.NS, TYPE.CNAME, TYPE.PTR]) ONE_NAME_AT[type] = 0;
ONE_NAME_AT[TYPE.MX] = 2;
ONE_NAME_AT[TYPE.SRV] = 6;

/** 1 for octets that host names do not contain: blanks, control characters, `/`, `:` and `@`. */
const ODD = new Uint8Array(256);
ODD.fill(1, 0, 0x21);
for (const octet of [0x7f, 0x2f, 0x3a, 0x40]) ODD[octet] = 1;

/** Whether a record cannot have a mistake, which is true of nearly all records. Allocates nothing. */
function isOrdinary({ store, table, apex, has }: ValidatedZone, row: number, type: number): boolean {
  const offset = ONE_NAME_AT[type] ?? -1;
  if (offset < 0) return type === TYPE.A || type === TYPE.AAAA || type === TYPE.TXT;
  const { bytes } = store;
  const at = rdataStart(store, row) + offset;
  const octets = rdataOctets(store, row) - offset;
  let odd = 0;
  let last = at;
  for (let label = at; bytes[label] !== 0;) {
    const end = label + 1 + get8(bytes, label);
    for (let i = label + 1; i < end; i++) odd |= ODD[get8(bytes, i)] ?? 0;
    last = label;
    label = end;
  }
  if (odd !== 0) return false;
  const first = get8(bytes, last + 1); // of the last label: a digit suggests an address
  if (!endsWithName(bytes, at, octets, apex)) return first < 0x30 || first > 0x39;
  const node = findOwner(table, bytes, at, octets);
  if (node < 0) return false;
  const nodeHas = bitsOf(has, node);
  if (type === TYPE.CNAME) return (nodeHas & NODE_HAS.cname) === 0;
  return type === TYPE.PTR || (nodeHas & (NODE_HAS.address | NODE_HAS.cname | NODE_HAS.service)) !== 0;
}

function judgeOwners(work: Work): void {
  const { zone, findings, services, aliases, apexText } = work;
  const { apex, store, table } = zone;
  for (let node = 0; node < table.count; node++) {
    const row = firstRowOf(table, node);
    const at = ownerStart(store, row);
    const octets = ownerOctets(store, row);
    if (hasBlank(store.bytes, at)) findings.row('warning', 'PH131', row, blankMessage(store.bytes, at), BLANK_HINT);
    // Keys of the YAML file, which is file 0, were judged when they were read.
    if (store.file[row] === 0 || apex.length === 1 || octets < 2 * apex.length - 1) continue;
    const owner = store.bytes.subarray(at, at + octets);
    const written = wholeNameIn(textBefore(owner, apex), apexText);
    if (written === undefined || findings.isWritten(row, `${rawText(owner)}.`)) continue;
    const message = `${written} without a final dot is ${formatName(owner)}.`;
    findings.row('warning', 'PH113', row, message, dotHint(written), written);
  }
  for (const { owner, place } of [...services, ...aliases]) {
    if (hasBlank(owner, 0)) findings.place('warning', 'PH131', place, blankMessage(owner, 0), BLANK_HINT);
  }
}

function dotHint(written: string): string {
  return `write ${written}. or leave out the zone's name`;
}

const BLANK_HINT = 'clients never ask for such names: remove it';

function blankMessage(bytes: Uint8Array, at: number): string {
  return `the name ${formatName(bytes, at)} contains a blank or a control character`;
}

function judgeTarget(work: Work, target: Target): void {
  const { zone, findings, madeFrom } = work;
  const { row, type, at, name } = target;
  const { store, table, apex } = zone;
  if (hasBlank(store.bytes, at)) {
    findings.row('warning', 'PH131', row, blankMessage(store.bytes, at), BLANK_HINT);
    return;
  }
  if (!endsWithName(store.bytes, at, name.length, apex)) {
    judgeForm(work, target, rawText(name));
    return;
  }
  const node = findOwner(table, store.bytes, at, name.length);
  if (node >= 0) judgeFound(work, target, node);
  else if (!work.steered.has(nameKey(name))) judgeMissing(work, target, row >= madeFrom || type === TYPE.SOA);
}

/** Judges a target that owns records in this zone. */
function judgeFound(work: Work, target: Target, node: number): void {
  const { zone, findings } = work;
  const { row, type, name } = target;
  const has = bitsOf(zone.has, node);
  if (type === TYPE.CNAME && (has & NODE_HAS.cname) !== 0) judgeCircle(work, row, node);
  if (NEEDS.get(type) !== 'address' || isAlias(work, row) || isReportedNs(work, target)) return;
  if ((has & (NODE_HAS.address | NODE_HAS.cname | NODE_HAS.service)) !== 0 || isElsewhere(work, name, node)) return;
  const message = `${typeText(type)} points at ${formatName(name)}, which has no A or AAAA record`;
  findings.row('warning', 'PH353', row, message, 'add one, or point at the name that has the addresses');
}

/** SVCB and HTTPS in AliasMode name another such record (RFC 9460 2.4.2). */
function isAlias({ zone }: Work, row: number): boolean {
  const type = zone.store.type[row];
  if (type !== TYPE.SVCB && type !== TYPE.HTTPS) return false;
  const [high, low] = rdataOf(zone.store, row);
  return high === 0 && low === 0;
}

/** validateZone has already judged the zone's name servers and those that need glue. */
function isReportedNs({ zone }: Work, { row, type, at, name }: Target): boolean {
  if (type !== TYPE.NS) return false;
  const { store, table, apexNode } = zone;
  if (table.nodeOf[row] === apexNode) return true;
  const owner = ownerStart(store, row);
  return endsWithName(store.bytes, at, name.length, store.bytes.subarray(owner, owner + ownerOctets(store, row)));
}

/**
 * Judges a target in the zone without records. `isQuiet`: missing records were reported elsewhere, or do not matter.
 */
function judgeMissing(work: Work, target: Target, isQuiet: boolean): void {
  const { zone, findings, apexText, madeFrom } = work;
  const { row, type, name } = target;
  const written = textBefore(name, zone.apex);
  if (written === undefined || judgeForm(work, target, written)) return;
  // A name that was written with its final dot is intended.
  const isWhole = (): boolean => !findings.isFull('PH113') && findings.isWritten(row, `${rawText(name)}.`);
  const whole = row < madeFrom && zone.apex.length > 1 ? wholeNameIn(written, apexText) : undefined;
  if (whole !== undefined && !isWhole()) {
    warnDot(work, target, whole, dotHint(whole));
    return;
  }
  if (isElsewhere(work, name, -1)) return;
  const wildcard = wildcardOver(work, name);
  const needs = isAlias(work, row) ? 'data' : NEEDS.get(type);
  if (lacksDot(work, name, wildcard !== undefined || needs === undefined) && !isWhole()) {
    warnDot(work, target, written, `write ${written}. if you mean that name`);
    return;
  }
  if (isQuiet || needs === undefined || isReportedNs(work, target)) return;
  if (wildcard === zone.table.nodeOf[row] && type === TYPE.CNAME) warnCircle(work, row);
  if (wildcard !== undefined && (needs === 'data' || wildcard < 0)) return;
  if (
    wildcard !== undefined &&
    (bitsOf(zone.has, wildcard) & (NODE_HAS.address | NODE_HAS.cname | NODE_HAS.service)) !== 0
  )
    return;
  const message = `${typeText(type)} points at ${formatName(name)}, which has no records in this zone`;
  const hint = 'add some, or write the final dot of a name outside the zone';
  findings.row('warning', needs === 'address' ? 'PH353' : 'PH363', row, message, hint, written);
}

function warnDot({ findings }: Work, { row, type, name }: Target, written: string, hint: string): void {
  const message = `${typeText(type)}: ${written} without a final dot is ${formatName(name)}.`;
  findings.row('warning', 'PH113', row, message, hint, written);
}

/**
 * Whether a relative name that the zone does not have looks like an Internet name. `isSafe`: only a certain one counts,
 * because below a wildcard `www.de` may be intended, while `www.example.com` hardly is.
 */
function lacksDot({ zone, zoneTld }: Work, name: Name, isSafe: boolean): boolean {
  const { apex, table } = zone;
  const before = labelOffsets(name).filter((at) => name.length - at > apex.length);
  const last = before.at(-1);
  if (last === undefined || before.length < 2 || apex.length === 1) return false;
  if (findOwner(table, name, last, name.length - last) >= 0) return false; // a name of the zone, such as `de`
  const kind = tldKind(rawText(name.subarray(last, name.length - apex.length)), zoneTld);
  return kind === 'certain' || (kind === 'likely' && !isSafe);
}

/** Reports an address, a URL or similar text instead of a host name. Returns whether it reported. */
function judgeForm(work: Work, { row, type, name }: Target, written: string): boolean {
  const { findings, madeFrom } = work;
  if (row >= madeFrom) return false;
  // Reverse zones have numbers and slashes (RFC 2317), instances of services any characters (RFC 6763 4.1.1).
  // Most names have none of these characters, and their last label is not a number.
  if (!/[:/@]|(?:^|\.)\d+$/.test(written) && !/^\d+\.\d+\.\d+\.\d+(?:\.|$)/.test(written)) return false;
  if (/(?:^|\.)arpa$/i.test(rawText(name)) || /^_|\._/.test(written)) return false;
  const got = mistakenForHost(written) ?? mistakenForHost(written.split('.').slice(0, 4).join('.'));
  if (got === undefined || (got.startsWith('the address') && !NEEDS.has(type) && type !== TYPE.SOA)) return false;
  if (type === TYPE.SOA && got.startsWith('the mail')) {
    const message = `the contact of the SOA is a name, got ${got}`;
    findings.row('warning', 'PH130', row, message, 'write a dot in place of the @ (RFC 1035 8)', written);
    return true;
  }
  const hint = got.startsWith('the address')
    ? 'name the host, and give the name an A or AAAA record'
    : 'write the name alone';
  findings.row('warning', 'PH130', row, `${typeText(type)} needs a host name, got ${got}`, hint, got.split(' ').at(-1));
  return true;
}

/** Whether this zone does not answer for a name: at or below a delegation, a DNAME or another served zone. */
function isElsewhere({ zone, apexes }: Work, name: Name, node: number): boolean {
  for (let at = 0; name.length - at > zone.apex.length; at += (name[at] ?? 0) + 1) {
    if (apexes.size > 1 && apexes.has(nameKey(name.subarray(at)))) return true;
  }
  if (node >= 0 && node !== zone.apexNode && (bitsOf(zone.has, node) & NODE_HAS.ns) !== 0) return true;
  return (zone.hasCuts || zone.hasDnames) && hiderOf(zone, name, 0, name.length) >= 0;
}

/** The node of the wildcard that answers for a name; -1 if that is a service; undefined if there is none. */
function wildcardOver({ zone, steered }: Work, name: Name): number | undefined {
  const { table, apex } = zone;
  for (let at = (name[0] ?? 0) + 1; name.length - at >= apex.length; at += (name[at] ?? 0) + 1) {
    const parent = name.subarray(at);
    const wildcard = Uint8Array.of(1, 0x2a, ...parent);
    const node = findName(table, wildcard);
    if (node >= 0) return node;
    if (steered.has(nameKey(wildcard))) return -1;
    // RFC 4592 3.3.1: this is the closest encloser. A wildcard above it does not apply.
    if (findName(table, parent) >= 0) return undefined;
  }
  return undefined;
}

/** Follows a CNAME from the node that it points at, and warns if the chain leads back to its owner. */
function judgeCircle(work: Work, row: number, next: number): void {
  const { zone } = work;
  const start = nodeOfRow(zone.table, row);
  let node = next;
  for (let hops = 0; hops < MAX_HOPS && node >= 0; hops++) {
    if (node === start) {
      warnCircle(work, row);
      return;
    }
    node = cnameOf(work, node);
  }
}

function warnCircle({ findings }: Work, row: number): void {
  const message = `the CNAME of ${findings.ownerText(row)} leads back to itself: it has no data`;
  findings.row('warning', 'PH365', row, message, 'point it at a name that has the data');
}

/** The node that a node's CNAME points at, or -1. An owner with a CNAME has no other records. */
function cnameOf({ zone }: Work, node: number): number {
  const { store, table } = zone;
  const row = firstRowOf(table, node);
  if (store.type[row] !== TYPE.CNAME) return -1;
  return findOwner(table, store.bytes, rdataStart(store, row), rdataOctets(store, row));
}

/** Judges the names in a service's answers. */
function judgeService(work: Work, service: ServiceModel): void {
  const { vips, whenAllDown, place } = service;
  for (const vip of vips) if (vip.cname) judgeAnswer(work, service, vip.cname, `VIP ${vip.name}`, vip.place);
  if (whenAllDown.kind === 'static' && whenAllDown.cname) {
    judgeAnswer(work, service, whenAllDown.cname, 'when_all_down', place);
  }
  for (const vip of vips) judgeRrsets(work, vip.rrsets, `VIP ${vip.name}`, vip.place);
  if (whenAllDown.kind === 'static') judgeRrsets(work, whenAllDown.rrsets, 'when_all_down', place);
}

/** Judges the names in records of other types, such as MX. */
function judgeRrsets(work: Work, rrsets: readonly RrsetModel[] | undefined, what: string, place: Place): void {
  for (const { type, rdata } of rrsets ?? []) {
    for (const data of rdata) {
      for (const at of namesIn(type, data, 0)) {
        if (data[at] !== 0) judgeNameOf(work, type, canonical(nameAt(data, at)), `${what}: ${typeText(type)}`, place);
      }
    }
  }
}

function judgeNameOf(work: Work, type: number, name: Name, what: string, place: Place): void {
  const { zone, findings, apexText, steered } = work;
  const { apex, table } = zone;
  if (hasBlank(name, 0)) {
    findings.place('warning', 'PH131', place, blankMessage(name, 0), BLANK_HINT);
    return;
  }
  const written = endsWithName(name, 0, name.length, apex) ? textBefore(name, apex) : undefined;
  if (written === undefined || findName(table, name) >= 0 || steered.has(nameKey(name))) return;
  const whole = apex.length > 1 ? wholeNameIn(written, apexText) : undefined;
  const wildcard = wildcardOver(work, name);
  if (whole !== undefined || (!isElsewhere(work, name, -1) && lacksDot(work, name, wildcard !== undefined))) {
    const short = whole ?? written;
    const hint = whole === undefined ? `write ${short}. if you mean that name` : dotHint(short);
    findings.place('warning', 'PH113', place, `${what}: ${short} without a final dot is ${formatName(name)}.`, hint);
  } else if (wildcard === undefined && NEEDS.get(type) === 'address' && !isElsewhere(work, name, -1)) {
    const hint = 'add some, or write the final dot of a name outside the zone';
    findings.place('warning', 'PH353', place, `${what} points at ${formatName(name)}, which has no records in this zone`, hint); // prettier-ignore
  }
}

function judgeAnswer(work: Work, service: ServiceModel, cname: Name, what: string, place: Place): void {
  const { zone, findings, serviceOf, steered } = work;
  const { table, apex } = zone;
  const name = formatName(cname);
  const key = nameKey(cname);
  if (key === nameKey(service.owner)) {
    const message = `${what} is a CNAME to ${name}, which is the service itself`;
    findings.place('error', 'PH364', place, message, 'name the host that answers; a name cannot be its own alias');
    return;
  }
  if (hasBlank(cname, 0)) {
    findings.place('warning', 'PH131', place, blankMessage(cname, 0), BLANK_HINT);
    return;
  }
  if (!endsWithName(cname, 0, cname.length, apex)) return;
  const other = serviceOf.get(key);
  if (other?.vips.some((vip) => vip.cname && nameKey(vip.cname) === nameKey(service.owner))) {
    const message = `${what} is a CNAME to the service ${name}, which has a CNAME back to this one`;
    findings.place('warning', 'PH365', place, message, 'point one of the two at a host');
  }
  if (steered.has(key)) return;
  let node = findName(table, cname);
  if (node < 0) {
    const written = textBefore(cname, apex) ?? '';
    const wildcard = wildcardOver(work, cname);
    if (isElsewhere(work, cname, -1)) return;
    // A name that ends with the zone's name was reported when it was read.
    if (apex.length > 1 && wholeNameIn(written, work.apexText) !== undefined) return;
    if (lacksDot(work, cname, wildcard !== undefined)) {
      const message = `${what}: ${written} without a final dot is ${name}.`;
      findings.place('warning', 'PH113', place, message, `write ${written}. if you mean that name`);
    } else if (wildcard === undefined) {
      const message = `${what} is a CNAME to ${name}, which has no records in this zone`;
      findings.place('warning', 'PH363', place, message, 'add some, or write the final dot of a name outside the zone');
    }
    return;
  }
  for (let hops = 0; hops < MAX_HOPS && node >= 0; hops++) {
    const row = firstRowOf(table, node);
    if (zone.store.type[row] !== TYPE.CNAME) return;
    if (nameKey(rdataOf(zone.store, row)) === nameKey(service.owner)) {
      const message = `${what} is a CNAME to ${name}, which leads back to the service`;
      findings.place('warning', 'PH365', place, message, 'point one of the two at a host');
      return;
    }
    node = cnameOf(work, node);
  }
}

/**
 * The part of a relative name up to the first occurrence of the zone's name: an `$ORIGIN` may have been appended to it.
 */
function wholeNameIn(written: string | undefined, apexText: string): string | undefined {
  if (written === undefined) return undefined;
  const at = `.${written.toLowerCase()}.`.indexOf(`.${apexText}.`);
  return at < 0 ? undefined : written.slice(0, at + apexText.length);
}

/** The part of a name before the apex; undefined for the apex. */
function textBefore(name: Name, apex: Name): string | undefined {
  const octets = name.length - apex.length;
  return octets === 0 ? undefined : rawText(name.subarray(0, octets));
}

/** The labels with dots between them, without escapes, to search for in source lines. */
function rawText(name: Uint8Array): string {
  let text = '';
  for (let at = 0; at < name.length && name[at] !== 0; at += get8(name, at) + 1) {
    const label = Buffer.from(name.subarray(at + 1, at + 1 + get8(name, at))).toString('latin1');
    text += at === 0 ? label : `.${label}`;
  }
  return text;
}

/** Whether a label contains a blank or a control character. Service instance names may (RFC 6763 4.1.1). */
function hasBlank(bytes: Uint8Array, at: number): boolean {
  for (let label = at; bytes[label] !== 0;) {
    const end = label + 1 + get8(bytes, label);
    for (let i = label + 1; i < end; i++) {
      const octet = get8(bytes, i);
      if (octet <= 0x20 || octet === 0x7f) return !(octet === 0x20 && bytes[end] !== 0 && bytes[end + 1] === 0x5f);
    }
    label = end;
  }
  return false;
}
