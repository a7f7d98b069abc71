/**
 * NSD reads the same presentation text as Pharos: its octets and ours must be equal.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createReport, formatDiagnostic } from '../../config/diagnostics.ts';
import { nameKey, parseName } from '../../wire/name.ts';
import { tokenize } from '../../wire/rdata/text.ts';
import { nameOffsets, parseRdata } from '../../wire/rdata.ts';
import { typeNumber } from '../../wire/types.ts';
import { readMasterFile } from '../../zones/read/master-file.ts';
import { createRecordStore, ownerOf, rdataOf } from '../../zones/read/record-store.ts';
import { folderOf } from '../support/pharos.ts';
import { runNsd, type Running } from '../support/run.ts';
import { SAMPLES, UNKNOWN_TO_PEERS } from '../unit/wire/rdata-samples.ts';

const ORIGIN = parseName('example.com.');
const APEX = ['@ SOA ns1 hostmaster 1 7200 1800 1209600 60', '@ NS ns1', 'ns1 A 192.0.2.53'];

/** Mnemonics that NSD 4.6 does not know; the unit tests compare these with their RFCs. */
const UNKNOWN_TO_NSD: ReadonlySet<string> = new Set([...['GPOS', 'EID', 'NIMLOC', 'ATMA', 'HIP'], ...UNKNOWN_TO_PEERS]);
/** NSD accepts times only as YYYYMMDDHHmmSS; RFC 4034 3.2 also allows seconds. */
const TIME_IN_SECONDS = /^\S+ \S+ \d+ \d+ 1\d{9} /;

type Case = { readonly owner: string; readonly type: number; readonly mnemonic: string; readonly text: string };

const cases: Case[] = Object.entries(SAMPLES).flatMap(([mnemonic, texts]) =>
  texts.flatMap((text, index) => {
    const type = typeNumber(mnemonic) ?? -1;
    // A zone has one SOA: its own test asks for it.
    if (mnemonic === 'SOA' || UNKNOWN_TO_NSD.has(mnemonic) || TIME_IN_SECONDS.test(text)) return [];
    return [{ owner: `${mnemonic.toLowerCase()}${index}`, type, mnemonic, text }];
  }),
);
const zone = [
  '$ORIGIN example.com.\n$TTL 300',
  ...APEX,
  ...cases.map(({ owner, mnemonic, text }) => `${owner} ${mnemonic} ${text}`),
  '',
].join('\n');

let nsd: Running | undefined;
let port = 0;

beforeAll(async () => {
  nsd = await runNsd({ 'example.com': zone });
  port = nsd.endpoints[0]?.port ?? 0;
});

afterAll(async () => {
  await nsd?.[Symbol.asyncDispose]();
});

/** The messages of a zone transfer: it has every record, also those that plain queries do not get. */
async function transfer(): Promise<Buffer[]> {
  const query = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ORIGIN, Buffer.from([0, 252, 0, 1])]);
  const socket = connect(port, '127.0.0.1');
  socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
  const messages: Buffer[] = [];
  let received = Buffer.alloc(0);
  let soas = 0;
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
      const message = received.subarray(2, received.readUInt16BE(0) + 2);
      received = received.subarray(message.length + 2);
      messages.push(message);
      soas += recordsOf(message).filter((record) => record.type === 6).length;
    }
    if (soas >= 2) break; // RFC 5936 2.2: the SOA comes first and last
  }
  socket.destroy();
  return messages;
}

/** The name at `at` without compression, and where it ends in the message. */
function expandName(message: Buffer, at: number): { name: Buffer; end: number } {
  const labels: Buffer[] = [];
  let end = -1;
  for (;;) {
    const octets = message[at] ?? 0;
    if (octets >= 0xc0) {
      if (end < 0) end = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
    } else {
      labels.push(message.subarray(at, at + octets + 1));
      at += octets + 1;
      if (octets === 0) return { name: Buffer.concat(labels), end: end < 0 ? at : end };
    }
  }
}

type Answer = { readonly owner: string; readonly type: number; readonly data: string };

/** The answer records, with the names of RFC 1035 types expanded. */
function recordsOf(message: Buffer): Answer[] {
  expect(message.readUInt16BE(2) & 15, 'RCODE').toBe(0);
  const found: Answer[] = [];
  let at = message.readUInt16BE(4) === 0 ? 12 : expandName(message, 12).end + 4;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    const { name, end: fixed } = expandName(message, at);
    const type = message.readUInt16BE(fixed);
    at = fixed + 10 + message.readUInt16BE(fixed + 8);
    found.push({ owner: nameKey(name), type, data: hex(expandRdata(message, type, fixed + 10, at)) });
  }
  return found;
}

function expandRdata(message: Buffer, type: number, at: number, end: number): Buffer {
  const offsets = nameOffsets(type, Uint8Array.of(0, 0));
  const [first] = offsets;
  if (first === undefined) return message.subarray(at, end);
  const parts = [message.subarray(at, at + first)];
  at += first;
  for (let left = offsets.length; left > 0; left--) {
    const { name, end: next } = expandName(message, at);
    parts.push(name);
    at = next;
  }
  return Buffer.concat([...parts, message.subarray(at, end)]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** As a master file reads it. */
function ours(type: number, text: string): string {
  return hex(parseRdata(type, tokenize(text), ORIGIN));
}

describe('our octets are those of NSD', () => {
  let served: Answer[] = [];
  beforeAll(async () => {
    served = (await transfer()).flatMap(recordsOf);
  });

  test.each(cases)('$mnemonic $text', ({ owner, type, text }) => {
    const key = nameKey(parseName(owner, ORIGIN));
    const got = served.filter((record) => record.owner === key && record.type === type);
    expect(got.map((record) => record.data)).toEqual([ours(type, text)]);
  });
});

test('the master-file reader gives the same octets for the file as for one record at a time', () => {
  using folder = folderOf({ 'example.com.zone': zone });
  const store = createRecordStore();
  const report = createReport();
  readMasterFile({ path: join(folder.path, 'example.com.zone'), origin: ORIGIN, defaultTtlSeconds: 60, store, report });
  expect(report.diagnostics.map(formatDiagnostic)).toEqual([]);
  const got: Answer[] = [];
  for (let row = APEX.length; row < store.count; row++) {
    got.push({ owner: nameKey(ownerOf(store, row)), type: store.type[row] ?? 0, data: hex(rdataOf(store, row)) });
  }
  expect(got).toEqual(
    cases.map(({ owner, type, text }) => ({ owner: nameKey(parseName(owner, ORIGIN)), type, data: ours(type, text) })),
  );
});
