/**
 * Dynamic updates (RFC 2136) with mistakes before their signature, so that they get past it, and TSIG records with
 * mistakes.
 */
import * as fc from 'fast-check';
import { readUpdateRequest, updateResponse, zoneRecords } from '../../../server/transfer/answer-update.ts';
import { MAX_TTL_SECONDS } from '../../../wire/limits.ts';
import { canonical, formatName, isWithin, parseName } from '../../../wire/name.ts';
import { readTsig } from '../../../wire/tsig-record.ts';
import { verifyTsig } from '../../../wire/tsig.ts';
import { TYPE } from '../../../wire/types.ts';
import { isValidData } from '../../../wire/update.ts';
import { viewImage } from '../../../zones/image/image.ts';
import { processUpdate } from '../../../zones/journal/process-update.ts';
import { decodeMessage, T, wireName } from '../../support/message.ts';
import { KEY, servePeers, sign, STRANGER } from '../../support/peer.ts';
import { load, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedOctets } from '../mutations.ts';

const NOW = 1_800_000_000;
const FILES = {
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  txt: { TXT: [one, two] }
  alias: { CNAME: ns1 }
  "*.wild": { A: 192.0.2.1 }
services:
  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }
`,
};
const NAMES = 'example.com ns1.example.com txt.example.com alias.example.com new.example.com a.b.new.example.com www.example.com *.wild.example.com example.org'.split(' '); // prettier-ignore
const DATA = ['c0000201', '0361626303646566', '00', '', wireName('ns1.example.com').toString('hex'), `000a${wireName('mail.example.com').toString('hex')}`, '000000000050c00c']; // prettier-ignore

const record = fc
  .record({
    name: fc.constantFrom(...NAMES),
    type: fc.oneof(fc.constantFrom(...Object.values(T), 0, 249, 250, 65_280), fc.nat(65_535)),
    class: fc.constantFrom(1, 1, 254, 255, 3, 0),
    ttl: fc.oneof(fc.constantFrom(0, 60), fc.nat(0xffff_ffff)),
    data: fc.oneof(fc.constantFrom(...DATA.map((hex) => Buffer.from(hex, 'hex'))), fc.uint8Array({ maxLength: 60 })),
  })
  .map(({ name, type, class: of, ttl, data }) => {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(type);
    fixed.writeUInt16BE(of, 2);
    fixed.writeUInt32BE(ttl, 4);
    fixed.writeUInt16BE(data.length, 8);
    return Buffer.concat([wireName(name), fixed, data]);
  });
const update = fc
  .record({
    zone: fc.constantFrom('example.com', 'example.com', 'EXAMPLE.com', 'www.example.com', 'example.org'),
    prerequisites: fc.array(record, { maxLength: 3 }),
    updates: fc.array(record, { maxLength: 5 }),
  })
  .map(({ zone, prerequisites, updates }) => {
    const head = Buffer.alloc(12);
    head[2] = 5 << 3;
    for (const [at, count] of [1, prerequisites.length, updates.length].entries())
      head.writeUInt16BE(count, 4 + 2 * at);
    return Buffer.concat([head, wireName(zone), Buffer.of(0, T.SOA, 0, 1), ...prerequisites, ...updates]);
  });

/** CNAME, and what may stand beside it: RRSIG and NSEC (RFC 4034 2.5, 4), and SIG, KEY and NXT (RFC 2181 10.1). */
const WITH_CNAME = [TYPE.CNAME, TYPE.RRSIG, TYPE.NSEC, 24, 25, 30];

type UpdateInput = { readonly message: Buffer; readonly late: Buffer };

export const updates = fuzzTarget<UpdateInput>({
  name: 'updates',
  about: 'dynamic updates and TSIG',
  trials: 2500,
  inputs: fc.record({
    message: editedOctets(update, 4),
    // Mistakes after the signature.
    late: editedOctets(update.map((octets) => (octets.length >= 12 ? sign(octets, KEY, NOW).message : octets))),
  }),
  open: () => {
    const generation = load(FILES);
    const image = viewImage(generation.image, generation.atlas);
    const apex = parseName('example.com.');
    const records = zoneRecords(image, apex);
    if (!records) throw new Error('there is no zone');
    const zone = { apex, setsOf: records.setsOf, isSteered: records.isSteered, mayChange: () => true };
    const settings = { keys: [KEY], allow: [], notify: [], catalog: undefined };
    const peers = servePeers(FILES);
    const judgeSigned = (message: Buffer): void => {
      const deferred = { kind: 'deferred' as const, message, peer: Uint8Array.of(192, 0, 2, 1), transport: 0 };
      const request = readUpdateRequest(deferred, settings, NOW);
      if (!request) return;
      const processed = request.update && processUpdate(request.update, zone);
      const refusal = processed && !processed.ok ? processed.refusal : { rcode: request.update ? 0 : 1 };
      const response = Buffer.from(updateResponse(request, refusal, () => NOW));
      const mac = readTsig(message);
      const tsig = readTsig(response);
      if (typeof tsig === 'string' || typeof mac === 'string') throw new Error('a response without a signature');
      if (verifyTsig(response, tsig, [KEY], NOW, mac.mac).kind !== 'valid') throw new Error('an invalid signature');
      decodeMessage(response);
      if (!processed?.ok) return;
      for (const { name, sets } of processed.changes) judgeChange(name, sets);
    };
    const judgeChange = (
      name: Uint8Array,
      sets: ReadonlyMap<number, { readonly ttlSeconds: number; readonly data: readonly Uint8Array[] }>,
    ): void => {
      const told = formatName(name);
      if (!isWithin(canonical(name), apex)) throw new Error(`a change outside of the zone: ${told}`);
      for (const [type, { ttlSeconds, data }] of sets) {
        if (type === TYPE.SOA && Buffer.compare(name, apex) !== 0) throw new Error(`an SOA at ${told}`);
        if (data.length === 0) throw new Error(`an empty set: ${told} ${type}`);
        if (!(ttlSeconds >= 0 && ttlSeconds <= MAX_TTL_SECONDS)) throw new Error(`a TTL of ${ttlSeconds}: ${told}`);
        for (const each of data) {
          if (!isValidData(type, each))
            throw new Error(`data that ${type} cannot have: ${Buffer.from(each).toString('hex')}`);
        }
      }
      if (sets.has(TYPE.CNAME) && [...sets.keys()].some((type) => !WITH_CNAME.includes(type))) {
        throw new Error(`a CNAME beside other data: ${told}`);
      }
    };
    return {
      run: async ({ message, late }) => {
        if (message.length >= 12) judgeSigned(sign(message, KEY, NOW).message);
        judgeSigned(late);
        for (const each of [message, late]) {
          const responses = [peers.udp(each, STRANGER), ...(await peers.tcp(each, STRANGER))];
          for (const response of responses.filter(({ length }) => length > 0)) {
            const { rcode } = decodeMessage(response);
            const isUpdate = each.length >= 12 && (((each[2] ?? 0) >> 3) & 15) === 5;
            if (isUpdate && rcode === 0) throw new Error('an update of a stranger was accepted');
          }
        }
      },
    };
  },
});
