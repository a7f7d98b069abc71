/**
 * A slow validator of one signed zone's answers (RFC 4035 5), written without the server's code except for the
 * cryptography of its keys.
 */
import { ALGORITHMS } from '../../dnssec/algorithms.ts';
import { wireName, type DecodedMessage, type DecodedRecord } from './message.ts';

export type ValidatorKey = { readonly tag: number; readonly dnskey: Uint8Array };

type Denial = { readonly owner: string; readonly next: string; readonly types: ReadonlySet<number> };

const [NS, CNAME, SOA, DNAME, DS, RRSIG, NSEC, NXNAME] = [2, 5, 6, 39, 43, 46, 47, 128];

/**
 * Throws with the reason if the response to a query for `name` (final dot) and `type` is not secure. `apex` has a final
 * dot. Returns what it was: an answer, NXDOMAIN, no data, or a referral.
 */
export function validate(
  message: DecodedMessage,
  {
    name,
    type,
    apex,
    keys,
    nowSeconds,
    isCompact = false,
  }: {
    readonly name: string;
    readonly type: number;
    readonly apex: string;
    readonly keys: readonly ValidatorKey[];
    readonly nowSeconds: number;
    /** RFC 9824: answers look as if every name existed. */
    readonly isCompact?: boolean;
  },
): 'answer' | 'nxdomain' | 'nodata' | 'referral' | 'elsewhere' {
  const answer = verifySection(message.answer, apex, keys, nowSeconds, new Set());
  const unsigned = new Set(message.authority.some((each) => each.type === SOA) ? [] : [NS]);
  const authority = verifySection(message.authority, apex, keys, nowSeconds, unsigned);
  for (const record of message.additional) {
    if (record.type !== RRSIG) continue;
    const own = message.additional.filter((each) => each.name === record.name);
    verifySection(
      own,
      apex,
      keys,
      nowSeconds,
      new Set(own.map((each) => each.type).filter((each) => !isCovered(own, each))),
    );
  }
  const denials = [...authority.denials, ...(isCompact ? answer.denials : [])];
  if (isCompact && answer.expanded.length > 0) throw new Error(`${answer.expanded.join(' ')} is signed as a wildcard`);
  if (isCompact) for (const denial of denials) isMinimal(denial);
  for (const expanded of answer.expanded) {
    if (!denials.some((denial) => covers(denial, expanded)))
      throw new Error(`no proof that ${expanded} does not exist`);
  }
  const end = chainEnd(message.answer, name, type);
  if (!isBelow(end, apex)) return 'elsewhere';
  if (
    message.answer.some((each) => each.name === end && (each.type === type || (type === 255 && each.type !== RRSIG)))
  ) {
    return 'answer';
  }
  if (message.authority.some((each) => each.type === NS)) return provesReferral(message, denials);
  if (isCompact && denials.some(({ owner, types }) => owner === end && types.has(NXNAME))) {
    if (message.rcode !== (message.edns?.compactOk === true ? 3 : 0))
      throw new Error(`${end} has RCODE ${message.rcode}`);
    return 'nxdomain';
  }
  if (message.rcode === 3) {
    const cover = denials.find((denial) => covers(denial, end));
    if (!cover) throw new Error(`NXDOMAIN without a proof that ${end} does not exist`);
    const wildcard = `*.${closestEncloser(end, cover)}`.replace(/\.\.$/, '.');
    if (!denials.some((denial) => covers(denial, wildcard)))
      throw new Error(`NXDOMAIN without a proof against ${wildcard}`);
    return 'nxdomain';
  }
  // A chain that leads back to itself has no end.
  if (message.answer.length > 0 && !message.authority.some((each) => each.type === SOA)) return 'elsewhere';
  provesNoData(denials, end, type);
  return 'nodata';
}

/** RFC 9824 3.1 and 3.4: the next name is right after the owner, or after all names below a delegation. */
function isMinimal({ owner, next, types }: Denial): void {
  const [label = '', ...rest] = labelsOf(owner);
  const isCut = types.has(NS) && !types.has(SOA);
  const expected = isCut ? [`${label}\0`, ...rest] : ['\0', label, ...rest];
  if (next !== `${expected.filter((each) => each !== '').join('.')}.`)
    throw new Error(`the NSEC of ${owner} has the next name ${next}`);
}

function isCovered(records: readonly DecodedRecord[], type: number): boolean {
  return records.some((each) => each.type === RRSIG && Number.parseInt(each.data.slice(0, 4), 16) === type);
}

function provesReferral(message: DecodedMessage, denials: readonly Denial[]): 'referral' {
  const cut = message.authority.find((each) => each.type === NS)?.name ?? '';
  if (message.authority.some((each) => each.type === DS)) return 'referral';
  const at = denials.find((denial) => denial.owner === cut);
  if (!at?.types.has(NS) || at.types.has(DS) || at.types.has(SOA)) throw new Error(`no proof that ${cut} is insecure`);
  return 'referral';
}

function provesNoData(denials: readonly Denial[], name: string, type: number): void {
  const at = denials.find((denial) => denial.owner === name);
  const lacks = (denial: Denial): boolean => !denial.types.has(type) && (!denial.types.has(CNAME) || type === CNAME);
  if (at) {
    if (!lacks(at)) throw new Error(`the NSEC of ${name} has the bit of type ${type} or CNAME`);
    return;
  }
  const cover = denials.find((denial) => covers(denial, name));
  if (!cover) throw new Error(`no data without an NSEC for ${name}`);
  // An empty non-terminal: the next name is below it.
  if (isBelow(cover.next, name)) return;
  const wildcard = `*.${closestEncloser(name, cover)}`;
  const match = denials.find((denial) => denial.owner === wildcard);
  // The wildcard may be an empty non-terminal too.
  if (!match && denials.some((denial) => covers(denial, wildcard) && isBelow(denial.next, wildcard))) return;
  if (!match || !lacks(match)) throw new Error(`no data of ${name} without an NSEC of ${wildcard} that lacks the type`);
}

/** The name at the end of the CNAMEs of the answer. */
function chainEnd(records: readonly DecodedRecord[], name: string, type: number): string {
  let at = name;
  for (let links = 0; links <= records.length; links++) {
    const alias = records.find((each) => each.name === at && each.type === CNAME);
    if (!alias || type === CNAME || type === 255) return at;
    at = nameFrom(Buffer.from(alias.data, 'hex'), 0).name;
  }
  return at;
}

/** Verifies every RRset of a section except those of types in `unsigned`. */
function verifySection(
  records: readonly DecodedRecord[],
  apex: string,
  keys: readonly ValidatorKey[],
  nowSeconds: number,
  unsigned: ReadonlySet<number>,
): { readonly denials: readonly Denial[]; readonly expanded: readonly string[] } {
  const denials: Denial[] = [];
  const expanded: string[] = [];
  const sets = Map.groupBy(records.filter((each) => each.type !== RRSIG), (each) => `${each.name} ${each.type}`); // prettier-ignore
  for (const set of sets.values()) {
    const { name, type } = set[0] ?? { name: '', type: 0 };
    if (unsigned.has(type)) continue;
    // The CNAME of a DNAME is not signed (RFC 6672 5.3.1).
    if (type === CNAME && records.some((each) => each.type === DNAME && isBelow(name, each.name))) continue;
    if (new Set(set.map(({ ttl }) => ttl)).size > 1) throw new Error(`${name} ${type}: TTLs differ`);
    const signatures = records.filter((each) => each.type === RRSIG && each.name === name && isCovered([each], type));
    if (signatures.length === 0) throw new Error(`${name} ${type} has no signature`);
    for (const signature of signatures) {
      const labels = verifySet(set, signature, apex, keys, nowSeconds);
      if (labels < countLabels(name)) expanded.push(name);
    }
    if (type === NSEC) for (const each of set) denials.push(denialOf(each));
  }
  return { denials, expanded };
}

/** Returns the labels field. */
function verifySet(
  set: readonly DecodedRecord[],
  signature: DecodedRecord,
  apex: string,
  keys: readonly ValidatorKey[],
  nowSeconds: number,
): number {
  const [first] = set;
  const data = Buffer.from(signature.data, 'hex');
  const what = `the signature of ${first?.name ?? ''} ${first?.type ?? 0}`;
  const [labels = 0, original] = [data[3], data.readUInt32BE(4)];
  const signer = nameFrom(data, 18);
  if (signer.name !== apex) throw new Error(`${what} is by ${signer.name}`);
  if (signature.ttl !== first?.ttl) throw new Error(`${what} has TTL ${signature.ttl}, its records ${first?.ttl ?? 0}`);
  if (signature.ttl > original) throw new Error(`${what} has original TTL ${original}, served is ${signature.ttl}`);
  if (data.readUInt32BE(12) > nowSeconds || data.readUInt32BE(8) < nowSeconds)
    throw new Error(`${what} is not valid now`);
  const key = keys.find(({ tag, dnskey }) => tag === data.readUInt16BE(16) && dnskey[3] === data[2]);
  if (!key) throw new Error(`${what} is by an unknown key`);
  const own = labelsOf(first.name);
  const owner = labels < countLabels(first.name) ? `*.${own.slice(own.length - labels).join('.')}.` : first.name;
  const front = Buffer.concat([wireName(owner), Buffer.alloc(8)]);
  front.writeUInt16BE(first.type, front.length - 8);
  front.writeUInt16BE(1, front.length - 6);
  front.writeUInt32BE(original, front.length - 4);
  const sorted = [...new Set(set.map((each) => each.data))]
    .map((each) => Buffer.from(each, 'hex'))
    .sort((a, b) => Buffer.compare(a, b));
  const signed = [data.subarray(0, signer.end), ...sorted.flatMap((each) => [front, Buffer.of(each.length >> 8, each.length & 255), each])]; // prettier-ignore
  const isValid = ALGORITHMS.get(data[2] ?? 0)?.verify(Buffer.concat(signed), key.dnskey.subarray(4), data.subarray(signer.end)); // prettier-ignore
  if (isValid !== true) throw new Error(`${what} is bogus`);
  return labels;
}

function denialOf({ name, data }: DecodedRecord): Denial {
  const octets = Buffer.from(data, 'hex');
  const { name: next, end } = nameFrom(octets, 0);
  const types = new Set<number>();
  for (let at = end; at < octets.length; at += 2 + (octets[at + 1] ?? 0)) {
    for (let bit = 0; bit < (octets[at + 1] ?? 0) * 8; bit++) {
      if (((octets[at + 2 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) types.add((octets[at] ?? 0) * 256 + bit);
    }
  }
  return { owner: name, next, types };
}

function nameFrom(octets: Buffer, start: number): { readonly name: string; readonly end: number } {
  let name = '';
  let at = start;
  for (; (octets[at] ?? 0) !== 0; at += (octets[at] ?? 0) + 1) {
    name += `${octets.toString('latin1', at + 1, at + 1 + (octets[at] ?? 0)).toLowerCase()}.`;
  }
  return { name: name === '' ? '.' : name, end: at + 1 };
}

/** Without the root. Names of tests have no dots in labels. */
function labelsOf(name: string): string[] {
  return name === '.' ? [] : name.slice(0, -1).split('.');
}

/** RFC 4035 5.3.2: without a leftmost `*`. */
function countLabels(name: string): number {
  const labels = labelsOf(name);
  return labels.length - (labels[0] === '*' ? 1 : 0);
}

function isBelow(name: string, ancestor: string): boolean {
  return ancestor === '.' || name === ancestor || name.endsWith(`.${ancestor}`);
}

function order(a: string, b: string): number {
  const [left, right] = [labelsOf(a).reverse(), labelsOf(b).reverse()];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const compared = Buffer.compare(Buffer.from(left[i] ?? '', 'latin1'), Buffer.from(right[i] ?? '', 'latin1'));
    if (compared !== 0) return compared;
  }
  return left.length - right.length;
}

/** Whether the NSEC proves that the name does not exist, or is an empty non-terminal. */
function covers({ owner, next, types }: Denial, name: string): boolean {
  // RFC 6840 4.1: the NSEC of a cut or a DNAME proves nothing about names below it.
  if (isBelow(name, owner) && ((types.has(NS) && !types.has(SOA)) || types.has(DNAME))) return false;
  if (order(owner, name) >= 0) return false;
  return order(name, next) < 0 || order(next, owner) <= 0;
}

/** The longest ancestor of a name that exists because one of the two names of the NSEC is there or below it. */
function closestEncloser(name: string, { owner, next }: Denial): string {
  const labels = labelsOf(name);
  for (let from = 1; from <= labels.length; from++) {
    const ancestor = from === labels.length ? '.' : `${labels.slice(from).join('.')}.`;
    if (isBelow(owner, ancestor) || isBelow(next, ancestor)) return ancestor;
  }
  return '.';
}
