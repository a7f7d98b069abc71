/** Responses for tests, from lines such as `www 60 A 192.0.2.1`; names are relative to example.com. */
import { HEADER_OCTETS } from '../../../../wire/limits.ts';
import { parseName } from '../../../../wire/name.ts';
import { parseRdataText } from '../../../../wire/rdata.ts';
import { typeNumber } from '../../../../wire/types.ts';

export type Sections = {
  readonly answer?: readonly string[];
  readonly authority?: readonly string[];
  readonly additional?: readonly string[];
  readonly rcode?: number;
  /** QR and AA by default. */
  readonly flags?: number;
  /** A client subnet with this scope. */
  readonly scope?: number;
  readonly hasEdns?: boolean;
  /** The question's name, if it is not that of the query. */
  readonly question?: string;
};

const ORIGIN = parseName('example.com.');

function record(line: string): Buffer {
  const [, owner = '', ttl = '', type = '', data = ''] = /^(\S+) (\d+) (\S+) (.*)$/.exec(line) ?? [];
  const number = typeNumber(type) ?? 0;
  const rdata = parseRdataText(number, data, ORIGIN);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(number, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(Number(ttl), 4);
  fixed.writeUInt16BE(rdata.length, 8);
  return Buffer.concat([owner === '@' ? ORIGIN : parseName(owner, ORIGIN), fixed, rdata]);
}

/** The response to a query with these sections. */
export function answerMessage(query: Uint8Array, sections: Sections): Buffer {
  const { answer = [], authority = [], additional = [], rcode = 0, flags = 0x8400, scope, hasEdns = true } = sections;
  const header = Buffer.alloc(HEADER_OCTETS);
  header.writeUInt16BE((query[0] ?? 0) * 256 + (query[1] ?? 0), 0);
  header.writeUInt16BE(flags | rcode, 2);
  [1, answer.length, authority.length, additional.length + (hasEdns ? 1 : 0)].forEach((count, index) =>
    header.writeUInt16BE(count, 4 + index * 2),
  );
  let end = HEADER_OCTETS;
  while ((query[end] ?? 0) !== 0) end += (query[end] ?? 0) + 1;
  const name =
    sections.question === undefined ? query.subarray(HEADER_OCTETS, end + 1) : parseName(sections.question, ORIGIN);
  const subnet = scope === undefined ? [] : [0, 8, 0, 7, 0, 1, 24, scope, 203, 0, 113];
  const opt = Buffer.from([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, subnet.length, ...subnet]);
  return Buffer.concat([
    header,
    ...[name, query.subarray(end + 1, end + 5)],
    ...[...answer, ...authority, ...additional].map(record),
    ...(hasEdns ? [opt] : []),
  ]);
}
