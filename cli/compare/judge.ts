/**
 * What differs between two responses to one question. Pure.
 *
 * Compared: RCODE, AA, the sets of records in the answer, the TTL of every RRset, the records that a resolver needs of
 * the authority section (SOA, and NS and DS of a referral) and their glue, the scope of a client subnet. The order of
 * records is not, nor is what a server may leave out: NS records beside an answer, and additional records that are not
 * glue.
 */
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { isWithin, nameKey } from '../../wire/name.ts';
import { formatRdata, SOA_NUMBERS_OCTETS, soaSerial } from '../../wire/rdata.ts';
import {
  HEADER_FLAG,
  responseKey,
  recordOfResponseKey,
  type ResponseRecord,
  type ServerResponse,
} from '../../wire/read-response.ts';
import { RCODE, TYPE, typeText } from '../../wire/types.ts';
import type { Kind } from './kinds.ts';
import { EMPTY_ANSWER } from './varying.ts';

/** What each server says, as text. */
export type Said = { readonly kind: Kind; readonly a: string; readonly b: string };

export type AskedQuery = { readonly type: number; readonly query: Uint8Array; readonly questionEnd: number };

const NONE = '(none)';

/** All differences of two responses to a query. */
export function judgeResponses(a: ServerResponse, b: ServerResponse, asked: AskedQuery): readonly Said[] {
  const found: Said[] = [];
  const differ = (kind: Kind, one: string, other: string): void => {
    if (one !== other) found.push({ kind, a: one, b: other });
  };
  differ('case', echoOf(a, asked), echoOf(b, asked));
  differ('edns', a.hasEdns ? 'EDNS' : 'no EDNS', b.hasEdns ? 'EDNS' : 'no EDNS');
  if (a.rcode !== b.rcode) {
    const exists = [a.rcode, b.rcode].every((rcode) => rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN);
    const text = (response: ServerResponse): string =>
      response.rcode === RCODE.NOERROR && exists ? listText(response.answer, asked.type) : rcodeText(response.rcode);
    differ(exists ? 'name' : 'rcode', text(a), text(b));
    return found;
  }
  differ('aa', isAuthoritative(a), isAuthoritative(b));
  // RFC 7871 7.4: a negative answer has scope 0, but some servers send another, and resolvers ignore it.
  if (a.answer.length > 0 && b.answer.length > 0) {
    differ('scope', `scope ${a.scopeBits ?? 0}`, `scope ${b.scopeBits ?? 0}`);
  }
  compareSets('records', a.answer, b.answer, asked.type, differ);
  // RFC 2181 6.1, RFC 2308 3: if the answer is empty, the SOA says how long that may be cached, and NS records are a
  // referral.
  const needed = (response: ServerResponse, type: number): readonly ResponseRecord[] =>
    response.authority.filter((record) => record.type === type);
  compareSets('authority', needed(a, TYPE.SOA), needed(b, TYPE.SOA), TYPE.SOA, differ);
  if (!hasData(a, asked.type) && !hasData(b, asked.type)) {
    for (const type of [TYPE.NS, TYPE.DS]) compareSets('authority', needed(a, type), needed(b, type), type, differ);
    compareSets('glue', glueOf(a), glueOf(b), TYPE.A, differ);
  }
  return found;
}

/** Keys of the records of an answer, in order. An SOA counts without its serial. */
export function answerKeys(response: ServerResponse): readonly string[] {
  return [...new Set(response.answer.map((record) => responseKey(withoutSerial(record))))].sort();
}

/** The record of a key of `answerKeys`, as text. */
export function keyText(key: string, asked: number): string {
  return key === EMPTY_ANSWER ? NONE : recordText(recordOfResponseKey(key), asked);
}

function recordText(record: ResponseRecord, asked: number): string {
  const data = dataText(record);
  return record.type === asked ? data : `${typeText(record.type)} ${data}`;
}

function isAuthoritative(response: ServerResponse): string {
  return (response.flags & HEADER_FLAG.AA) === 0 ? 'no AA' : 'AA';
}

function echoOf({ question }: ServerResponse, { query, questionEnd }: AskedQuery): string {
  const asked = query.subarray(HEADER_OCTETS, questionEnd);
  if (Buffer.compare(question, asked) === 0) return 'as asked';
  return question.length === 0 ? 'no question' : 'other letters';
}

function hasData({ answer }: ServerResponse, type: number): boolean {
  return answer.some((record) => record.type === type);
}

/** Addresses below the cut that the referral needs (RFC 9471 2.1). */
function glueOf({ authority, additional }: ServerResponse): readonly ResponseRecord[] {
  const cut = authority.find(({ type }) => type === TYPE.NS)?.owner;
  if (!cut || authority.some(({ type }) => type === TYPE.SOA)) return [];
  const hosts = new Set(authority.filter(({ type }) => type === TYPE.NS).map(({ rdata }) => nameKey(rdata)));
  return additional.filter(
    ({ owner, type }) => (type === TYPE.A || type === TYPE.AAAA) && isWithin(owner, cut) && hosts.has(nameKey(owner)),
  );
}

/** Compares sets of records, then the serial of an SOA, then the TTLs of the RRsets that both have. */
function compareSets(
  kind: Kind,
  a: readonly ResponseRecord[],
  b: readonly ResponseRecord[],
  type: number,
  differ: (kind: Kind, a: string, b: string) => void,
): void {
  const [inA, inB] = [keyed(a), keyed(b)];
  const isSame = inA.size === inB.size && [...inA.keys()].every((key) => inB.has(key));
  if (!isSame) {
    differ(kind, listText(a, type), listText(b, type));
  } else {
    for (const [key, record] of inA) {
      const other = inB.get(key);
      if (other && record.type === TYPE.SOA) {
        differ('serial', `serial ${soaSerial(record.rdata)}`, `serial ${soaSerial(other.rdata)}`);
      }
    }
  }
  const [ttlsA, ttlsB] = [ttlsOf(a), ttlsOf(b)];
  for (const [rrset, { text, seconds }] of ttlsA) {
    const other = ttlsB.get(rrset);
    if (other) differ('ttl', `${text} ${seconds}`, `${text} ${other.seconds}`);
  }
}

function keyed(records: readonly ResponseRecord[]): ReadonlyMap<string, ResponseRecord> {
  return new Map(records.map((record) => [responseKey(withoutSerial(record)), record]));
}

function ttlsOf(
  records: readonly ResponseRecord[],
): ReadonlyMap<string, { readonly text: string; readonly seconds: number }> {
  return new Map(
    records.map(({ owner, type, ttlSeconds }) => [
      `${nameKey(owner)}${type}`,
      { text: `TTL of ${typeText(type)}`, seconds: ttlSeconds },
    ]),
  );
}

function withoutSerial(record: ResponseRecord): ResponseRecord {
  if (record.type !== TYPE.SOA || record.rdata.length < SOA_NUMBERS_OCTETS) return record;
  const rdata = record.rdata.slice();
  rdata.fill(0, rdata.length - SOA_NUMBERS_OCTETS, rdata.length - SOA_NUMBERS_OCTETS + 4);
  return { ...record, rdata };
}

/** Records that a list shows; the others are counted. */
const SHOWN_RECORDS = 4;
/** Characters of one record's data that are shown. */
const SHOWN_CHARACTERS = 60;

export function listText(records: readonly ResponseRecord[], type: number): string {
  return textOfAll(records.map((record) => recordText(record, type)));
}

/** The same of keys of `answerKeys`. */
export function keysText(keys: readonly string[], type: number): string {
  return textOfAll(keys.map((key) => keyText(key, type)));
}

function textOfAll(records: readonly string[]): string {
  if (records.length === 0) return NONE;
  const more = records.length - SHOWN_RECORDS;
  return `${records.toSorted().slice(0, SHOWN_RECORDS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function dataText({ type, rdata }: ResponseRecord): string {
  let text: string;
  try {
    text = formatRdata(type, rdata);
  } catch {
    // Not of the form of its type: another server may send anything.
    text = `\\# ${rdata.length} ${Buffer.from(rdata).toString('hex')}`;
  }
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}...`;
}

const RCODES = new Map<number, string>(Object.entries(RCODE).map(([name, number]) => [number, name]));

function rcodeText(rcode: number): string {
  return RCODES.get(rcode) ?? `RCODE ${rcode}`;
}
