/**
 * Answers of signed zones (docs/dnssec.md), each validated by a slow validator: random zones, names, types and states.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../../dnssec/key-files.ts';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { parseName } from '../../../../wire/name.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { T, type DecodedMessage } from '../../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';
import { validate, type ValidatorKey } from '../../../support/validator.ts';

const APEX = 'example.com.';
const NOW = Math.floor(Date.now() / 1000);

/** A signed zone with a key of its own, answered in-process. */
function signed(zone: string): { readonly server: Answering; readonly keys: readonly ValidatorKey[] } {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  const keys = join(folder.path, 'state', 'keys');
  makeKey(keys, parseName(APEX), NOW);
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return { server: answeringFrom(outcome.value), keys: readKeys(keys, parseName(APEX)).keys };
}

function askSigned(server: Answering, name: string, type: number): DecodedMessage {
  return server.ask(name, type, { overTcp: true, edns: { dnssecOk: true } });
}

const LABELS = ['a', 'b', 'c', 'm', 'z', '*', 'www'];

function randomName(dice: Dice, labels: readonly string[]): string {
  return Array.from({ length: 1 + dice.below(3) }, () => dice.pick(labels)).join('.');
}

/** A zone with records, aliases, wildcards, cuts, DNAMEs and services at random names. */
function randomZone(dice: Dice): { readonly text: string; readonly services: readonly string[] } {
  const records = new Map<string, string>();
  const services = new Map<string, string>();
  const isFree = (name: string): boolean =>
    [...records, ...services].every(
      ([other, text]) => other !== name && !(/NS|DNAME/.test(text) && name.endsWith(`.${other}`)),
    );
  for (let i = 0; i < 8 + dice.below(12); i++) {
    const name = randomName(dice, LABELS);
    if (!isFree(name)) continue;
    const kind = dice.below(10);
    if (
      kind === 8 &&
      ![...records.keys(), ...services.keys()].some((other) => other.endsWith(`.${name}`)) &&
      !name.includes('*')
    ) {
      records.set(name, dice.chance(0.5) ? '{ DNAME: b.example.com. }' : '{ NS: ns.example.net. }');
    } else if (kind === 7) records.set(name, `{ CNAME: ${randomName(dice, ['a', 'b', 'c', 'x'])} }`);
    else if (kind === 6 && !name.startsWith('*')) {
      const isBelow = [...records.keys(), ...services.keys()].some((other) => other.endsWith(`.${name}`));
      if (!isBelow) records.set(name, `{ NS: ns.example.net., DS: "1 13 2 ${'ab'.repeat(32)}" }`);
    } else if (kind >= 4) {
      const count = 1 + dice.below(4);
      const vips = Array.from(
        { length: count },
        (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1}${dice.chance(0.5) ? `, AAAA: "2001:db8::${vip + 1}"` : ''} }`,
      );
      const down = dice.pick(['serve_all', 'none', '{ A: 198.51.100.1 }', '{ CNAME: a }']);
      services.set(
        name,
        `{ vips: { ${vips.join(', ')} }, answers: ${dice.pick(['1', '2', 'all'])}, ttl: ${dice.pick(['20', '{ min: 5, max: 300 }'])}, when_all_down: ${down}, steer: [weighted] }`,
      );
    } else
      records.set(
        name,
        dice.pick(['{ A: [192.0.2.1, 192.0.2.2] }', '{ TXT: x, MX: 10 a }', '{ AAAA: "2001:db8::9" }']),
      );
  }
  const lines = (map: ReadonlyMap<string, string>): string =>
    [...map].map(([name, text]) => `  "${name}": ${text}`).join('\n');
  const text = `zone: example.com
dnssec: true
soa: { expire: 4d }
nameservers: [ns.example.net.]
${records.size > 0 ? `records:\n${lines(records)}` : ''}
${services.size > 0 ? `services:\n${lines(services)}` : ''}
`;
  return { text, services: [...services.keys()] };
}

/** Random states, so that answers have other sets, or none. */
function shake(server: Answering, dice: Dice): void {
  for (const { target } of server.generation.catalog.vips) {
    server.set(target, {
      probed: dice.pick([PROBED.UP, PROBED.UP, PROBED.DOWN]),
      forced: dice.pick([FORCED.NONE, FORCED.NONE, FORCED.DOWN]),
    });
  }
}

describe('signed answers', () => {
  test('the answers of random zones are secure, in every state of their services', () => {
    const dice = createDice(printedSeed('signed answers'));
    const seen = new Map<string, number>();
    for (let round = 0; round < trials(60); round++) {
      const { text } = randomZone(dice);
      let zone: ReturnType<typeof signed>;
      try {
        zone = signed(text);
      } catch (error) {
        // Some random zones are refused, for example for CNAMEs in a circle or hidden names.
        if (/"severity":"error"/.test(String(error))) {
          seen.set('refused', (seen.get('refused') ?? 0) + 1);
          continue;
        }
        throw error;
      }
      const { server, keys } = zone;
      for (let query = 0; query < 60; query++) {
        if (query % 10 === 0) shake(server, dice);
        const name = `${dice.chance(0.05) ? '' : `${randomName(dice, [...LABELS, 'x', 'aa', '-'])}.`}${APEX}`;
        const type = dice.pick([T.A, T.A, T.AAAA, T.TXT, T.MX, T.CNAME, T.DS, T.NSEC, T.NS, T.SOA]);
        const message = askSigned(server, name, type);
        let kind: string;
        try {
          kind = validate(message, { name, type, apex: APEX, keys, nowSeconds: NOW });
        } catch (error) {
          throw new Error(`${name} ${type}: ${String(error)}\n${text}\n${JSON.stringify(message, undefined, 1)}`, {
            cause: error,
          });
        }
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        // The answer without DO is the same without what DNSSEC adds, except for the sets that chance chooses.
        const plain = server.ask(name, type, { overTcp: true, edns: {} });
        expect(plain.rcode).toBe(message.rcode);
        expect(plain.answer.some((each) => each.type === T.RRSIG)).toBe(false);
      }
    }
    for (const kind of ['answer', 'nxdomain', 'nodata', 'referral']) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(moreThan(20));
    }
  });

  test('every VIP alone and every set of a service has signatures', () => {
    const { server, keys } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
services:
  www:
    answers: 2
    vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3 }, d: { A: 192.0.2.4 } }
    steer: [weighted]
`);
    const sets = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const message = askSigned(server, 'www.example.com.', T.A);
      validate(message, { name: 'www.example.com.', type: T.A, apex: APEX, keys, nowSeconds: NOW });
      const addresses = message.answer.filter(({ type }) => type === T.A);
      expect(addresses).toHaveLength(2);
      sets.add(addresses.map(({ data }) => data).sort().join(' ')); // prettier-ignore
    }
    expect(sets.size).toBe(6);
  });

  test('an answer is cut to the VIPs whose signatures exist', () => {
    const vips = Array.from({ length: 40 }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1} }`);
    const { server, keys } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
services:
  www: { answers: 3, vips: { ${vips.join(', ')} }, steer: [weighted] }
`);
    const sizes = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const message = askSigned(server, 'www.example.com.', T.A);
      validate(message, { name: 'www.example.com.', type: T.A, apex: APEX, keys, nowSeconds: NOW });
      sizes.add(message.answer.filter(({ type }) => type === T.A).length);
    }
    expect([...sizes].every((size) => size >= 1 && size <= 3)).toBe(true);
    expect(server.ask('www.example.com.', T.A, { edns: {} }).answer).toHaveLength(3);
  });

  test('a response that does not fit has TC', () => {
    const { server } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
records:
  big: { TXT: ["${'x'.repeat(250)}", "${'y'.repeat(250)}"] }
`);
    const message = server.ask('big.example.com.', T.TXT, { edns: { dnssecOk: true, size: 560 } });
    expect(message.tc).toBe(true);
  });
});
