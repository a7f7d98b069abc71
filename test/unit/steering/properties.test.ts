/**
 * What steering guarantees over many queries: shares of weights, which clients move when a VIP fails, how far a scope
 * reaches.
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { formatAddress, parseAddress } from '../../../wire/address.ts';
import { expectShares } from '../../support/chance.ts';
import { subnetOption, T } from '../../support/message.ts';
import { answering, mistakesOf, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';

const HEAD = 'zone: example.com\nnameservers: [ns.example.net.]\n';
const seed = printedSeed('steering properties');

/** The bundled database only if requested: it takes a third of a second to compile. */
function zone(services: string, places = NO_GEOGRAPHY): Answering {
  return answering(
    {
      ...places,
      'zones/example.com.yaml': `${HEAD}regions: { seoul: { at: KR }, tokyo: { at: JP }, dublin: { at: IE }, virginia: { at: US } }\nservices:\n${services}`,
    },
    {},
    seed,
  );
}

function first(server: Answering, name: string, from: string): string {
  return formatAddress(Buffer.from(server.ask(`${name}.example.com`, T.A, { from }).answer[0]?.data ?? '', 'hex'));
}

function randomV4(dice: Dice): string {
  return `${1 + dice.below(223)}.${dice.below(256)}.${dice.below(256)}.${dice.below(256)}`;
}

describe('weights', () => {
  const weights = [1, 2, 3, 10];
  const vips = weights.map((weight, i) => `v${i}: { A: 203.0.113.${i}, weight: ${weight} }`).join(', ');
  // A share that is wrong by a fifth of itself is noticed.
  const DRAWS = 40_000;

  test('weighted: each VIP is first in proportion to its weight', () => {
    const server = zone(`  w: { vips: { ${vips} }, steer: [weighted] }`);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < DRAWS; i++) {
      const vip = Number(first(server, 'w', '192.0.2.1').split('.')[3]);
      counts[vip] = (counts[vip] ?? 0) + 1;
    }
    expectShares(counts, weights);
  });

  test('weighted: the second of two is drawn by weight from the rest', () => {
    const server = zone(`  w: { vips: { ${vips} }, steer: [weighted], answers: 2 }`);
    const counts = [0, 0, 0, 0];
    let rounds = 0;
    while (rounds < DRAWS / 2) {
      const [one, two] = server.ask('w.example.com', T.A).answer.map(({ data }) => Number.parseInt(data.slice(6), 16));
      if (one !== 3) continue;
      rounds++;
      counts[two ?? 0] = (counts[two ?? 0] ?? 0) + 1;
    }
    expect(counts[3]).toBe(0);
    expectShares(counts.slice(0, 3), weights.slice(0, 3));
  });

  test('sticky: networks are spread in proportion to the weights', () => {
    const server = zone(`  w: { vips: { ${vips} }, steer: [sticky] }`);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < DRAWS; i++) {
      const vip = Number(first(server, 'w', `${i >> 8}.${i & 255}.77.1`).split('.')[3]);
      counts[vip] = (counts[vip] ?? 0) + 1;
    }
    expectShares(counts, weights);
  });

  test.each(['weighted', 'sticky', 'all'])(
    '%s: weight 0 is standby, served only when every other is unavailable',
    (step) => {
      const server = zone(
        `  w: { vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2 }, s: { A: 203.0.113.9, weight: 0 } }, steer: [${step}] }`,
      );
      const served = (): Set<string> => new Set(Array.from({ length: 50 }, (_, i) => first(server, 'w', `8.${i}.0.1`)));
      expect(served()).not.toContain('203.0.113.9');
      server.set('w.example.com/a', { probed: PROBED.DOWN });
      expect(served()).toEqual(new Set(['203.0.113.2']));
      server.set('w.example.com/b', { forced: FORCED.DRAIN });
      expect(served()).toEqual(new Set(['203.0.113.9']));
    },
  );

  test('a standby is not served because it is nearest', () => {
    const server = zone(
      '  w: { vips: { near: { region: seoul, A: 203.0.113.1, weight: 0 }, far: { region: dublin, A: 203.0.113.2 } } }',
      {},
    );
    expect(first(server, 'w', '1.208.0.1')).toBe('203.0.113.2');
    server.set('w.example.com/far', { probed: PROBED.DOWN });
    expect(first(server, 'w', '1.208.0.1')).toBe('203.0.113.1');
  });

  test('a standby is served if a fence leaves only it', () => {
    const server = zone(
      '  w: { vips: { kr: { region: seoul, A: 203.0.113.1, weight: 0 }, far: { region: dublin, A: 203.0.113.2 } }, steer: [{ geo: { KR: seoul, default: dublin, fence: true } }], when_all_down: none }',
      {},
    );
    expect(first(server, 'w', '1.208.0.1')).toBe('203.0.113.1');
    expect(first(server, 'w', '8.8.8.8')).toBe('203.0.113.2');
  });
});

describe('min_healthy', () => {
  const service = (weights: readonly number[], least: string): Answering => {
    const vips = weights
      .map((weight, i) => `v${i}: { region: seoul, A: 203.0.113.${i}, weight: ${weight} }`)
      .join(', ');
    return answering({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `${HEAD}regions: { seoul: { at: KR, min_healthy: ${least} }, dublin: { at: IE } }\nservices: { w: { vips: { ${vips}, far: { region: dublin, A: 203.0.113.99, weight: ${Math.max(...weights)} } }, steer: [failover: [seoul, dublin]] } }`,
    });
  };
  test.each([
    [[1, 1], '50%', 1, true],
    [[1, 1, 0], '50%', 1, true],
    [[1, 1, 1], '50%', 1, false],
    [[1, 1, 1], '33.3333%', 1, true],
    [[3, 1], '50%', 1, true],
    [[1, 3], '50%', 1, false],
    [[0, 0, 0, 0], '50%', 1, false],
    [[0, 0, 0, 0], '50%', 2, true],
    [[65535, 65535], '50%', 1, true],
  ])('weights %j, least %s: with the first %i up the region serves: %s', (weights, least, up, serves) => {
    const server = service(weights, least);
    weights.forEach((_, i) => {
      server.set(`w.example.com/v${i}`, { probed: i < up ? PROBED.UP : PROBED.DOWN });
    });
    expect(first(server, 'w', '8.8.8.8') !== '203.0.113.99').toBe(serves);
  });
});

describe('failover', () => {
  test('a region without a VIP is skipped', () => {
    const files = {
      'zones/example.com.yaml': `${HEAD}regions: { tokyo: { at: JP }, seoul: { at: KR } }\nservices: { w: { vips: { a: { A: 203.0.113.1 }, b: { region: seoul, A: 203.0.113.2 } }, steer: [failover: [tokyo, seoul]] } }`,
    };
    expect(mistakesOf(files).join()).toContain('PH211');
    expect(first(answering(files), 'w', '8.8.8.8')).toBe('203.0.113.2');
  });
});

describe('sticky', () => {
  const vips = Array.from({ length: 6 }, (_, i) => `v${i}: { A: 203.0.113.${i}, weight: ${1 + (i % 3)} }`).join(', ');
  const clients = Array.from({ length: 2_000 }, (_, i) => `${1 + (i >> 8)}.${i & 255}.9.`);

  test('a VIP that fails moves only its own clients, and takes them back', () => {
    const server = zone(`  w: { vips: { ${vips} }, steer: [sticky] }`);
    const now = (): string[] => clients.map((client) => first(server, 'w', `${client}1`));
    const before = now();
    server.set('w.example.com/v2', { probed: PROBED.DOWN });
    const without = now();
    clients.forEach((client, i) => {
      if (before[i] === '203.0.113.2') expect(without[i], client).not.toBe('203.0.113.2');
      else expect(without[i], client).toBe(before[i]);
    });
    // The clients that moved are spread over all others.
    expect(new Set(without.filter((_, i) => before[i] === '203.0.113.2')).size).toBe(5);
    server.set('w.example.com/v2', { probed: PROBED.UP });
    expect(now()).toEqual(before);
  });

  test('addresses of one network get the same, on every node and whatever the order in the file', () => {
    const server = zone(`  w: { vips: { ${vips} }, steer: [sticky] }`);
    const other = zone(
      `  w: { vips: { ${vips
        .split(', v')
        .toReversed()
        .map((vip) => (vip.startsWith('v') ? vip : `v${vip}`))
        .join(', ')} }, steer: [sticky] }`,
    );
    for (const client of clients.slice(0, 200)) {
      const answers = [
        first(server, 'w', `${client}1`),
        first(server, 'w', `${client}254`),
        first(other, 'w', `${client}7`),
      ];
      expect(new Set(answers).size, client).toBe(1);
    }
  });
});

describe('TTL', () => {
  test.each([
    [3, 5],
    [30, 30],
    [90, 60],
  ])('{min: 5, max: 60} and a state that holds for %i s: %i', (holdSeconds, ttl) => {
    const server = zone(
      '  w: { ttl: { min: 5, max: 60 }, vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2 }, v6: { AAAA: "2001:db8::1" } }, steer: [failover: [a, b]] }',
    );
    server.set('w.example.com/b', { probed: PROBED.DOWN, holdSeconds });
    server.set('w.example.com/v6', { probed: PROBED.UP, holdSeconds: 1 });
    expect(server.ask('w.example.com', T.A).answer.map((record) => record.ttl)).toEqual([ttl]);
  });
});

describe('scope', () => {
  const service =
    '  w: { vips: { k: { region: seoul, A: 203.0.113.1 }, j: { region: tokyo, A: 203.0.113.2 }, i: { region: dublin, A: 203.0.113.3 }, v: { region: virginia, A: 203.0.113.4 } }, steer: [nearest, all] }';
  const server = zone(service, {});
  const ask = (address: Uint8Array): { scope: number; data: string } => {
    const response = server.ask('w.example.com', T.A, {
      edns: { options: [subnetOption(address, address.length * 8)] },
    });
    return { scope: response.edns?.scope ?? -1, data: response.answer[0]?.data ?? '' };
  };

  test.each([
    ['IPv4', 4, 300],
    ['IPv6', 16, 150],
  ])(
    '%s, bundled database: every address in the scope gets the same, and the next shorter prefix does not',
    (_, octets, count) => {
      const dice = createDice(seed);
      let exact = 0;
      let narrow = 0;
      for (let n = 0; n < count; n++) {
        const address =
          octets === 4
            ? parseAddress(randomV4(dice))
            : Uint8Array.from(
                { length: 16 },
                (__, i) => [0x20 + dice.below(16), dice.below(256)][i] ?? dice.below(256),
              );
        if (
          !address ||
          address[0] === 10 ||
          address[0] === 127 ||
          address[0] === 100 ||
          address[0] === 169 ||
          address[0] === 172 ||
          address[0] === 192
        )
          continue;
        const { scope, data } = ask(address);
        expect(scope).toBeGreaterThan(0);
        const within = (bits: number): Uint8Array =>
          address.map((octet, i) => {
            const keep = Math.min(8, Math.max(0, bits - i * 8));
            return (octet & (0xff << (8 - keep))) | (dice.below(256) & (0xff >> keep));
          });
        for (let sample = 0; sample < 30; sample++) {
          const other = within(scope);
          expect(ask(other), `${formatAddress(address)}/${scope} and ${formatAddress(other)}`).toEqual({ scope, data });
        }
        // The sibling half must differ somewhere; samples find it if it is not rare.
        narrow++;
        const differs = (): boolean => {
          const other = within(scope - 1);
          return ask(other).data !== data || ask(other).scope > scope;
        };
        if (Array.from({ length: 60 }).some(() => differs())) exact++;
      }
      expect(narrow).toBeGreaterThan(count / 2);
      // A sibling that differs in one /24 of a million addresses escapes the samples; most do not.
      expect(exact / narrow).toBeGreaterThan(0.9);
    },
  );
});
