/**
 * What other clients of NATS send: votes, figures, serials, pages of serials, and orders. A client may have a login for
 * NATS and send anything.
 */
import { deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { readZoneOrder } from '../../../cli/serve/fleet-records.ts';
import { storedEntry, targetOfKey } from '../../../fleet/order-book.ts';
import { createSerialExchange } from '../../../fleet/serial-exchange.ts';
import { createSharedFigures } from '../../../fleet/shared-figures.ts';
import { packedVote, readVoteMessage, writeVoteMessage } from '../../../fleet/vote-message.ts';
import { MAX_TTL_SECONDS } from '../../../wire/limits.ts';
import { isValidData } from '../../../wire/update.ts';
import { createFleetNetwork, memberTarget } from '../../support/fleet-network.ts';
import { createDice } from '../../support/random.ts';
import { createManualClock } from '../../unit/health/support.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedJson, editedOctets } from '../mutations.ts';

const TARGET = '00000000000000aa';
const HEAD = {
  ...{ node: 'z', region: 'dublin', run: 'run', seq: 1, wallMs: 0, list: 'l', targets: 3, config: 'c', version: '9' },
  ...{ applied: 0, probed: 1, suspect: false, leaving: false },
  changes: [[TARGET, 2, 'refused']],
  held: [[TARGET, 1]],
  drains: [['override.eA', 3, 1000]],
};
const HEAD_KEYS = [...Object.keys(HEAD), TARGET, 'z', 'a'];
const vote = editedOctets(
  editedJson(HEAD, HEAD_KEYS).map((head) => writeVoteMessage({ head, votes: Uint8Array.of(0x1b) } as never)),
  3,
);

const jsonOctets = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> =>
  editedOctets(
    value.map((each) => Buffer.from(JSON.stringify(each))),
    2,
  );
const FIGURES = {
  ...{ version: 1, node: 'z', loads: [[TARGET, 0.5]], latencies: [['c0000201', [['seoul', 20]]]] },
  ...{ served: [['www.example.com/a', 7]], clients: [['www.example.com', [['KR', 5]]]] },
};
const SERIALS = {
  ...{ version: 1, node: 'z', run: 'r', edition: 2, total: 1, at: 0 },
  ...{
    changes: [['example.com', [['digest', 7]]]],
    rows: [['example.com', [['digest', 7]]]],
    keys: { 'example.com': 'k' },
  },
};
const ORDER = { version: 1, revision: 3, order: { target: 'www.example.com/a', state: 'drain' }, at: '2026-01-01T00:00:00Z', node: 'z' }; // prettier-ignore
const SETS = { serial: 5, sets: [{ name: 'a.example.com', type: 16, base: '', ttl: 60, data: ['AWE='] }, { name: 'b.example.com', type: 1, base: 'x', ttl: 60, data: ['wAACAQ=='] }] }; // prettier-ignore
const zoneOrder = editedJson(SETS, ['name', 'type', 'base', 'ttl', 'data', 'forgotten', 'AWE=']).map((sets) => ({
  order: { zone: 'example.com', packed: deflateRawSync(JSON.stringify(sets)).toString('base64') },
  revision: 1,
}));

type FleetInput = {
  readonly vote: Buffer;
  readonly figures: Buffer;
  readonly serials: Buffer;
  readonly stored: Buffer;
  readonly key: string;
  readonly zone: { readonly order: unknown; readonly revision: number };
};

export const fleetMessages = fuzzTarget<FleetInput>({
  name: 'fleet-messages',
  about: 'votes, figures, serials and orders from NATS',
  trials: 2000,
  inputs: fc.record({
    vote,
    figures: jsonOctets(editedJson(FIGURES, Object.keys(FIGURES))),
    serials: jsonOctets(editedJson(SERIALS, Object.keys(SERIALS))),
    stored: jsonOctets(editedJson(ORDER, Object.keys(ORDER))),
    key: fc.oneof(fc.constantFrom('override.eA', 'records.ZXhhbXBsZS5jb20', '', '.', 'a.b.c'), fc.string()),
    zone: zoneOrder,
  }),
  open: () => {
    const clock = createManualClock();
    const network = createFleetNetwork(createDice(1));
    const { member } = network.join('a', 'seoul', [memberTarget(TARGET)]);
    const loads: number[] = [];
    const figures = createSharedFigures({ node: 'a', send: () => undefined, loaded: (_target, load) => void loads.push(load) }); // prettier-ignore
    figures.takeLatencies((source, times) => {
      if (source.length !== 4 && source.length !== 16) throw new Error(`an address of ${source.length} octets`);
      for (const ms of times.values()) if (!(ms >= 0 && Number.isFinite(ms))) throw new Error(`${ms} ms`);
    });
    let page: Buffer = Buffer.alloc(0);
    const exchange = createSerialExchange({
      ...{ node: 'a', run: 'own', clock, send: () => undefined, ask: () => Promise.resolve(page) },
      learned: () => undefined,
    });
    exchange.serve(new Map([['example.com', { content: 'own', serial: 7 }]]));
    return {
      run: async (input) => {
        const read = readVoteMessage(input.vote);
        if (read) for (let at = 0; at < 12; at++) packedVote(read.votes, at);
        member.hear(input.vote, 'z');
        network.advance(1000);
        figures.hear(input.figures, 'z');
        figures.tick(new Set(['z']));
        if (!(figures.served('www.example.com/a') >= 0)) throw new Error('a count that is not a number');
        for (const load of loads.splice(0)) if (!(load >= 0)) throw new Error(`a load of ${load}`);
        ({ serials: page } = input);
        exchange.hear(input.serials, 'z');
        exchange.page(input.serials);
        for (let tick = 0; tick < 11; tick++) exchange.tick(new Set(['z']), ['z']);
        await clock.advance(1000);
        for (const contents of exchange.known().values()) {
          for (const serial of contents.values()) if (!Number.isInteger(serial) || serial < 0 || serial > 0xffff_ffff) throw new Error(`a serial of ${serial}`); // prettier-ignore
        }
        const entry = storedEntry(input.key, input.stored, 4);
        if (entry && !(entry.revision >= 4 && Number.isSafeInteger(entry.revision)))
          throw new Error(`revision ${entry.revision}`);
        targetOfKey(input.key);
        judgeZoneOrder(input.zone);
      },
    };
  },
});

/** The records of an order go into the journal and the image of this node, so they must be records. */
function judgeZoneOrder(order: FleetInput['zone']): void {
  for (const { type, ttlSeconds, data } of readZoneOrder(order)?.records.sets.values() ?? []) {
    if (!Number.isInteger(type) || type < 0 || type > 0xffff) throw new Error(`a record of type ${type}`);
    if (!(ttlSeconds >= 0 && ttlSeconds <= MAX_TTL_SECONDS)) throw new Error(`a record with a TTL of ${ttlSeconds}`);
    for (const each of data)
      if (!isValidData(type, each)) throw new Error(`a record of type ${type} with invalid data`);
  }
}
