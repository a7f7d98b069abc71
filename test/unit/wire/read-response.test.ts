/** Responses of other servers: any compression that RFC 3597 4 has seen, options, and octets that are missing. */
import { describe, expect, test } from 'vitest';
import { formatName, parseName } from '../../../wire/name.ts';
import { formatRdata, parseRdataText } from '../../../wire/rdata.ts';
import { readResponse, responseKey, recordOfResponseKey, ResponseError } from '../../../wire/read-response.ts';
import { typeNumber } from '../../../wire/types.ts';

const ORIGIN = parseName('example.com.');
const HEADER = [0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
const QUESTION = [...ORIGIN, 0, 6, 0, 1];
/** Pointers to example.com and com in the question. */
const [EXAMPLE, COM] = [
  [0xc0, 12],
  [0xc0, 20],
] as const;

function withRecord(type: number, data: readonly number[]): Uint8Array {
  return Uint8Array.from([...HEADER, ...QUESTION, ...EXAMPLE, 0, type, 0, 1, 0, 0, 1, 44, 0, data.length, ...data]);
}

describe('names in the data of records', () => {
  const mail = [4, ...Buffer.from('mail')];
  test.each<[type: string, data: readonly number[], text: string]>([
    ['NS', [...mail, ...EXAMPLE], 'mail.example.com.'],
    ['CNAME', [...COM], 'com.'],
    ['MX', [0, 10, ...mail, ...EXAMPLE], '10 mail.example.com.'],
    [
      'SOA',
      [...EXAMPLE, ...mail, ...EXAMPLE, ...[1, 2, 3, 4, 5].flatMap((n) => [0, 0, 0, n])],
      'example.com. mail.example.com. 1 2 3 4 5',
    ],
    ['SRV', [0, 1, 0, 2, 0, 80, ...EXAMPLE], '1 2 80 example.com.'],
    ['RP', [...mail, ...EXAMPLE, ...COM], 'mail.example.com. com.'],
    ['NAPTR', [0, 1, 0, 2, 1, 0x75, 0, 0, ...EXAMPLE], '1 2 "u" "" "" example.com.'],
    ['TXT', [2, 0x68, 0x69], '"hi"'],
  ])('%s', (type, data, text) => {
    const number = typeNumber(type) ?? 0;
    const [record] = readResponse(withRecord(number, data)).answer;
    expect(record && formatName(record.owner)).toBe('example.com');
    expect(record?.ttlSeconds).toBe(300);
    expect(record && formatRdata(number, record.rdata)).toBe(text);
  });

  test('a record of another program, and data without octets', () => {
    expect(readResponse(withRecord(250, [1, 2, 3])).answer).toEqual([]);
    expect(readResponse(withRecord(16, [])).answer[0]?.rdata).toEqual(new Uint8Array());
  });
});

test('a key is equal for the same data in other letters, and has the record', () => {
  const rdata = (text: string) => parseRdataText(15, text, ORIGIN);
  const record = { owner: ORIGIN, type: 15, class: 1, ttlSeconds: 60, rdata: rdata('10 mail') };
  const other = { ...record, owner: parseName('EXAMPLE.com.'), rdata: rdata('10 MAIL'), ttlSeconds: 7 };
  expect(responseKey(record)).toBe(responseKey(other));
  expect(responseKey(record)).not.toBe(responseKey({ ...record, rdata: rdata('11 mail') }));
  expect(recordOfResponseKey(responseKey(other))).toEqual({ ...record, ttlSeconds: 0 });
  const text = { ...record, type: 16, rdata: Uint8Array.from([1, 0x41]) };
  expect(responseKey(text)).not.toBe(responseKey({ ...text, rdata: Uint8Array.from([1, 0x61]) }));
});

describe('EDNS', () => {
  const opt = (...options: number[]): Uint8Array =>
    Uint8Array.from([
      ...HEADER.slice(0, 6),
      0,
      0,
      0,
      0,
      0,
      1,
      ...QUESTION,
      0,
      0,
      41,
      4,
      0xd0,
      1,
      0,
      0,
      0,
      0,
      options.length,
      ...options,
    ]);
  test('RCODE of 12 bits', () => {
    expect(readResponse(opt())).toMatchObject({ rcode: 16, hasEdns: true, scopeBits: undefined });
  });
  test('the scope of a client subnet, behind other options', () => {
    expect(readResponse(opt(0, 3, 0, 1, 0x61, 0, 8, 0, 7, 0, 1, 24, 20, 1, 2, 3)).scopeBits).toBe(20);
  });
});

describe('malformed', () => {
  test.each<[title: string, message: Uint8Array]>([
    ['a pointer to itself', withRecord(2, [0xc0, 41])],
    ['a pointer forward', withRecord(2, [0xc0, 60])],
    ['a label of another type', withRecord(2, [0x41, 0])],
    ['a name longer than its record', withRecord(2, [4, 0x6d])],
    ['no header', new Uint8Array(11)],
  ])('%s', (_title, message) => {
    expect(() => readResponse(message)).toThrow(ResponseError);
  });

  test('cut anywhere', () => {
    const whole = withRecord(15, [0, 10, 4, ...Buffer.from('mail'), ...EXAMPLE]);
    expect(readResponse(whole).answer.length).toBe(1);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readResponse(whole.subarray(0, length)), String(length)).toThrow(ResponseError);
    }
  });
});
